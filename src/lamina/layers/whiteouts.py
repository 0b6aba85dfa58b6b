"""What the whiteouts of an archive do to the tree that it is unpacked to: three ways, one per style."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Protocol

from lamina.layers.index.format import OPAQUE_XATTR, ORIGIN_XATTR
from lamina.layers.index.xattrs import escape
from lamina.layers.removetree import empty_directory, remove_tree

_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Whiteouts(Protocol):
    """What unpacking does with whiteouts. Directories are descriptors (O_PATH is enough), names are parts of a path."""

    marks: bool
    """Whether `.wh.` names mean anything."""

    def hide(self, parent: int, name: str) -> bool:
        """Delete what the layers below have at `name`; True when a directory or symlink went away here."""

    def hide_below(self, directory: int) -> bool:
        """Delete what the layers below have in the directory; True when directories or symlinks may have gone."""

    def make_way(self, parent: int, name: str) -> bool:
        """Put a directory where a deletion of this archive stands; False when it is something else."""

    def placed(self, parent: int, name: str) -> None:
        """Note that the archive has put something there."""

    def replaced(self, parent: int, name: str) -> None:
        """Note that the directory there took the place of another kind of file."""

    def xattrs(self, own: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Return the attributes under the names they are to be kept by."""

    def spared(self, own: Mapping[str, bytes]) -> Mapping[str, bytes] | None:
        """Return which attributes a directory keeps when it gets new ones; None for all."""


class PlainNames:
    """Unpack files with whiteout names like any others."""

    marks = False

    def hide(self, parent: int, name: str) -> bool:
        return False

    def hide_below(self, directory: int) -> bool:
        return False

    def make_way(self, parent: int, name: str) -> bool:
        return False

    def placed(self, parent: int, name: str) -> None:
        pass

    def replaced(self, parent: int, name: str) -> None:
        pass

    def xattrs(self, own: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return own

    def spared(self, own: Mapping[str, bytes]) -> Mapping[str, bytes] | None:
        return None


class OverlayMarks(PlainNames):
    """Deletions become what overlayfs understands: character devices 0:0 and opaque directories (overlayfs.rst)."""

    marks = True

    def hide(self, parent: int, name: str) -> bool:
        try:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                self.replaced(parent, name)
        os.setxattr(f"/proc/self/fd/{parent}", ORIGIN_XATTR, b"")
        return False

    def hide_below(self, directory: int) -> bool:
        os.setxattr(f"/proc/self/fd/{directory}", OPAQUE_XATTR, b"y")
        return False

    def make_way(self, parent: int, name: str) -> bool:
        if not is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False)):
            return False
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o755, dir_fd=parent)
        os.chmod(name, 0o755, dir_fd=parent)  # whatever the umask
        self.replaced(parent, name)
        return True

    def replaced(self, parent: int, name: str) -> None:
        directory = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=parent)
        try:
            self.hide_below(directory)
        finally:
            os.close(directory)

    def xattrs(self, own: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {escape(name): value for name, value in own.items()} if own else own

    def spared(self, own: Mapping[str, bytes]) -> Mapping[str, bytes] | None:
        return {**own, OPAQUE_XATTR: b"", ORIGIN_XATTR: b""}


class Deletions(PlainNames):
    """Delete what the layers below left, and keep what this archive has put there."""

    marks = True

    def __init__(self, root: int) -> None:
        # Inode numbers of what the archive has put in place, with the directories above. Files of the layers below
        # never come to be while it is unpacked, so a number that is used again is the archive's again.
        self._mine = {os.fstat(root).st_ino}

    def hide(self, parent: int, name: str) -> bool:
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if status.st_ino not in self._mine:
            remove_tree(parent, name)
        elif stat.S_ISDIR(status.st_mode):
            directory = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=parent)
            try:
                empty_directory(directory, self._is_mine)
            finally:
                os.close(directory)
        return stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)

    def hide_below(self, directory: int) -> bool:
        self._claim(directory)
        readable = os.open(".", _READ, dir_fd=directory)
        try:
            empty_directory(readable, self._is_mine)
        finally:
            os.close(readable)
        return True

    def _is_mine(self, status: os.stat_result) -> bool:
        return status.st_ino in self._mine

    def placed(self, parent: int, name: str) -> None:
        self._mine.add(os.stat(name, dir_fd=parent, follow_symlinks=False).st_ino)
        self._claim(parent)

    def _claim(self, directory: int) -> None:
        """Count a directory and those above it as the archive's, up to the root, which always counts."""
        current = os.dup(directory)
        try:
            while (number := os.fstat(current).st_ino) not in self._mine:
                self._mine.add(number)
                above = os.open("..", os.O_PATH | os.O_CLOEXEC, dir_fd=current)
                os.close(current)
                current = above
        finally:
            os.close(current)

    def spared(self, own: Mapping[str, bytes]) -> Mapping[str, bytes] | None:
        return own


def is_whiteout(status: os.stat_result) -> bool:
    """Return whether a file is overlayfs's whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
