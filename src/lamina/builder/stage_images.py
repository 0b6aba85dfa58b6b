"""What `--from` and `from=` name: a stage, or an image."""

from __future__ import annotations

from lamina.builder.build_run import BuildRun
from lamina.dockerfile.position import Problem
from lamina.images.image import Image


def image_for(work: BuildRun, name: str) -> Image | None:
    """Return the image that `--from` or `from=` names; None for an empty stage.

    Stages, by name or number, come before images. Raise Problem for the present stage and for later ones, and what
    `resolve_base` raises.
    """
    state = work.stages.named(name.lower(), before=work.stage)
    if state is not None:
        return state.image
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
        return work.stages.at(index).image
    if name == "scratch":
        return None
    return work.resolve(name, work.requested_platform)
