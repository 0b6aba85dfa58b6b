"""The steps of a build: what each instruction does to its stage.

Rule: moby's classic builder, builder/dockerfile/dispatchers.go, as of dockerd 20.10.
"""

from __future__ import annotations

from lamina.builder.build_run import BuildRun
from lamina.builder.buildkit_keys.step_keys import find_copy_key, go_on, workdir_key
from lamina.builder.console import new_id
from lamina.builder.copy.ownership import owner_of_user
from lamina.builder.copy.step import copy_step
from lamina.builder.layer_plan import LayerPlan, write_files
from lamina.builder.run.step import run_step
from lamina.builder.stage import StageState
from lamina.builder.stage_images import origin_for
from lamina.builder.wording import comment, file_nop, nop
from lamina.dockerfile import instructions as say
from lamina.dockerfile.expansion import Expansion
from lamina.formats.config import RunConfig
from lamina.images.config_changes import effect


def perform(work: BuildRun, state: StageState, instruction: say.Instruction) -> None:
    """Do one instruction. Raise Problem for a mistake in it, and what the store and the images raise."""
    expanded = Expansion(state.words(), work.file.escape, state.args.overridden).apply(instruction)
    _perform(work, state, expanded)
    key = work.current.certain_key
    go_on(state, expanded, key)
    if key is not None and state.image is not None:
        work.cache.note_key(key, state.image.config.diff_ids)


def _perform(work: BuildRun, state: StageState, expanded: say.Instruction) -> None:
    match expanded:
        case say.Run():
            run_step(work, state, expanded)
        case say.Copy():
            _copy(work, state, expanded)
        case say.Add():
            find_copy_key(work, state, expanded, None)
            copy_step(work, state, expanded, None, from_image=False)
        case say.Workdir():
            _workdir(work, state, expanded)
        case _:
            _metadata(work, state, expanded)


def _metadata(work: BuildRun, state: StageState, instruction: say.Instruction) -> None:
    """Run a step that changes only the config or the history."""
    if isinstance(instruction, say.Maintainer):
        state.author = instruction.author
    if isinstance(instruction, say.Arg):
        for name, default in instruction.arguments:
            state.args.declare(name, default)
    config = effect(state.config, instruction, cmd_set=state.cmd_set)
    if isinstance(instruction, say.Healthcheck):
        _note_override(work, state)
    if isinstance(instruction, say.Cmd) and instruction.command.arguments:
        state.cmd_set = True
    _commit_nothing(work, state, config, nop(config, comment(instruction, config)))


def _note_override(work: BuildRun, state: StageState) -> None:
    before = state.config.healthcheck
    if before is not None and before.test and before.test[0] != "NONE":
        work.console.line(f"Note: overriding previous HEALTHCHECK: [{' '.join(before.test)}]")


def _commit_nothing(work: BuildRun, state: StageState, config: RunConfig, created_by: str) -> None:
    step = work.step(state, created_by, config)
    if work.hit(state, step):
        return
    container = new_id()
    work.console.running(container)
    work.commit(state, step, None, state.time_ns, {"base": state.image_id, "instruction": created_by})
    if work.request.remove or work.request.force_remove:
        work.console.removed(container)


def _workdir(work: BuildRun, state: StageState, instruction: say.Workdir) -> None:
    """Make the directory of WORKDIR where it is missing. It belongs to the user of USER, as in BuildKit."""
    work.current.key = workdir_key(state, instruction)
    config = effect(state.config, instruction)
    created_by = file_nop(config, f"WORKDIR {config.working_dir}")
    step = work.step(state, created_by, config)
    if work.hit(state, step):
        return
    owner = owner_of_user(config.user, state.files.tree)
    inputs = work.inputs(state, {"directory": config.working_dir, "owner": f"{owner.uid}:{owner.gid}"})
    if work.reuse(state, step, inputs):
        return
    container = new_id()
    work.console.running(container)
    plan = LayerPlan(state.files.tree)
    plan.make_directories(plan.resolve(config.working_dir), uid=owner.uid, gid=owner.gid)
    layer = work.rooms.store.layers.write(lambda builder: write_files(builder, plan.members(state.time_ns)))
    work.commit(state, step, layer, state.time_ns, inputs)
    if work.request.remove or work.request.force_remove:
        work.console.removed(container)


def _copy(work: BuildRun, state: StageState, instruction: say.Copy) -> None:
    if not instruction.source_image:
        find_copy_key(work, state, instruction, None)
        copy_step(work, state, instruction, None, from_image=False)
        return
    origin = origin_for(work, instruction.source_image)
    find_copy_key(work, state, instruction, origin)
    copy_step(work, state, instruction, origin.image, from_image=True)
