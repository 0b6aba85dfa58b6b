"""Removing a tree that somebody else made: however deep, and without following any link out of it."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable

from lamina.errors import TooLarge

Keep = Callable[[os.stat_result], bool]
_DEEP = 64
_DEEPEST = 400
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(parent_fd: int, name: str) -> None:
    """Remove `name` in the directory `parent_fd`, whatever it is, with all that is in it.

    Raise FileNotFoundError when it is not there, and other OSErrors; what was removed until then stays removed.
    """
    try:
        os.unlink(name, dir_fd=parent_fd)
    except IsADirectoryError:
        directory = os.open(name, _DIRECTORY, dir_fd=parent_fd)
        try:
            empty_directory(directory)
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=parent_fd)


def empty_directory(directory: int, keep: Keep | None = None) -> None:
    """Remove what is in `directory`, but for what `keep` says is to stay, given its lstat.

    Below a directory that stays the same question is asked again, so what stays must have parents that stay. Raises
    TooLarge for what stays too many levels deep; what goes may be as deep as it likes.
    """
    _Emptying(directory, keep).run()


class _Emptying:
    """Descend with one open directory for each level. Directories that lie too deep are moved up to the top first."""

    def __init__(self, top: int, keep: Keep | None) -> None:
        self._top = top
        self._keep = keep
        self._numbers = itertools.count()
        self._moved = True

    def run(self) -> None:
        while self._moved:
            self._moved = False
            self._empty(self._top, 0)

    def _empty(self, directory: int, depth: int) -> None:
        with os.scandir(directory) as listing:
            names = [entry.name for entry in listing]
        for name in names:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            stays = self._keep is not None and self._keep(status)
            if not stat.S_ISDIR(status.st_mode):
                if not stays:
                    os.unlink(name, dir_fd=directory)
            elif stays or depth < _DEEP:
                self._descend(directory, name, depth, stays)
            else:
                self._take_up(directory, name)

    def _descend(self, directory: int, name: str, depth: int, stays: bool) -> None:
        if depth > _DEEPEST:
            raise TooLarge(f"a directory lies more than {_DEEPEST} levels deep", limit=_DEEPEST)
        below = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            self._empty(below, depth + 1)
        finally:
            os.close(below)
        if not stays and not self._moved:
            os.rmdir(name, dir_fd=directory)

    def _take_up(self, directory: int, name: str) -> None:
        self._moved = True
        while True:
            try:
                os.rename(name, f".removed-{next(self._numbers)}", src_dir_fd=directory, dst_dir_fd=self._top)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
                    raise
