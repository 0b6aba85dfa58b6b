"""Network namespaces, each pinned by a bind mount on a file, and a small pool of ready ones.

Making a namespace takes about a millisecond of the kernel's time and now and then much more, so a thread keeps a few
ready; they are only descriptors until they get a name, and vanish with the process.
"""

from __future__ import annotations

import fcntl
import os
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lamina.errors import Unavailable
from lamina.linux.mounts import MNT_DETACH, MS_BIND, mount, umount2
from lamina.linux.syscalls import CLONE_NEWNET, setns, unshare
from lamina.linux.user_namespaces import UserNamespace

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_READY = 3


class Namespaces:
    """The namespaces below `directory`, one file each. Thread-safe; `close` leaves the named ones as they are."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._ready: queue.Queue[int | OSError] = queue.Queue(maxsize=_READY)
        self._closing = threading.Event()
        self._maker = threading.Thread(target=self._make, name="lamina-netns", daemon=True)
        self._maker.start()

    def path(self, name: str) -> Path:
        """Return the file of that name, whether it is there or not."""
        return self._directory / name

    def exists(self, name: str) -> bool:
        """Return whether the file is there and really holds a namespace (after a reboot it would be an empty file)."""
        path = self.path(name)
        return path.exists() and path.stat().st_dev != self._directory.stat().st_dev

    def names(self) -> list[str]:
        """Return all names, in no order."""
        return [path.name for path in self._directory.iterdir()]

    def create(self, name: str, userns: UserNamespace | None = None) -> Path:
        """Return a fresh namespace named `name`, its loopback up; the one that exists where there is one already.

        The root of `userns` may manage it.
        """
        path = self.path(name)
        if self.exists(name):
            return path
        descriptor = self._take() if userns is None else _owned_namespace(userns)
        try:
            path.touch(mode=0o400)
            mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND)
        finally:
            os.close(descriptor)
        return path

    def remove(self, name: str) -> None:
        """Let the namespace go; the kernel ends it with its last process. A missing one is fine."""
        path = self.path(name)
        with suppress(OSError):  # not mounted
            umount2(path, MNT_DETACH)
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the thread and the unnamed namespaces; a second call does nothing."""
        self._closing.set()
        while self._maker.is_alive():
            self._drain()
            self._maker.join(0.01)
        self._drain()

    def _drain(self) -> None:
        with suppress(queue.Empty):
            while True:
                item = self._ready.get_nowait()
                if isinstance(item, int):
                    os.close(item)

    def _take(self) -> int:
        item = self._ready.get()
        if isinstance(item, OSError):
            raise Unavailable(f"a network namespace could not be made: {item.strerror}") from item
        return item

    def _make(self) -> None:
        while not self._closing.is_set():
            try:
                item: int | OSError = _fresh_namespace()
            except OSError as error:
                item = error
            self._ready.put(item)


def _fresh_namespace() -> int:
    """Put the calling thread into a new namespace, and return its descriptor."""
    unshare(CLONE_NEWNET)
    return _prepared()


def _owned_namespace(userns: UserNamespace) -> int:
    """Return the descriptor of a new namespace that belongs to `userns`."""
    with userns.network() as path, inside(Path(path)):
        return _prepared()


def _prepared() -> int:
    """Set up the new namespace that the calling thread is in, and return its descriptor."""
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _quiet_ipv6()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP))
    return descriptor


def _quiet_ipv6() -> None:
    """Switch IPv6 off except on the loopback, as Docker does for networks without it."""
    for name, value in (("all", "1"), ("default", "1"), ("lo", "0")):
        with suppress(OSError):  # a kernel without IPv6
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text(value)


@contextmanager
def inside(path: Path) -> Iterator[None]:
    """Run the body with the calling thread in the namespace pinned at `path`, then brings the thread back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(target, CLONE_NEWNET)
        finally:
            os.close(target)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)
