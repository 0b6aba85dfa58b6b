"""What decides about the files that a RUN makes, and so whether it must run again.

Rule: moby/buildkit, solver/llbsolver/ops/exec.go: the process with its arguments, environment, user and directory,
network and hosts, and the mounts with the content that they show. Secrets and ssh agents count by name only, limits of
memory and CPU not at all. Of build arguments those count that an ARG has declared. A stage counts by its files, never
by its name.
"""

from __future__ import annotations

import posixpath

from lamina.builder.build_run import BuildRun
from lamina.builder.cache.step_cache import COPIES
from lamina.builder.copy.missing import MissingSource
from lamina.builder.copy.sources import fingerprint, relative, source_at
from lamina.builder.stage import StageState
from lamina.builder.stage_images import image_for
from lamina.dockerfile.instructions import Run
from lamina.dockerfile.mounts import MountFlag
from lamina.dockerfile.position import Problem
from lamina.formats.config import chain_ids
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.images.image import Image


def run_inputs(
    work: BuildRun,
    state: StageState,
    instruction: Run,
    arguments: tuple[str, ...],
    mounts: tuple[MountFlag, ...],
) -> dict[str, str]:
    """Return the inputs by name. Raise Problem for a mount whose source is missing."""
    config, request = state.config, work.request
    inputs = {
        "command": encode_key(arguments).decode(),
        "user": config.user,
        "directory": posixpath.normpath(config.working_dir or "/"),
        "network": instruction.network if instruction.network != "default" else request.network,
    }
    if instruction.security != "sandbox":
        inputs["security"] = instruction.security
    inputs |= {f"device {number}": text for number, text in enumerate(instruction.devices)}
    if work.host_name:
        inputs["host name"] = work.host_name
    inputs |= {f"environment {name}": value for name, value in state.env.items()}
    inputs |= {f"argument {name}": value for name, value in state.args.declared(state.env).items()}
    inputs |= {f"document {file.name}": file.text for file in instruction.command.files}
    inputs |= {f"host {number}": host for number, host in enumerate(request.extra_hosts)}
    inputs |= {f"limit {limit.name}": f"{limit.soft}:{limit.hard}" for limit in request.ulimits}
    for number, flag in enumerate(mounts):
        inputs[f"mount {flag.target or number}"] = _mount(work, flag)
    return work.inputs(state, inputs)


def _mount(work: BuildRun, flag: MountFlag) -> str:
    content = ""
    if flag.type == "bind" or flag.source_image:
        content = _image_content(work, flag) if flag.source_image else _context_content(work, flag)
    fields = [flag.type, flag.id, flag.sharing, flag.readonly, flag.required, flag.size, flag.mode, flag.uid, flag.gid]
    return encode_key([*fields, flag.env, flag.source, content]).decode()


def _context_content(work: BuildRun, flag: MountFlag) -> str:
    tree = work.context.tree
    if tree is None:
        raise Problem("no build context to mount", "Give a folder instead of a Dockerfile alone.")
    missing = MissingSource(work.context.root, work.context.ignored)
    source = source_at(tree, relative(flag.source), missing, context=True)
    return fingerprint([source], {id(tree): work.context.sums})


def _image_content(work: BuildRun, flag: MountFlag) -> str:
    """Return what stands for the files of an image: its layers, or the content of the part that is mounted."""
    image = image_for(work, flag.source_image)
    layers = image.config.diff_ids if image is not None else ()
    chain = chain_ids(layers)[-1] if layers else ""
    if not posixpath.normpath(f"/{flag.source}").strip("/"):
        return chain
    key = str(Digest.of(encode_key(["mount", chain, flag.source])))
    with work.rooms.store.read() as tx:
        known = tx.get(COPIES, key)
    if known is not None:
        return known.decode()
    content = _part_content(work, image, flag)
    with work.rooms.store.transaction() as tx:
        tx.put(COPIES, key, content.encode())
    return content


def _part_content(work: BuildRun, image: Image | None, flag: MountFlag) -> str:
    tree = work.files_of(image).tree
    source = source_at(tree, relative(flag.source), MissingSource(), context=False)
    return fingerprint([source], {id(tree): work.sums_of(image)})
