"""Where the files of COPY and ADD land, with which owner and mode.

Rule: moby's classic builder: a directory's content is copied, not the directory; a destination that ends in "/" or is a
directory takes a file under its own name; new directories have mode 0755, or that of an octal --chmod; files belong to
0:0 or to --chown, and lose file capabilities as chown(2) takes them; copies from an image keep their owner. As BuildKit
does and the classic builder does not, modes are kept whole, set-user-ID included. A link to a directory stays: what
would take its place goes where it leads, or is refused if it is no directory.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lamina.builder.copy.ownership import Chmod, Owner
from lamina.builder.copy.sources import CopySource
from lamina.builder.layer_plan import LayerPlan, PlannedFile
from lamina.dockerfile.instructions import Add, Copy
from lamina.dockerfile.position import Problem
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tree import Node

_CAPABILITY = "security.capability"


@dataclass(frozen=True, slots=True)
class Placing:
    """How one instruction puts files in place. `owner` None keeps the source's, and so does `time_ns`.

    A file that is later than `latest_ns` gets that time.
    """

    plan: LayerPlan
    destination: str  # as given, after WORKDIR was put in front of a relative one
    owner: Owner | None
    chmod: Chmod | None = None
    time_ns: int | None = None
    latest_ns: int | None = None

    @property
    def made_mode(self) -> int:
        """Return the mode of directories that are made on the way. As in BuildKit an octal --chmod concerns them."""
        return 0o755 if self.chmod is None or self.chmod.absolute is None else self.chmod.absolute & 0o777

    def place(self, source: CopySource) -> None:
        """Plan one source. Raise Problem where the destination does not allow it."""
        if source.node.is_directory:
            self._directory(source)
        else:
            self._file(source)

    def target(self, name: str) -> str:
        """Return the path that a file called `name` gets: below the destination, or the destination itself."""
        target = self.plan.resolve(self.destination)
        if self.destination.endswith("/") or self.plan.is_directory(target):
            return f"{target}/{posixpath.basename(name)}".lstrip("/")
        return target

    def _file(self, source: CopySource) -> None:
        if source.pivot:
            self._with_parents(source)
            return
        self._put(source, source.node, self.target(source.name))

    def _put(self, source: CopySource, node: Node, path: str) -> None:
        owner = self.owner or Owner()
        self.plan.make_directories(posixpath.dirname(path), uid=owner.uid, gid=owner.gid, mode=self.made_mode)
        self.plan.put_copy(PlannedFile(self._entry(node.entry, path), source.tree, node))

    def _entry(self, entry: Entry, path: str) -> Entry:
        mode = entry.mode
        if self.chmod is not None and entry.type is not EntryType.SYMLINK:
            mode = self.chmod.apply(mode, entry.type is EntryType.DIRECTORY)
        xattrs = entry.xattrs
        uid, gid = entry.uid, entry.gid
        if self.owner is not None:
            uid, gid = self.owner.uid, self.owner.gid
            if _CAPABILITY in xattrs:
                xattrs = {name: value for name, value in xattrs.items() if name != _CAPABILITY}
        return Entry(
            path,
            entry.type,
            mode,
            uid,
            gid,
            entry.size,
            self._time(entry),
            entry.target,
            entry.major,
            entry.minor,
            xattrs,
            "",
            "",
            entry.sparse,
        )

    def _time(self, entry: Entry) -> int:
        if self.time_ns is not None:
            return self.time_ns
        time_ns = whole_seconds(entry.mtime_ns)
        return time_ns if self.latest_ns is None else min(time_ns, self.latest_ns)

    def _directory(self, source: CopySource) -> None:
        if source.pivot:
            self._with_parents(source)
            return
        target = self.plan.resolve(self.destination)
        owner = self.owner or Owner()
        if self.plan.make_directories(target, uid=owner.uid, gid=owner.gid, mode=self.made_mode) and target:
            self.plan.put_copy(PlannedFile(Entry(target, EntryType.DIRECTORY, self.made_mode, owner.uid, owner.gid)))
        self._put_below(source, target)

    def _put_below(self, source: CopySource, target: str) -> None:
        """Put what is in a directory below `target`."""
        landed = {source.node.path: target}  # where each directory of the source has gone
        for node in source.nodes[1:]:
            parent = landed[node.entry.parent]
            path = f"{parent}/{node.name}" if parent else node.name
            if node.is_directory:
                landed[node.path] = path = self.plan.landing(path)
            self.plan.put_copy(PlannedFile(self._entry(node.entry, path), source.tree, node))

    def _with_parents(self, source: CopySource) -> None:
        """Make the path behind the pivot again below the destination, directories with their modes (--parents)."""
        base = self.plan.resolve(self.destination)
        self.plan.make_directories(base)
        names = source.pivot.split("/")
        for end in range(1, len(names)):
            path = "/".join(names[:end])
            if not self.plan.is_directory(f"{base}/{path}".lstrip("/")):
                original = source.tree.lookup(f"{source.name[: len(source.name) - len(source.pivot)]}{path}")
                entry = original.entry if original else Entry(path, EntryType.DIRECTORY, 0o755)
                self.plan.put_copy(PlannedFile(self._entry(entry, f"{base}/{path}".lstrip("/"))))
        target = f"{base}/{source.pivot}".lstrip("/")
        if source.node.is_directory:
            target = self.plan.landing(target)
        self.plan.put_copy(PlannedFile(self._entry(source.node.entry, target), source.tree, source.node))
        if source.node.is_directory:
            self._put_below(source, target)


def whole_seconds(time_ns: int) -> int:
    """Cut a time to seconds, as moby does: a plain tar header holds no more."""
    return time_ns - time_ns % 10**9


def absolute(workdir: str, destination: str) -> str:
    """Return the absolute path of a destination, relative to WORKDIR. It ends in "/" where it names a directory."""
    if destination.startswith("/"):
        return destination
    joined = posixpath.normpath(posixpath.join("/", workdir, destination))
    return f"{joined}/" if _names_directory(destination) and joined != "/" else joined


def _names_directory(destination: str) -> bool:
    """Return whether a destination is a directory whatever is there: "dir/", but also "." as BuildKit has it."""
    return destination.rpartition("/")[2] in ("", ".", "..")


def check_destination(
    instruction: Copy | Add, sources: Sequence[CopySource], unpacks: Callable[[CopySource], bool]
) -> None:
    """Raise Problem when several sources have no directory to go to.

    One pattern may match several directories and archives: each makes a directory of the destination.
    """
    destination, keyword = instruction.destination, type(instruction).__name__.upper()
    words = len(instruction.sources) + len(instruction.inline)
    if len(sources) <= 1 or _names_directory(destination):
        return
    if words > 1 or not all(source.node.is_directory or unpacks(source) for source in sources):
        raise Problem(
            f"When using {keyword} with more than one source file, the destination must be a directory"
            " and end with a /",
            f"Write {destination}/",
        )
