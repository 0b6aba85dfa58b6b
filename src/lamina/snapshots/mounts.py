"""Mounting overlayfs, below a directory whose mounts do not spread to other namespaces.

Layers go in by the new mount API, one at a time, or by mount(2)'s option string where that API is missing. The options
are Docker's: no index, no redirects, no metadata-only copies, so that an upper directory stays readable on its own.
`xino` makes all files of the tree show one device number where the layers are file systems of their own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import string
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import TooLarge
from lamina.linux import mounts
from lamina.linux.mounts import (
    MNT_DETACH,
    MS_BIND,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MountInfo,
    mount,
    mountinfo,
    umount2,
)
from lamina.linux.syscalls import CLONE_FS, unshare
from lamina.snapshots.records import delete_tree

_FIXED = (("index", "off"), ("redirect_dir", "off"), ("metacopy", "off"))
_LONGEST = 250
_PAGE = 4095
_SPECIAL = frozenset("\\:,")
_DIGITS = string.digits + string.ascii_lowercase


class MountRoot:
    """Counts who needs mounts below `root`. While somebody does, and where mounts would spread to other namespaces,
    `root` is bound to itself and made private (Documentation/filesystems/sharedsubtree.rst): what is mounted below is
    then never held by a process that merely started meanwhile in a namespace of its own. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._lock = threading.Lock()
        self._users = 0
        self._bound = False

    def hold(self) -> None:
        """Count one more user of mounts below the root; the first user makes the root private. Raise OSError."""
        with self._lock:
            if not self._users:
                self._bound = self._bind()
            self._users += 1

    def release(self) -> None:
        """Drop one user; the last user unmounts the root's binding."""
        with self._lock:
            self._users -= 1
            if not self._users and self._bound:
                self._unbind()

    def below(self) -> list[MountInfo]:
        """Return what is mounted below the root (not the root itself), in the order it was mounted."""
        prefix = self._root + "/"
        return [point for point in mountinfo() if point.target.startswith(prefix)]

    def sweep(self) -> None:
        """Remove the binding that a dead process left, unless somebody needs it."""
        with self._lock:
            while not self._users and not self.below() and self._is_bound():
                self._unbind()

    def _is_bound(self) -> bool:
        return any(point.target == self._root and point.root != "/" for point in mountinfo())

    def _bind(self) -> bool:
        if self._is_bound():
            return True
        around = _around(self._root)
        if around is None or not any(tag.startswith("shared:") for tag in around.tags):
            return False
        mount(self._root, self._root, flags=MS_BIND)
        mount("none", self._root, flags=MS_PRIVATE)
        return True

    def _unbind(self) -> None:
        try:
            umount2(self._root)
        except OSError as error:
            if error.errno == errno.EBUSY:
                umount2(self._root, MNT_DETACH)
            elif error.errno != errno.EINVAL:
                raise
        self._bound = False


def _around(path: str) -> MountInfo | None:
    """Return the mount that `path` is in."""
    innermost = None
    for point in mountinfo():
        inside = path == point.target or path.startswith(point.target.rstrip("/") + "/")
        if inside and (innermost is None or len(point.target) >= len(innermost.target)):
            innermost = point
    return innermost


def unmount_all(target: str | Path) -> None:
    """Detach every mount at `target`, used ones too; processes that have files of it open keep them.

    Mounts below go as well. They leave their peer groups first, so that nothing is unmounted where it was bound from.
    """
    while True:
        try:
            mount("none", target, flags=MS_REC | MS_PRIVATE)
            umount2(target, MNT_DETACH)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise


@dataclass(frozen=True, slots=True)
class Overlay:
    """What to stack: `lower` from the top down; without `upper` and `work` the result is read-only."""

    lower: tuple[Path, ...]
    upper: Path | None = None
    work: Path | None = None
    xino: bool = False
    volatile: bool = False
    """Never wait for the disk: neither when a program asks for it, nor when unmounting (Linux 5.10)."""

    @property
    def fixed(self) -> tuple[tuple[str, str | None], ...]:
        """Return the options besides the directories; those with None are flags."""
        fixed = (*_FIXED, ("xino", "on" if self.xino else "off"))
        return (*fixed, ("volatile", None)) if self.volatile else fixed

    @property
    def attributes(self) -> int:
        """Return the attributes of the mount (MOUNT_ATTR_*)."""
        return 0 if self.upper else mounts.MOUNT_ATTR_RDONLY

    def options(self, name: Callable[[Path], str]) -> list[tuple[str, str | None]]:
        """Return what the mount API takes; `name` gives the names of the directories for it."""
        options: list[tuple[str, str | None]] = [("source", "overlay")]
        if self.upper is not None and self.work is not None:
            options += [("upperdir", name(self.upper)), ("workdir", name(self.work))]
        return [*options, *(("lowerdir+", name(layer)) for layer in self.lower), *self.fixed]

    def as_data(self) -> tuple[str, ...]:
        """Return the options as mount(8) would be given them."""
        options = [f"lowerdir={':'.join(map(str, self.lower))}"]
        if self.upper is not None:
            options += [f"upperdir={self.upper}", f"workdir={self.work}"]
        return (*options, *self.texts())

    def texts(self) -> Iterator[str]:
        """Return `fixed` in mount(8)'s form."""
        return (key if value is None else f"{key}={value}" for key, value in self.fixed)


def mount_overlay(overlay: Overlay, target: Path, *, option_string: bool = False) -> None:
    """Mount `overlay` at `target`. `option_string` asks for the old way, as on kernels before 6.8.

    Raise OSError, and TooLarge when the layers do not fit into an option string.
    """
    forget_volatile(overlay)
    if not option_string:
        try:
            _mount_by_api(overlay, target)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS) or _api_is_known():
                raise
    _mount_by_string(overlay, target)


def forget_volatile(overlay: Overlay) -> None:
    """Remove the mark of a volatile mount before the overlay is mounted again.

    The kernel leaves it so that nobody builds on what a power cut may have spoilt; here nobody would.
    """
    if overlay.volatile and overlay.work is not None:
        delete_tree(overlay.work / "work" / "incompat")


def _mount_by_api(overlay: Overlay, target: Path) -> None:
    with ShortNames() as names:
        mounts.mount_filesystem("overlay", overlay.options(names.short), target, overlay.attributes)


def _api_is_known() -> bool:
    """Return whether overlayfs takes its layers one by one (Linux 6.8)."""
    try:
        context = mounts.fsopen("overlay")
    except OSError:
        return False
    try:
        mounts.fsconfig_string(context, "lowerdir+", "/")
    except OSError:
        return False
    finally:
        os.close(context)
    return True


class ShortNames:
    """Names for files that the mount API takes: it wants at most 255 bytes, without backslash, comma, colon."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()

    def __enter__(self) -> ShortNames:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def short(self, path: Path) -> str:
        """Return a name for the file or directory `path`, good until the block ends."""
        name = os.fspath(path)
        if len(os.fsencode(name)) <= _LONGEST and _SPECIAL.isdisjoint(name):
            return name
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        self._open.callback(os.close, fd)
        return f"/proc/self/fd/{fd}"


def _mount_by_string(overlay: Overlay, target: Path) -> None:
    """Mount by one page of options: layers go by links of one to three letters in a directory of their own."""
    with tempfile.TemporaryDirectory(prefix=".links-", dir=target.parent) as links:
        named = dict(zip(map(_letters, range(len(overlay.lower))), overlay.lower, strict=True))
        options = ["lowerdir=" + ":".join(named)]
        if overlay.upper is not None and overlay.work is not None:
            named |= {"-u": overlay.upper, "-w": overlay.work}
            options += ["upperdir=-u", "workdir=-w"]
        data = ",".join((*options, *overlay.texts()))
        if len(data) > _PAGE:
            raise TooLarge(f"{len(overlay.lower)} layers do not fit into the options of one mount", limit=_PAGE)
        for name, path in named.items():
            os.symlink(path, os.path.join(links, name))
        flags = 0 if overlay.upper else MS_RDONLY
        _in_directory(links, lambda: mounts.mount("overlay", target, "overlay", flags, data))


def _in_directory(directory: str, action: Callable[[], None]) -> None:
    """Do `action` with `directory` as working directory, in a thread that has one of its own."""

    def run() -> None:
        unshare(CLONE_FS)
        os.chdir(directory)
        action()

    with ThreadPoolExecutor(1, "lamina-mount") as thread:
        thread.submit(run).result()


def _letters(number: int) -> str:
    head, last = divmod(number, len(_DIGITS))
    return (_letters(head - 1) if head else "") + _DIGITS[last]


@contextlib.contextmanager
def temporary_mount(overlay: Overlay, target: Path, *, option_string: bool = False) -> Iterator[Path]:
    """Mount the overlay at `target` for as long as the block runs."""
    mount_overlay(overlay, target, option_string=option_string)
    try:
        yield target
    finally:
        mounts.umount2(target)
