"""Paths below a root that somebody else controls: opened without leaving it, or followed as seen from inside.

`openat2` (Linux 5.6) has the kernel resolve a path inside a directory. `follow` does the same where the files are no
directory: in a tree of values, or where the last part may be missing.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from lamina.errors import InvalidInput
from lamina.linux.syscalls import Path, syscall

_OPENAT2 = 437

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
RESOLVE_CACHED = 0x20
MOST_LINKS = 40  # as many as the kernel follows in one path (path_resolution(7))


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_OpenHow)


def openat2(dirfd: int, path: Path, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """Open `path` below the directory `dirfd` and return the new descriptor, close-on-exec.

    With RESOLVE_IN_ROOT (the default) absolute paths, absolute symlinks and `..` stay inside `dirfd`, as if it were the
    root; RESOLVE_BENEATH makes them fail with EXDEV instead. `mode` counts only with O_CREAT or O_TMPFILE. Raise
    OSError; EAGAIN (a rename raced with `..`) is tried again here.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    while True:
        try:
            return syscall(_OPENAT2, dirfd, name, ctypes.byref(how), _SIZE, filename=path)
        except BlockingIOError:
            if resolve & RESOLVE_CACHED:
                raise
        except InterruptedError:
            continue


def follow(path: str, link: Callable[[str, bool], str], *, strict: bool = True) -> str:
    """Return `path` relative to the root, without "." and "..", with every link followed inside the root.

    `link` is called with a path of which only the last part may be a link, and whether anything, if only a "/", follows
    this part. It returns the text of the link, "" for other files. Missing parts are taken as they are written. Raise
    InvalidInput past `MOST_LINKS` links; without `strict`, take further links for files.
    """
    done: list[str] = []
    pending = path.split("/")[::-1]
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del done[-1:]
        elif part not in ("", "."):
            text = link("/".join((*done, part)), bool(pending)) if strict or links < MOST_LINKS else ""
            if not text:
                done.append(part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise InvalidInput(
                    f"too many levels of symbolic links in {path!r}",
                    advice="A symlink leads back to itself.",
                    path=path,
                )
            if text.startswith("/"):
                done.clear()
            pending.extend(text.split("/")[::-1])
    return "/".join(done)


def followed(root_fd: int, path: str) -> str:
    """Return `path` below `root_fd` with every symlink followed, also where what they lead to is missing.

    The result is absolute and holds for as long as nobody changes the tree: to act on a path, open it by `openat2`.
    """
    return "/" + follow(path, lambda place, more: link_text(root_fd, place), strict=False)


def link_text(root_fd: int, path: str) -> str:
    """Return the text of the symlink `path` below `root_fd`; "" for anything else."""
    try:
        fd = openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        return os.readlink("", dir_fd=fd)
    except OSError:
        return ""
    finally:
        os.close(fd)
