"""What a COPY became in an earlier build, so that its files need not be looked at one by one.

Layers of an image never change: a COPY --from is known by them. A folder on disk may change, so a COPY from the context
is known by the state of all files that it copies (`context.tree_state`).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lamina.builder.build_run import BuildRun
from lamina.builder.cache.step_cache import COPIES, Step
from lamina.builder.context.tree_state import tree_state
from lamina.builder.copy.sources import relative
from lamina.builder.stage import StageState
from lamina.dockerfile.instructions import Add, Copy
from lamina.dockerfile.position import Problem
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.matching import has_wildcards
from lamina.formats.text import valid_unicode
from lamina.images.image import Image


class _Row(msgspec.Struct, array_like=True):
    created_by: str
    content: str
    state: str = ""  # of the files of a context


@dataclass(frozen=True, slots=True)
class CopyMemory:
    """The memory of one COPY, taken before its files are read. `state` is that of its files where they may change."""

    key: str
    state: str = ""
    settled: bool = True

    @classmethod
    def of(
        cls, work: BuildRun, state: StageState, instruction: Copy | Add, origin: Image | None, from_image: bool
    ) -> CopyMemory | None:
        """Return the memory of an instruction; None where nothing can be remembered of it."""
        if not isinstance(instruction, Copy):
            return None
        if from_image:
            return None if origin is None else cls(_key(state, instruction, list(map(str, origin.config.diff_ids))))
        paths = _context_paths(work, instruction)
        files = None if paths is None else tree_state(work.context.tree, paths)
        if files is None:
            return None
        ignored = [] if work.context.ignored is None else [str(each) for each in work.context.ignored.patterns]
        return cls(_key(state, instruction, [work.context.identity, *ignored]), files.digest, files.settled)

    def recall(self, work: BuildRun, state: StageState) -> Step | None:
        """Return the step that an earlier build made of the same files; None without such a build."""
        with work.rooms.store.read() as tx:
            raw = tx.get(COPIES, self.key)
        if raw is None:
            return None
        row = msgspec.msgpack.decode(raw, type=_Row)
        return work.step(state, row.created_by, state.config, row.content) if row.state == self.state else None

    def keep(self, work: BuildRun, step: Step) -> None:
        """Remember the step that the COPY became. Nothing is kept of files that changed a moment ago."""
        if not self.settled:
            return
        raw = msgspec.msgpack.encode(_Row(valid_unicode(step.created_by), step.content, self.state))
        with work.rooms.store.transaction() as tx:
            tx.put(COPIES, self.key, raw)


def _context_paths(work: BuildRun, instruction: Copy) -> list[str] | None:
    """Return the paths that a COPY names in a folder on disk; None for wildcards, and where the cache is not used."""
    if not work.context.identity or work.request.no_cache or any(map(has_wildcards, instruction.sources)):
        return None
    try:
        return [relative(word) for word in instruction.sources]
    except Problem:
        return None  # the step itself will raise it


def _key(state: StageState, instruction: Copy, origin: list[str]) -> str:
    """Return the key of a COPY as it is written. `origin` names the image or the context that it copies from."""
    flags = [
        origin,
        instruction.sources,
        instruction.destination,
        instruction.chown,
        instruction.chmod,
        instruction.exclude,
        instruction.parents,
        state.config.shell,
        [(file.name, file.text) for file in instruction.inline],
    ]
    return str(Digest.of(encode_key(flags)))
