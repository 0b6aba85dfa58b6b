"""From the words of a command line to the values of a function's parameters.

The rules are those of pflag, which Docker's command line is made with: `--name=value`, `--name value`, `-nvalue`,
`-n=value`, switches in one word (`-it`), `--switch=false`, and `--` before words that only look like flags.
"""

from __future__ import annotations

import os

from lamina.cli.parsing.declare import Option, parse_bool
from lamina.cli.parsing.errors import HelpWanted, WrongFlag, WrongUsage
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lamina.cli.parsing.declare import Argument, Command, Parameter

_HELP = Option(("--help",), help="Show this message and exit.", is_switch=True)


def parse(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Return the value of each parameter. Raise HelpWanted, WrongFlag and WrongUsage."""
    values, rest = parse_flags(command, words)
    values |= _arguments(command.arguments, rest)
    return values


def parse_flags(command: Command, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of the flags, and the words that are none. Raise HelpWanted and WrongFlag."""
    flags, rest = read_words(command, words)
    if any(option is _HELP for option, _ in flags):
        raise HelpWanted
    values: dict[str, Any] = {}
    for option, text in flags:
        value = text if isinstance(text, bool) else option.bare if text is None else _converted(option, text)
        values[option.name] = (*values.get(option.name, ()), value) if option.multiple else value
    for option in command.options:
        if option.name not in values:
            values[option.name] = _default(option)
    return values, rest


def read_words(command: Command, words: Sequence[str]) -> tuple[list[tuple[Option, str | bool | None]], list[str]]:
    """Return the flags in the order they were given, and the words that are none.

    The text of a flag is True or False for a switch, and None where it may stand without a value and does. Raise
    WrongFlag.
    """
    reader = _Reader(command, words)
    while reader.left:
        word = reader.left.pop(0)
        if word == "--":
            break
        if word == "-" or not word.startswith("-"):
            reader.rest.append(word)
            if command.passes_on:
                break
        elif word.startswith("--"):
            reader.long(word)
        else:
            reader.short(word)
    return reader.given, reader.rest + reader.left


class _Reader:
    def __init__(self, command: Command, words: Sequence[str]) -> None:
        self.left = list(words)
        self.rest: list[str] = []
        self.given: list[tuple[Option, str | bool | None]] = []
        self._command = command
        self._options = {name: option for option in command.options for name in option.names}
        self._options |= dict.fromkeys(command.help_names, _HELP)
        self._negatives = {name: option for option in command.options for name in option.negatives}

    def long(self, word: str) -> None:
        name, equals, value = word.partition("=")
        option = self._options.get(name)
        if option is not None:
            self._take(option, name, value if equals else None)
        elif name in self._negatives:
            option = self._negatives[name]
            self.given.append((option, bool(equals) and not _switched(option, value)))
        else:
            raise self._unknown(name)

    def short(self, word: str) -> None:
        """Read `-i`, `-it`, `-n5`, `-n=5`, `-itn5`."""
        letters = word[1:]
        while letters:
            name, letters = f"-{letters[0]}", letters[1:]
            option = self._options.get(name)
            if option is None:
                raise self._unknown(name)
            if option.is_switch and not letters.startswith("="):
                self._take(option, name, None)
                continue
            value = letters.removeprefix("=")
            self._take(option, name, value if letters else None)
            return

    def _take(self, option: Option, name: str, value: str | None) -> None:
        if option.is_switch:
            self.given.append((option, value is None or _switched(option, value)))
        elif value is not None:
            self.given.append((option, value))
        elif option.bare is not None:
            is_value = bool(self.left) and not option.attached and not self.left[0].startswith("-")
            self.given.append((option, self.left.pop(0) if is_value else None))
        elif self.left:
            self.given.append((option, self.left.pop(0)))
        else:
            raise WrongFlag(f"Option '{name}' requires an argument")

    def _unknown(self, name: str) -> WrongFlag:
        from lamina.cli.parsing.errors import unknown_flag

        return unknown_flag(name, [*self._options, *self._negatives])


def _switched(option: Option, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError as error:
        raise WrongFlag(f"Invalid value for {option.label}: {error}") from None


def _arguments(arguments: Sequence[Argument], words: Sequence[str]) -> dict[str, Any]:
    """Give each argument its word, and the last one all that are left if it takes many. Raise WrongUsage."""
    values: dict[str, Any] = {}
    left = list(words)
    for argument in arguments:
        taken, left = (left, []) if argument.many else (left[:1], left[1:])
        if not taken and argument.required:
            raise WrongUsage(f"Missing argument {argument.label}")
        converted = [_converted(argument, word) for word in taken]
        values[argument.name] = tuple(converted) if argument.many else converted[0] if converted else argument.default
    if left:
        words_are = "argument" if len(left) == 1 else "arguments"
        raise WrongUsage(f"Got unexpected extra {words_are} ({' '.join(left)})")
    return values


def _converted(parameter: Parameter, text: str) -> object:
    try:
        return parameter.convert(text)
    except ValueError as error:
        raise WrongFlag(f"Invalid value for {parameter.label}: {error}") from None


def _default(option: Option) -> object:
    text = os.environ.get(option.envvar) if option.envvar else None
    return _converted(option, text) if text else option.default
