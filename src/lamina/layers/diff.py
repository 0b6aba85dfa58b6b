"""From what a container or a step left on disk to a layer: the same files give the same bytes."""

from __future__ import annotations

from lamina.layers.builder import LayerBuilder
from lamina.layers.capture import Capture
from lamina.layers.changes import Change, is_opaque, tree_changes, upper_changes
from lamina.layers.tree import Tree
from lamina.layers.walk import Directories, Found, walk
from lamina.layers.whiteouts import is_whiteout

__all__ = ["Change", "tree_changes", "upper_changes", "write_tree_diff", "write_upper_diff"]


def write_upper_diff(
    upper: int, builder: LayerBuilder, lower: Tree | None = None, *, latest_ns: int | None = None
) -> None:
    """Add all that the overlay upper directory `upper` (a descriptor) holds to `builder`, sorted; the root itself not.

    Whiteouts and opaque directories become their `.wh.` names. Overlayfs also marks new directories opaque that hide
    nothing: with `lower`, the tree the upper stands on, only those that do are written so. Attributes of overlayfs
    are left out, sockets too. Times are cut to seconds, those later than `latest_ns` become it. The caller calls
    `builder.finish`. Raises Unsupported when the upper was written with redirect_dir or metacopy, and what
    LayerBuilder.add does.
    """
    capture = Capture(builder, latest_ns=latest_ns, overlay=True)
    with Directories(upper) as directories:
        for found in walk(directories):
            if is_whiteout(found.status):
                builder.whiteout(found.path)
            elif not capture.add(found):
                _hide(builder, lower, found.path)
            elif _hides_something(found, lower):
                builder.opaque(found.path)


def _hide(builder: LayerBuilder, lower: Tree | None, path: str) -> None:
    """A socket is in no layer, but what it stands on is gone all the same."""
    if lower is not None and lower.lookup(path) is not None:
        builder.whiteout(path)


def _hides_something(found: Found, lower: Tree | None) -> bool:
    if not found.is_directory or not is_opaque(found):
        return False
    below = None if lower is None else lower.lookup(found.path)
    return lower is None or (below is not None and below.is_directory)


def write_tree_diff(root: int, lower: Tree, builder: LayerBuilder, *, latest_ns: int | None = None) -> None:
    """Add what leads from `lower` to the directory `root` (a descriptor) to `builder`, sorted, as `tree_changes` says.

    Names of one file are hard links only where all of them changed. Times are cut to seconds, those later than
    `latest_ns` become it. The caller calls `builder.finish`. Raises what LayerBuilder.add does.
    """
    capture = Capture(builder, latest_ns=latest_ns)
    with Directories(root) as directories:
        for change in tree_changes(root, lower):
            if change.kind == "D":
                builder.whiteout(change.path)
            elif (found := directories.find(change.path)) is not None and not capture.add(found):
                _hide(builder, lower, found.path)
