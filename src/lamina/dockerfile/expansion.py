"""Which parts of which instruction are expanded, and how.

Rule: Dockerfile reference, "Environment replacement". RUN, CMD, ENTRYPOINT and HEALTHCHECK are left to the shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.instructions import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    InlineFile,
    Instruction,
    Label,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lamina.dockerfile.position import Problem
from lamina.dockerfile.split import Pair


@dataclass(frozen=True, slots=True)
class Expansion:
    """The words of one instruction, expanded with one set of values.

    Arguments named in `overridden` have a value from outside, so nobody needs the default that an ARG gives them.
    """

    env: Mapping[str, str]
    escape: str = "\\"
    overridden: frozenset[str] = frozenset()

    def word(self, text: str) -> str:
        """Expand one word. Raise Problem as `Lexer.process` does."""
        return Lexer(self.escape).expand(text, self.env)

    def words(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.word(text) for text in texts)

    def _pairs(self, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(replace(pair, name=self.word(pair.name), value=self.word(pair.value)) for pair in pairs)

    def _body(self, file: InlineFile) -> InlineFile:
        if not file.expand:
            return file
        return replace(file, text=Lexer(self.escape, keep_quotes=True).expand(file.text, self.env))

    def _argument(self, argument: tuple[str, str | None]) -> tuple[str, str | None]:
        name, default = self.word(argument[0]), argument[1]
        try:
            return name, None if default is None else self.word(default)
        except Problem:
            if name not in self.overridden:
                raise
            return name, None

    def apply(self, instruction: Instruction) -> Instruction:
        """Expand the parts of an instruction that the language expands. Raise Problem."""
        match instruction:
            case Copy() | Add():
                return self._transfer(instruction)
            case Env():
                return replace(instruction, pairs=self._pairs(instruction.pairs))
            case Label():
                return replace(instruction, pairs=self._pairs(instruction.pairs)) if instruction.expand else instruction
            case Arg():
                return replace(instruction, arguments=tuple(map(self._argument, instruction.arguments)))
            case Workdir():
                return replace(instruction, path=self.word(instruction.path))
            case User():
                return replace(instruction, user=self.word(instruction.user))
            case Volume():
                return replace(instruction, paths=self.words(instruction.paths))
            case StopSignal():
                return replace(instruction, signal=self.word(instruction.signal))
            case Expose():
                lexer = Lexer(self.escape)
                ports = tuple(word for port in instruction.ports for word in lexer.words(port, self.env))
                return replace(instruction, ports=ports)
            case _:
                return instruction

    def _transfer(self, instruction: Copy | Add) -> Copy | Add:
        common = replace(
            instruction,
            sources=self.words(instruction.sources),
            destination=self.word(instruction.destination),
            inline=tuple(self._body(file) for file in instruction.inline),
            chown=self.word(instruction.chown),
            chmod=self.word(instruction.chmod),
            exclude=self.words(instruction.exclude),
        )
        return replace(common, checksum=self.word(common.checksum)) if isinstance(common, Add) else common
