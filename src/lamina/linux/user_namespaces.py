"""User namespaces (user_namespaces(7)): whose users are which of the host's, and how one is made and found again.

A namespace is pinned by a bind mount on a file, as `ip netns` does it. The programs unshare and nsenter of util-linux
make it, because the kernel lets only a process of one thread change its user namespace (setns(2)).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import InvalidInput, Unavailable
from lamina.linux.mounts import MNT_DETACH, MS_BIND, mount, umount2

OVERFLOW = 65534  # shown in place of users that a namespace does not know (/proc/sys/kernel/overflowuid)
_ALL = 2**32 - 1
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class IdRange:
    """`length` ids that begin with `inside` in the namespace and with `outside` on the host."""

    inside: int
    outside: int
    length: int


@dataclass(frozen=True, slots=True)
class IdMap:
    """Whose users and groups in a namespace are which of the host's."""

    uids: tuple[IdRange, ...]
    gids: tuple[IdRange, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Return who root of the namespace is on the host."""
        return self.to_host(0, 0)

    @property
    def last_gid(self) -> int:
        """Return the last group of those that begin with 0 and have no gap."""
        last = -1
        for each in sorted(self.gids, key=lambda each: each.inside):
            if each.inside == last + 1:
                last = each.inside + each.length - 1
        return last

    def to_host(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the host's ids. Raise InvalidInput for what the namespace does not have."""
        return _outside(self.uids, uid), _outside(self.gids, gid)

    def to_inside(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the host's ids as the namespace shows them."""
        return _inside(self.uids, uid), _inside(self.gids, gid)


def _outside(ranges: Sequence[IdRange], id: int) -> int:
    for each in ranges:
        if each.inside <= id < each.inside + each.length:
            return id - each.inside + each.outside
    raise InvalidInput(
        f"Container ID {id} cannot be mapped to a host ID",  # moby pkg/idtools
        advice="Give the user of userns-remap more subordinate ids",
        id=id,
    )


def _inside(ranges: Sequence[IdRange], id: int) -> int:
    for each in ranges:
        if each.outside <= id < each.outside + each.length:
            return id - each.outside + each.inside
    return OVERFLOW


def ids_of(pid: int) -> IdMap | None:
    """Return who the users of a process's namespace are; None where they are the host's. Raise OSError."""
    ids = IdMap(_read(f"/proc/{pid}/uid_map"), _read(f"/proc/{pid}/gid_map"))
    return None if ids.uids == (IdRange(0, 0, _ALL),) else ids


def _read(path: str) -> tuple[IdRange, ...]:
    with open(path) as lines:
        return tuple(IdRange(*map(int, line.split())) for line in lines)


@dataclass(frozen=True, slots=True)
class UserNamespace:
    """A namespace with the users `ids`, pinned at `path`. It is made at the first need, and outlives the engine."""

    path: Path
    ids: IdMap

    def make(self) -> Path:
        """Return the file that pins it, made where it is missing. Raise Unavailable and OSError."""
        with _making:
            if not self._pinned():
                self.path.parent.mkdir(mode=0o700, exist_ok=True)
                self.path.touch(mode=0o400)
                with _waiting_process(["unshare", "--user"]) as pid:
                    _map(f"/proc/{pid}/uid_map", self.ids.uids)
                    _map(f"/proc/{pid}/gid_map", self.ids.gids)
                    mount(f"/proc/{pid}/ns/user", self.path, flags=MS_BIND)
        return self.path

    def _pinned(self) -> bool:
        return self.path.exists() and self.path.stat().st_dev != self.path.parent.stat().st_dev

    def open(self) -> int:
        """Return a descriptor of the namespace. Raise what `make` raises."""
        return os.open(self.make(), os.O_RDONLY | os.O_CLOEXEC)

    def has(self, pid: int) -> bool:
        """Return whether the process is in this very namespace. Raise OSError where it is gone."""
        return os.path.samestat(os.stat(self.make()), os.stat(f"/proc/{pid}/ns/user"))

    def remove(self) -> None:
        """Let the namespace go; the kernel ends it with its last process. A missing one is ignored."""
        with suppress(OSError):  # not mounted
            umount2(self.path, MNT_DETACH)
        self.path.unlink(missing_ok=True)

    @contextmanager
    def network(self) -> Iterator[str]:
        """Provide the path of a new network namespace that this one owns, so that its root may manage it."""
        with _waiting_process(["nsenter", f"--user={self.make()}", "unshare", "--net"]) as pid:
            yield f"/proc/{pid}/ns/net"


def user_namespace(folder: Path, ids: IdMap) -> UserNamespace:
    """Return the namespace with the users `ids` that is pinned in `folder`: for the same ids always the same one."""
    name = hashlib.sha256(repr(ids).encode()).hexdigest()[:16]
    return UserNamespace(folder / name, ids)


def sweep_user_namespaces(folder: Path, kept: UserNamespace | None) -> None:
    """Let go of all namespaces that earlier engines pinned in `folder`, but for `kept`. Processes stay in theirs."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if kept is None or path != kept.path:
            UserNamespace(path, IdMap((), ())).remove()


def _map(path: str, ranges: Sequence[IdRange]) -> None:
    with open(path, "wb", buffering=0) as file:  # which the kernel takes in one write
        file.write("".join(f"{each.inside} {each.outside} {each.length}\n" for each in ranges).encode())


@contextmanager
def _waiting_process(command: Sequence[str]) -> Iterator[int]:
    """Provide the id of a process that `command` has put into its namespaces. It ends with the block."""
    try:
        process = subprocess.Popen([*command, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed", advice="Install util-linux") from None
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended
            process.stdin.write(b"\n")
            process.stdin.flush()
        if process.stdout.read(1) != b"\n":  # once it answers, it is in them
            raise Unavailable(f"{' '.join(command)} does not work on this machine")
        yield process.pid
