"""The operations of build graphs, as clients send them.

Field numbers: moby/buildkit, `solver/pb/ops.proto`. A message that may be absent is None; an input of -1 is none.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from lamina.daemon.buildkit.messages.control import Definition, Platform
from lamina.daemon.buildkit.messages.source import LineRange
from lamina.daemon.buildkit.messages.status import ProgressGroup
from lamina.daemon.buildkit.protobuf import Message

_map: Any = msgspec.field(default_factory=dict)


class Input(Message, frozen=True):
    """One output of an operation."""

    digest: Annotated[str, 1] = ""
    index: Annotated[int, 2] = 0


class ProxyEnv(Message, frozen=True):
    """The proxies of a command."""

    http: Annotated[str, 1] = ""
    https: Annotated[str, 2] = ""
    ftp: Annotated[str, 3] = ""
    none: Annotated[str, 4] = ""
    all: Annotated[str, 5] = ""


class HostIP(Message, frozen=True):
    """A name in /etc/hosts."""

    host: Annotated[str, 1] = ""
    ip: Annotated[str, 2] = ""


class Ulimit(Message, frozen=True):
    """A limit of a command's processes."""

    name: Annotated[str, 1] = ""
    soft: Annotated[int, 2] = 0
    hard: Annotated[int, 3] = 0


class Meta(Message, frozen=True):
    """What a command runs as."""

    args: Annotated[tuple[str, ...], 1] = ()
    env: Annotated[tuple[str, ...], 2] = ()
    cwd: Annotated[str, 3] = ""
    user: Annotated[str, 4] = ""
    proxies: Annotated[ProxyEnv | None, 5] = None
    hosts: Annotated[tuple[HostIP, ...], 6] = ()
    hostname: Annotated[str, 7] = ""
    ulimits: Annotated[tuple[Ulimit, ...], 9] = ()
    cgroup_parent: Annotated[str, 10] = ""
    exit_codes: Annotated[tuple[int, ...], 12] = ()


class SecretEnv(Message, frozen=True):
    """A secret as an environment variable."""

    id: Annotated[str, 1] = ""
    name: Annotated[str, 2] = ""
    optional: Annotated[bool, 3] = False


class Device(Message, frozen=True):
    """A device of the Container Device Interface."""

    name: Annotated[str, 1] = ""
    optional: Annotated[bool, 2] = False


class TmpfsOpt(Message, frozen=True):
    """The size of a tmpfs in bytes."""

    size: Annotated[int, 1] = 0


class CacheOpt(Message, frozen=True):
    """A cache: its ID, and whether others may use it at the same time (0 shared, 1 private, 2 locked)."""

    id: Annotated[str, 1] = ""
    sharing: Annotated[int, 2] = 0


class SecretOpt(Message, frozen=True):
    """A secret as a file, or an ssh agent as a socket."""

    id: Annotated[str, 1] = ""
    uid: Annotated[int, 2] = 0
    gid: Annotated[int, 3] = 0
    mode: Annotated[int, 4] = 0
    optional: Annotated[bool, 5] = False


class Mount(Message, frozen=True):
    """A mount of a command. `type` is bind (0), secret (1), ssh (2), cache (3) or tmpfs (4)."""

    input: Annotated[int, 1] = 0
    selector: Annotated[str, 2] = ""
    target: Annotated[str, 3] = ""
    output: Annotated[int, 4] = 0
    read_only: Annotated[bool, 5] = False
    type: Annotated[int, 6] = 0
    tmpfs: Annotated[TmpfsOpt | None, 19] = None
    cache: Annotated[CacheOpt | None, 20] = None
    secret: Annotated[SecretOpt | None, 21] = None
    agent: Annotated[SecretOpt | None, 22] = None


class ExecOp(Message, frozen=True):
    """Run a command. `network` is default (0), host (1) or none (2); `security` 1 is a privileged one."""

    meta: Annotated[Meta | None, 1] = None
    mounts: Annotated[tuple[Mount, ...], 2] = ()
    network: Annotated[int, 3] = 0
    security: Annotated[int, 4] = 0
    secrets: Annotated[tuple[SecretEnv, ...], 5] = ()
    devices: Annotated[tuple[Device, ...], 6] = ()


class SourceOp(Message, frozen=True):
    """Something that comes from outside, by its address."""

    identifier: Annotated[str, 1] = ""
    attributes: Annotated[dict[str, str], 2] = _map


class NamedUserOpt(Message, frozen=True):
    """A user or group by name, as the files of an input know it."""

    name: Annotated[str, 1] = ""
    input: Annotated[int, 2] = 0


class UserOpt(Message, frozen=True):
    """A user or group, by name or number."""

    by_name: Annotated[NamedUserOpt | None, 1] = None
    by_id: Annotated[int | None, 2] = None


class ChownOpt(Message, frozen=True):
    """An owner."""

    user: Annotated[UserOpt | None, 1] = None
    group: Annotated[UserOpt | None, 2] = None


class CopyAction(Message, frozen=True):
    """Copy files. `mode` -1 leaves modes, a `timestamp` of -1 leaves times."""

    source: Annotated[str, 1] = ""
    destination: Annotated[str, 2] = ""
    owner: Annotated[ChownOpt | None, 3] = None
    mode: Annotated[int, 4] = 0
    follow: Annotated[bool, 5] = False
    contents: Annotated[bool, 6] = False
    unpack: Annotated[bool, 7] = False
    make_destination: Annotated[bool, 8] = False
    wildcard: Annotated[bool, 9] = False
    may_match_nothing: Annotated[bool, 10] = False
    timestamp: Annotated[int, 11] = 0
    include: Annotated[tuple[str, ...], 12] = ()
    exclude: Annotated[tuple[str, ...], 13] = ()
    replace: Annotated[bool, 14] = False
    mode_text: Annotated[str, 15] = ""
    required: Annotated[tuple[str, ...], 16] = ()


class MakeFileAction(Message, frozen=True):
    """Write a file."""

    path: Annotated[str, 1] = ""
    mode: Annotated[int, 2] = 0
    data: Annotated[bytes, 3] = b""
    owner: Annotated[ChownOpt | None, 4] = None
    timestamp: Annotated[int, 5] = 0


class LinkAction(Message, frozen=True):
    """Make a symbolic link at `path` with the text `target`."""

    target: Annotated[str, 1] = ""
    path: Annotated[str, 2] = ""
    owner: Annotated[ChownOpt | None, 3] = None
    timestamp: Annotated[int, 4] = 0


class MakeDirectoryAction(Message, frozen=True):
    """Make a directory."""

    path: Annotated[str, 1] = ""
    mode: Annotated[int, 2] = 0
    parents: Annotated[bool, 3] = False
    owner: Annotated[ChownOpt | None, 4] = None
    timestamp: Annotated[int, 5] = 0


class RemoveAction(Message, frozen=True):
    """Delete a file or directory."""

    path: Annotated[str, 1] = ""
    may_be_missing: Annotated[bool, 2] = False
    wildcard: Annotated[bool, 3] = False


class FileAction(Message, frozen=True):
    """One change of files."""

    input: Annotated[int, 1] = 0
    second_input: Annotated[int, 2] = 0
    output: Annotated[int, 3] = 0
    copy: Annotated[CopyAction | None, 4] = None
    make_file: Annotated[MakeFileAction | None, 5] = None
    make_directory: Annotated[MakeDirectoryAction | None, 6] = None
    remove: Annotated[RemoveAction | None, 7] = None
    link: Annotated[LinkAction | None, 8] = None


class FileOp(Message, frozen=True):
    """Change files."""

    actions: Annotated[tuple[FileAction, ...], 2] = ()


class NestedBuildOp(Message, frozen=True):
    """Build a graph that lies in a file of another one."""


class LayerInput(Message, frozen=True):
    """An input that is put on others, or compared."""

    input: Annotated[int, 1] = 0


class MergeOp(Message, frozen=True):
    """Put inputs on top of each other."""

    inputs: Annotated[tuple[LayerInput, ...], 1] = ()


class DiffOp(Message, frozen=True):
    """Take what the upper input has and the lower one has not."""

    lower: Annotated[LayerInput | None, 1] = None
    upper: Annotated[LayerInput | None, 2] = None


class PassthroughOp(Message, frozen=True):
    """Give inputs on as outputs."""

    id: Annotated[str, 1] = ""
    outputs: Annotated[tuple[int, ...], 2] = ()


class Op(Message, frozen=True):
    """A vertex of a graph, or without an operation its end."""

    inputs: Annotated[tuple[Input, ...], 1] = ()
    exec: Annotated[ExecOp | None, 2] = None
    source: Annotated[SourceOp | None, 3] = None
    file: Annotated[FileOp | None, 4] = None
    build: Annotated[NestedBuildOp | None, 5] = None
    merge: Annotated[MergeOp | None, 6] = None
    diff: Annotated[DiffOp | None, 7] = None
    passthrough: Annotated[PassthroughOp | None, 8] = None
    platform: Annotated[Platform | None, 10] = None


class OpMetadata(Message, frozen=True):
    """What is told of a vertex and does not decide about its result."""

    ignore_cache: Annotated[bool, 1] = False
    description: Annotated[dict[str, str], 2] = _map
    group: Annotated[ProgressGroup | None, 6] = None


class MappedFile(Message, frozen=True):
    """A file that operations are from, with the graph that it is from itself."""

    filename: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""
    definition: Annotated[Definition | None, 3] = None
    language: Annotated[str, 4] = ""


class Location(Message, frozen=True):
    """Lines of a file, which is named by its place in the list of files."""

    file: Annotated[int, 1] = 0
    ranges: Annotated[tuple[LineRange, ...], 2] = ()


class Locations(Message, frozen=True):
    """Where an operation is from."""

    locations: Annotated[tuple[Location, ...], 1] = ()


class SourceMap(Message, frozen=True):
    """Where operations are from, by their digests."""

    locations: Annotated[dict[str, Locations], 1] = _map
    files: Annotated[tuple[MappedFile, ...], 2] = ()
