"""What the vertices of a build graph do, as values.

Rule: moby/buildkit, solver/pb/ops.proto, whose operations these are. An input is named by its place among the
vertex's inputs, None being an empty tree. Times are in nanoseconds; None leaves them to the one who runs the operation.
"""

from __future__ import annotations

import msgspec

from lamina.api.containers import Ulimit


class Operation(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What one vertex does."""


class Source(Operation, frozen=True, kw_only=True):
    """Bring files from outside: an address with a scheme, such as `docker-image://` or `local://`."""

    identifier: str
    attributes: dict[str, str] = {}


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A mount of a command. `kind` is bind, cache, tmpfs, secret or ssh; `size` is in bytes, 0 for no limit.

    A bind with an `output` is writable, and what the command changes in it is that output of the vertex. The bind at /
    is the root. `selector` is the path of the input that is mounted.
    """

    target: str
    kind: str = "bind"
    input: int | None = None
    selector: str = ""
    output: int | None = None
    read_only: bool = False
    id: str = ""
    sharing: str = "shared"
    size: int = 0
    uid: int = 0
    gid: int = 0
    mode: int = 0
    optional: bool = False


class SecretVariable(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that the command has as an environment variable."""

    id: str
    name: str
    optional: bool = False


class Exec(Operation, frozen=True, kw_only=True):
    """Run a command. `network` is default, host or none; `hosts` are pairs of name and address.

    `proxies` are environment variables that must not decide about the result. `exit_codes` are those that count as
    success.
    """

    arguments: tuple[str, ...]
    environment: tuple[str, ...] = ()
    directory: str = "/"
    user: str = ""
    proxies: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    hostname: str = ""
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    exit_codes: tuple[int, ...] = (0,)
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    insecure: bool = False
    secrets: tuple[SecretVariable, ...] = ()

    @property
    def root(self) -> Mount:
        """Return the mount at /. Every command has one."""
        return next(mount for mount in self.mounts if mount.target == "/")


class NamedOwner(msgspec.Struct, frozen=True, kw_only=True):
    """A user or group by name, which the files of `place` know."""

    name: str
    place: int | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One change of files. `base` is what it changes: an input, or behind the inputs the result of an earlier action.

    `output` is the output of the vertex that the changed files are, None for none.
    """

    base: int | None = None
    output: int | None = None
    user: int | NamedOwner | None = None
    group: int | NamedOwner | None = None
    time_ns: int | None = None


class MakeFile(Action, frozen=True, kw_only=True):
    """Write a file. Its directory is there."""

    path: str
    mode: int = 0o644
    content: bytes = b""


class MakeDirectory(Action, frozen=True, kw_only=True):
    """Make a directory, with its parents where `parents` says so. One that is there stays as it is."""

    path: str
    mode: int = 0o755
    parents: bool = False


class MakeLink(Action, frozen=True, kw_only=True):
    """Make a symbolic link at `path` with the text `target`."""

    path: str
    target: str


class Remove(Action, frozen=True, kw_only=True):
    """Delete a file, or a directory with all that is in it. Links are not followed."""

    path: str
    wildcard: bool = False
    may_be_missing: bool = False


class Copy(Action, frozen=True, kw_only=True):
    """Copy a file or a directory of `source`, which is a place like `base`.

    `mode` is octal digits or symbols as of chmod(1), "" leaves modes. With `contents` a directory's content goes to the
    destination, without it the directory does. `include` and `exclude` are ignore patterns below the source.
    """

    source: int | None = None
    path: str
    destination: str
    mode: str = ""
    follow: bool = False
    contents: bool = False
    unpack: bool = False
    make_destination: bool = False
    wildcard: bool = False
    may_match_nothing: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    replace: bool = False


class Files(Operation, frozen=True, kw_only=True):
    """Change files without running anything, by actions in order."""

    actions: tuple[Action, ...]


class Merge(Operation, frozen=True, kw_only=True):
    """Put all inputs on top of each other, the first one at the bottom."""


class Difference(Operation, frozen=True, kw_only=True):
    """Take what one input, `upper`, has and the other, `lower`, has not."""

    lower: int | None = None
    upper: int | None = None
