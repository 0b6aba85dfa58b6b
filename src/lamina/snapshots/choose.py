"""Choosing a driver: by trying, in the data root itself, what this kernel and its file system can do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lamina.errors import InvalidInput, LaminaError, Unsupported
from lamina.layers.entry import Entry, EntryType, whiteout_entry
from lamina.layers.index.writer import IndexWriter
from lamina.linux.files import private_directory
from lamina.linux.user_namespaces import UserNamespace
from lamina.snapshots.copy import CopyDriver
from lamina.snapshots.driver import Driver
from lamina.snapshots.erofs import MountedLayers, mount_index
from lamina.snapshots.idmapped import ADVICE, PROBE, why_not
from lamina.snapshots.mounts import MountRoot, Overlay, temporary_mount, unmount_all
from lamina.snapshots.records import delete_tree
from lamina.snapshots.stacked import StackedDriver
from lamina.snapshots.trees import Trees
from lamina.snapshots.unpacked import UnpackedLayers

_BLOCK = 512
NAMES = ("erofs", "overlay", "copy")


def open_driver(root: Path, name: str | None = None) -> Driver:
    """Return the driver that keeps its snapshots below `root`, which is made where missing.

    `name` asks for one of NAMES; None takes the first that works here. Which one it is, and why, its `name` and
    `reason` tell. Each driver has a directory of its own: another one does not see its snapshots. Raise InvalidInput
    for an unknown name, Unsupported when the one asked for does not work here.
    """
    private_directory(root)
    root = Path(os.path.realpath(root))
    _sweep_probes(root)
    if name is not None and name not in NAMES:
        raise InvalidInput(f"there is no storage driver {name!r}", advice=f"Known are {', '.join(NAMES)}")
    if name == "copy":
        return _make(root, "copy", "it was asked for")
    refused: list[str] = []
    for candidate in ("erofs", "overlay") if name is None else (name,):
        why_not = why_unusable(root, candidate)
        if why_not is None:
            return _make(root, candidate, _reason(candidate, refused, chosen=name is not None))
        refused.append(f"{candidate} does not work here ({why_not})")
    if name is not None:
        raise Unsupported(f"the storage driver {refused[0]}", advice="Leave the choice to lamina, or take copy")
    return _make(root, "copy", "; ".join(refused))


def check_idmapped(driver: Driver, root: Path, userns: UserNamespace) -> None:
    """Raise Unsupported where `driver` cannot show the files below `root` as those of the users of `userns`."""
    reason = why_not(root, userns, stacked=driver.name != "copy")
    if reason:
        raise Unsupported(f"userns-remap does not work below {root}: {reason}", advice=ADVICE)


def _reason(name: str, refused: list[str], *, chosen: bool) -> str:
    if chosen:
        return "it was asked for"
    if refused:
        return "; ".join(refused)
    return f"Linux {os.uname().release} mounts layers in place"


def _make(root: Path, name: str, reason: str) -> Driver:
    home = root / name
    private_directory(home)
    if name == "copy":
        return CopyDriver(home, reason)
    mounts, trees = MountRoot(home), Trees()
    if name == "overlay":
        return StackedDriver(home, UnpackedLayers(home / "layers"), mounts, trees, reason)
    layers = MountedLayers(home / "layers", home / "merged", mounts, trees)
    return StackedDriver(home, layers, mounts, trees, reason)


def why_unusable(root: Path, name: str) -> str | None:
    """Return why the driver `name` cannot work below `root`; None when a trial went well. Leaves nothing behind."""
    trial: Callable[[Path], None] = {"erofs": _try_erofs, "overlay": _try_overlay}[name]
    home = Path(tempfile.mkdtemp(prefix=PROBE, dir=root))
    mounts = MountRoot(home)
    try:
        for part in ("lower", "base", "upper", "work", "merged"):
            (home / part).mkdir()
        mounts.hold()
        try:
            trial(home)
        finally:
            unmount_all(home / "lower")
            mounts.release()
    except LaminaError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    finally:
        delete_tree(home)
    return None


def _try_erofs(home: Path) -> None:
    """Mount a layer of one file and one deletion from files, and stack it over a directory."""
    tar, index = home / "probe.tar", home / "probe.erofs"
    tar.write_bytes(b"lamina".ljust(_BLOCK, b"\0"))
    writer = IndexWriter()
    writer.add(Entry("shown", EntryType.REGULAR, size=6, data_offset=0))
    writer.add(whiteout_entry("hidden"))
    writer.write(index, _BLOCK)
    mount_index(index, [tar], home / "lower")
    _try_stack(home)


def _try_overlay(home: Path) -> None:
    """Stack directories, with a deletion made by hand."""
    (home / "lower" / "shown").write_bytes(b"lamina")
    os.mknod(home / "lower" / "hidden", 0o020000, os.makedev(0, 0))
    _try_stack(home)


def _try_stack(home: Path) -> None:
    (home / "base" / "hidden").write_bytes(b"")
    stack = Overlay((home / "lower", home / "base"), home / "upper", home / "work", volatile=True)
    with temporary_mount(stack, home / "merged") as merged:
        (merged / "made").write_bytes(b"")
        (merged / "hidden").mkdir()  # over a deletion: needs the attributes that not every file system keeps
        (merged / "hidden").rmdir()
        if sorted(os.listdir(merged)) != ["made", "shown"] or (merged / "shown").read_bytes() != b"lamina":
            raise Unsupported("stacked layers do not show what they should")


def _sweep_probes(root: Path) -> None:
    for entry in list(root.iterdir()):
        if entry.name.startswith(PROBE):
            for part in ("merged", "lower", "."):
                unmount_all(entry / part)
            delete_tree(entry)
