"""The directories that entries are put into, below a root that no path and no symlink leads out of."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from lamina.errors import InvalidInput
from lamina.linux.paths import RESOLVE_IN_ROOT, openat2
from lamina.lru import LruCache

_PATH = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_AT_ONCE = 32
_MAX_SYMLINKS = 40


class Parents:
    """Directories below a root by their path in the archive, opened (O_PATH) and, where they are missing, made.

    Symlinks on the way are followed as if the root were "/". Where a symlink points to nothing, its target is made.
    `make_way` is called when a file stands in the way of a directory. It returns True after it has put a directory
    there, False to have the entry refused.
    """

    def __init__(self, root: int, make_way: Callable[[int, str], bool]) -> None:
        self._root = root
        self._make_way = make_way
        self._open: LruCache[str, int] = LruCache(_OPEN_AT_ONCE, os.close)

    def open(self, path: str) -> int:
        """Return a descriptor of the directory `path`; "" is the root.

        It belongs to this object, which closes it when a few others were opened.

        Raise InvalidInput when the way leads over a file or in circles, and OSError.
        """
        if (directory := self._open.get(path)) is not None:
            return directory
        if not path:
            return self._root
        try:
            directory = openat2(self._root, path, _PATH, resolve=RESOLVE_IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            directory = self._walk(path)
        self._open.put(path, directory)
        return directory

    def forget(self) -> None:
        """Close what is open, because a directory or symlink was taken away and paths may mean something else now."""
        self._open.clear()

    def _walk(self, path: str) -> int:
        stack = [os.dup(self._root)]
        todo = path.split("/")[::-1]
        symlinks = 0
        try:
            while todo:
                name = todo.pop()
                if name == ".." and len(stack) > 1:
                    os.close(stack.pop())
                elif name not in ("", ".", ".."):
                    target = self._step(stack, name, path)
                    if target is None:
                        continue
                    symlinks += 1
                    if symlinks > _MAX_SYMLINKS:
                        raise InvalidInput(f"too many symlinks on the way to {path!r}", path=path)
                    while target.startswith("/") and len(stack) > 1:
                        os.close(stack.pop())
                    todo.extend(target.split("/")[::-1])
            return stack.pop()
        finally:
            for descriptor in stack:
                os.close(descriptor)

    def _step(self, stack: list[int], name: str, path: str) -> str | None:
        """Go one directory down and return None. Return the text of a symlink instead."""
        here = stack[-1]
        try:
            stack.append(os.open(name, _PATH | os.O_NOFOLLOW, dir_fd=here))
        except FileNotFoundError:
            with suppress(FileExistsError):  # a container that shares the directory was faster
                os.mkdir(name, 0o755, dir_fd=here)
            stack.append(os.open(name, _PATH | os.O_NOFOLLOW, dir_fd=here))
            os.chmod(f"/proc/self/fd/{stack[-1]}", 0o755)
        except NotADirectoryError:
            if stat.S_ISLNK(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                return os.readlink(name, dir_fd=here)
            if not self._make_way(here, name):
                raise InvalidInput(f"{name!r} on the way to {path!r} is no directory", path=path) from None
            stack.append(os.open(name, _PATH | os.O_NOFOLLOW, dir_fd=here))
        return None

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        self.forget()
