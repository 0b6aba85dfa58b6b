"""The keys that BuildKit would give to the steps of a build. A step whose key is not certain has none.

They are only asked for in a build that imports or exports a cache: hashing copied files as BuildKit does reads them.
"""

from __future__ import annotations

from contextlib import suppress

from lamina.builder.build_run import BuildRun
from lamina.builder.buildkit_keys.content_hash import HashedTree, Undecided
from lamina.builder.buildkit_keys.copy_keys import CopyOrigin, copy_record, is_linked, merged
from lamina.builder.buildkit_keys.key_records import KeyRecord, links_to, record_of
from lamina.builder.buildkit_keys.mount_keys import MountSource, exec_mounts
from lamina.builder.buildkit_keys.operations import (
    EMPTY,
    FileAction,
    Process,
    exec_operation,
    file_operation,
    filled,
    owner_member,
)
from lamina.builder.buildkit_keys.stage_keys import StageKeys, clean
from lamina.builder.context.git_address import is_git
from lamina.builder.copy.add import remote_words
from lamina.builder.stage import StageState
from lamina.builder.stage_images import FileOrigin, origin_for
from lamina.dockerfile import instructions as say
from lamina.dockerfile.mounts import MountFlag

_NETWORKS = {"default": 0, "host": 1, "none": 2}


def find_run_key(
    work: BuildRun,
    state: StageState,
    instruction: say.Run,
    arguments: tuple[str, ...],
    mounts: tuple[MountFlag, ...],
    files: tuple[tuple[str, bytes], ...],
) -> None:
    """Give a RUN whose words are expanded its key. `files` is the script that is mounted for it, if there is one."""
    keys, request = state.keys, work.request
    if keys is None or not keys.output or instruction.devices or instruction.security != "sandbox":
        return
    if request.extra_hosts or request.ulimits or request.shm_size or request.cgroup_parent:
        return
    network = _NETWORKS.get(instruction.network if instruction.network != "default" else request.network)
    if network is None or keys.environment != _seen(state):
        return
    with suppress(Undecided, UnicodeError):
        sources = [(flag, _mounted(work, flag) if flag.type == "bind" else None) for flag in mounts]
        mounted = exec_mounts(keys, keys.output, sources, files[0] if files else None)
        process = Process(
            arguments,
            keys.environment,
            keys.directory,
            keys.user,
            work.host_name,
            network,
            mounted.members,
            mounted.secrets,
        )
        work.current.key = record_of(exec_operation(process, state.platform.normalised()), mounted.inputs)
        origins = (source.files for _, source in sources if source is not None)
        work.current.hashed += [origin.files for origin in origins if origin is not None]


def _mounted(work: BuildRun, flag: MountFlag) -> MountSource:
    """Return what a bind mount shows."""
    origin = origin_for(work, flag.source_image) if flag.source_image else None
    files = _files_of(work, origin)
    if files is None:
        raise Undecided("no context")
    return MountSource(files.output, files)


def _seen(state: StageState) -> dict[str, str]:
    """Return the variables that a RUN sees here. Where ARG and ENV set the same name, BuildKit may see others."""
    return {**state.args.declared(state.env), **state.env}


def workdir_key(state: StageState, instruction: say.Workdir) -> KeyRecord | None:
    """Return the key of a WORKDIR whose path is expanded."""
    keys = state.keys
    if keys is None or keys.output is None:
        return None
    base, path = 0 if keys.output else EMPTY, clean(keys.directory_at(instruction.path))
    if base == EMPTY and keys.user:
        return None
    owner = {"owner": owner_member(keys.user, base)}
    make = filled({"path": path, "mode": 0o755, "makeParents": True, **owner, "timestamp": -1})
    try:
        return record_of(file_operation([FileAction(make, base)]), [links_to(keys.output)] if keys.output else [])
    except UnicodeError:
        return None


def find_copy_key(
    work: BuildRun, state: StageState, instruction: say.Copy | say.Add, origin: FileOrigin | None
) -> None:
    """Give a COPY or ADD whose words are expanded its key. `origin` is None for the build context.

    The files are read again when they are copied. A key of files that change meanwhile stands for none.
    """
    keys = state.keys
    if keys is None or not _is_followed(instruction):
        return
    with suppress(Undecided, UnicodeError):
        read = _files_of(work, origin)
        record = copy_record(keys, instruction, read)
        if is_linked(instruction):
            work.current.linked_key = record
        work.current.key = merged(keys.output, record) if is_linked(instruction) else record
        work.current.hashed += [read.files] if read is not None else []


def _is_followed(instruction: say.Copy | say.Add) -> bool:
    """Return whether all sources are files that are here, or one is a download with a checksum."""
    remote = remote_words(instruction.sources)[1]
    if not remote:
        return True
    is_alone = len(instruction.sources) == 1 and not instruction.inline and not is_git(instruction.sources[0])
    return is_alone and isinstance(instruction, say.Add) and bool(instruction.checksum)


def _files_of(work: BuildRun, origin: FileOrigin | None) -> CopyOrigin | None:
    if origin is None:
        tree = work.context.tree
        return None if tree is None else CopyOrigin(HashedTree(tree, True, work.cancellation))
    if not origin.output:
        raise Undecided("files without a key")
    return CopyOrigin(HashedTree(work.files_of(origin.image).tree, False, work.cancellation), origin.output)


def begin_keys(work: BuildRun, state: StageState, origin: FileOrigin) -> None:
    """Give a stage the keys that it begins with, if the build exchanges a cache. `origin` is what it is built on."""
    if work.exchanges_cache and state.args.epoch_ns is None:
        state.keys = StageKeys.begin(state.config, origin.output, origin.keys)


def go_on(state: StageState, instruction: say.Instruction, key: KeyRecord | None) -> None:
    """Note that a stage went on by a step. `instruction` is expanded, and `key` is that of its files."""
    keys = state.keys
    if keys is None:
        return
    match instruction:
        case say.Workdir():
            keys.directory = keys.directory_at(instruction.path)
            if keys.directory != "/":
                keys.output = (key,) if key else None
        case say.Run() | say.Copy() | say.Add():
            keys.output = (key,) if key else None
        case _:
            keys.advance(instruction, state.args.values())
