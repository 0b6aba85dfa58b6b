"""What `FROM`, `--from` and `from=` name: a stage, or an image."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.builder.build_run import BuildRun
from lamina.builder.buildkit_keys.key_records import Output
from lamina.builder.buildkit_keys.stage_keys import StageKeys, output_of_image
from lamina.builder.stage import StageState
from lamina.dockerfile.position import Problem
from lamina.images.image import Image


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """The files that a step reads: those of an image, None for an empty one.

    `output` are BuildKit's keys of these files, None where they have none. `keys` are those of a stage.
    """

    image: Image | None
    output: Output | None
    keys: StageKeys | None = None

    @classmethod
    def of_stage(cls, state: StageState) -> FileOrigin:
        """Return what a stage became."""
        return cls(state.image, state.keys.output if state.keys else None, state.keys)

    @classmethod
    def of_image(cls, work: BuildRun, name: str, image: Image | None) -> FileOrigin:
        """Return an image. One that a named context stands for has no keys."""
        return cls(image, None if work.rooms.contexts.has(name) else output_of_image(image))


def origin_for(work: BuildRun, name: str) -> FileOrigin:
    """Return what `--from` or `from=` names.

    Stages, by name or number, come before images. Raise Problem for the present stage and for later ones, and what
    `resolve_base` raises.
    """
    state = work.stages.named(name.lower(), before=work.stage)
    if state is not None:
        return FileOrigin.of_stage(state)
    if "$" in name:
        raise Problem(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope"
            " as a workaround"
        )
    if any(stage.name == name.lower() for stage in work.file.stages[work.stage + 1 :]):
        current = work.file.stages[work.stage].name or f"stage-{work.stage}"
        raise Problem(
            f'cannot copy from stage "{name.lower()}", it needs to be defined before current stage "{current}"'
        )
    if name.isdecimal():
        index = int(name)
        if index == work.stage:
            raise Problem(f"invalid from flag value {name}: refers to current build stage")
        if index > work.stage:
            raise Problem(f"invalid from flag value {name}: index out of bounds", "Stages are counted from 0.")
        return FileOrigin.of_stage(work.stages.at(index))
    if name == "scratch":
        return FileOrigin.of_image(work, name, None)
    return FileOrigin.of_image(work, name, work.resolve(name, work.requested_platform))


def image_for(work: BuildRun, name: str) -> Image | None:
    """Return the image that `--from` or `from=` names; None for an empty stage. Raise what `origin_for` raises."""
    return origin_for(work, name).image
