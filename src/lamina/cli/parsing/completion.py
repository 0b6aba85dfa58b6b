"""What the shell offers for a word that is being typed: commands, flags, and names that the daemon knows.

The scripts of `lamina completion` run lamina with `_LAMINA_COMPLETE` set to the shell, the words of the line in
COMP_WORDS, and in COMP_CWORD the number of the word (fish: the word itself).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lamina.cli.catalog import COMMANDS, GROUPS, names_in
from lamina.cli.parsing.declare import Argument, Choice, Command, Option, Parameter
from lamina.cli.parsing.errors import HelpWanted, WrongUsage
from lamina.cli.parsing.parse import parse_flags, read_words
from lamina.cli.program import PROGRAM, load
from lamina.cli.session import Session
from lamina.errors import LaminaError
from lamina.formats.text import printable

_TYPED = "\0"  # stands for the word being typed; no word of a command line is like it


class Offer(NamedTuple):
    """A word and what it means, "" where that is plain."""

    word: str
    meaning: str = ""


def answer_shell(environment: Mapping[str, str]) -> int:
    """Print what to offer, as the script of `lamina completion` for this shell reads it. Return the exit code."""
    shell = environment["_LAMINA_COMPLETE"].removesuffix("_complete")
    words, typed = _line(environment, shell)
    for word, meaning in offers(words, typed):
        if shell == "zsh":
            print(f"plain\n{word}\n{meaning or '_'}")
        else:
            print(f"plain,{word}\t{meaning}" if meaning and shell == "fish" else f"plain,{word}")
    return 0


def offers(words: list[str], typed: str) -> list[Offer]:
    """Return what may stand for the word `typed` behind `words`; lamina's own name is not among them."""
    try:
        flags, rest = parse_flags(PROGRAM, [*words, _TYPED])
        size = 0  # of the group's name, in words
        while size < len(rest) and " ".join(rest[: size + 1]) in GROUPS:
            size += 1
        if rest[size:] == [_TYPED]:
            return list(_members(" ".join(rest[:size]), typed))
        size += 1
        path = " ".join(rest[:size])
        return list(_in_command(load(path), rest[size:], typed, flags)) if path in COMMANDS else []
    except (HelpWanted, WrongUsage, IndexError):
        return []


def _line(environment: Mapping[str, str], shell: str) -> tuple[list[str], str]:
    """Return the words before the one that is being typed, and that one."""
    words = _split(environment.get("COMP_WORDS", ""))[1:]
    position = environment.get("COMP_CWORD", "")
    if shell == "fish":
        return (words[:-1] if position and words[-1:] == [position] else words), position
    index = int(position) - 1 if position.isdecimal() else len(words)
    return words[:index], words[index] if index < len(words) else ""


def _split(line: str) -> list[str]:
    """Return the words of a line, as far as its quotes are closed."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # the last quote is still open
        words.append(lexer.token)
    return words


def _members(group: str, typed: str) -> Iterator[Offer]:
    if typed.startswith("-"):
        yield from _flags(PROGRAM, typed) if not group else ()
        return
    for name in names_in(group):
        path = f"{group} {name}".lstrip()
        entry = COMMANDS.get(path)
        if name.startswith(typed) and not (entry and entry.hidden):
            yield Offer(name, entry.summary if entry else GROUPS[path])


def _in_command(command: Command, words: list[str], typed: str, flags: Mapping[str, Any]) -> Iterator[Offer]:
    finished, rest = read_words(command, words)
    parameter: Parameter | None = None
    if finished and finished[-1][1] == _TYPED:
        parameter = finished[-1][0]
    elif typed.startswith("-") and not (command.passes_on and len(rest) > 1):
        yield from _flags(command, typed)
        return
    elif command.arguments:
        parameter = _argument(command.arguments, len(rest) - 1)
    if parameter is not None:
        yield from map(Offer, _values(parameter, typed, flags))


def _argument(arguments: list[Argument], position: int) -> Argument | None:
    if position < len(arguments):
        return arguments[position]
    return arguments[-1] if arguments[-1].many else None


def _flags(command: Command, typed: str) -> Iterator[Offer]:
    for option in command.options:
        if not option.hidden:
            yield from _spelled(option, typed)
    yield from (Offer(name, "Show this message and exit.") for name in command.help_names if name.startswith(typed))


def _spelled(option: Option, typed: str) -> Iterator[Offer]:
    for name in (*option.names, *option.negatives):
        if name.startswith(typed):
            yield Offer(name, option.help)


def _values(parameter: Parameter, typed: str, flags: Mapping[str, Any]) -> list[str]:
    """Return the values of a parameter that begin so: of a choice, or of what the daemon has."""
    if isinstance(parameter.convert, Choice):
        return [word for word in parameter.convert.words if word.startswith(typed)]
    if parameter.complete is None:
        return []
    try:
        with Session(flags) as session:
            if session.settings.is_default and not session.is_up:
                return []  # pressing Tab must not start a daemon
            names = [name for name in parameter.complete(session) if name.startswith(typed)]
            return sorted(name for name in names if name == printable(name))  # the shell would show it
    except LaminaError:
        return []
