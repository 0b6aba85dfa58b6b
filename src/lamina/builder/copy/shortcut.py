"""COPY --from without reading the image again: its layers never change, so the sums of an earlier build still hold."""

from __future__ import annotations

import msgspec

from lamina.builder.cache import COPIES, Step
from lamina.builder.stage import StageState
from lamina.builder.work import Work
from lamina.dockerfile.instructions import Copy
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.unicode import valid_unicode
from lamina.images.image import Image


class _Known(msgspec.Struct, array_like=True):
    created_by: str
    content: str


def _key(state: StageState, instruction: Copy, origin: Image) -> str:
    asked = [
        [str(diff_id) for diff_id in origin.config.diff_ids],
        instruction.sources,
        instruction.destination,
        instruction.chown,
        instruction.chmod,
        instruction.exclude,
        instruction.parents,
        state.config.shell,
        [(file.name, file.text) for file in instruction.inline],
    ]
    return str(Digest.of(encode_key(asked)))


def remembered(work: Work, state: StageState, instruction: Copy, origin: Image) -> Step | None:
    """The step that this COPY is, where an earlier build of the same layers found out; None where it did not."""
    with work.rooms.store.read() as tx:
        raw = tx.get(COPIES, _key(state, instruction, origin))
    if raw is None:
        return None
    known = msgspec.msgpack.decode(raw, type=_Known)
    return work.step(state, known.created_by, state.config, known.content)


def remember(work: Work, state: StageState, instruction: Copy, origin: Image, step: Step) -> None:
    """Keep what a COPY came to; `state` as it was before the step."""
    raw = msgspec.msgpack.encode(_Known(valid_unicode(step.created_by), step.content))
    with work.rooms.store.transaction() as tx:
        tx.put(COPIES, _key(state, instruction, origin), raw)
