"""How the classic builder words a step in an image's history, byte for byte as dockerd 20.10.

The words are part of the image's digest, and `--cache-from` finds steps by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from lamina.dockerfile import instructions as say
from lamina.formats.config import RunConfig
from lamina.formats.times import format_duration
from lamina.images.config_changes import DEFAULT_SHELL

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def nop(config: RunConfig, comment: str) -> str:
    """Return the words of a step that ran nothing, in the form of most instructions (two spaces)."""
    return " ".join([*(config.shell or DEFAULT_SHELL), "#(nop) ", comment])


def file_nop(config: RunConfig, comment: str) -> str:
    """Return the words of COPY, ADD and WORKDIR, which have one space."""
    return " ".join([*(config.shell or DEFAULT_SHELL), f"#(nop) {comment}"])


def comment(instruction: say.Instruction, config: RunConfig) -> str:
    """Return the comment of a step that only changes the config; `config` is the one after it."""
    match instruction:
        case say.Env():
            return "ENV " + " ".join(map(str, instruction.pairs))
        case say.Label():
            return "LABEL " + " ".join(map(str, instruction.pairs))
        case say.Maintainer():
            return f"MAINTAINER {instruction.author}"
        case say.Cmd():
            return f"CMD {quoted_list(config.cmd or ())}"
        case say.Entrypoint():
            return f"ENTRYPOINT {quoted_list(config.entrypoint or ())}"
        case say.Expose():
            return "EXPOSE " + " ".join(instruction.ports)
        case say.User():
            return f"USER {instruction.user}"
        case say.Volume():
            return f"VOLUME [{' '.join(instruction.paths)}]"
        case say.StopSignal():
            return f"STOPSIGNAL {instruction.signal}"
        case say.Shell():
            return f"SHELL [{' '.join(instruction.arguments)}]"
        case say.OnBuild():
            return f"ONBUILD {instruction.trigger}"
        case say.Arg():
            return "ARG " + " ".join(
                name if value is None else f"{name}={value}" for name, value in instruction.arguments
            )
        case say.Healthcheck():
            return f"HEALTHCHECK {_healthcheck(instruction)}"
        case _:
            return str(instruction)


def _healthcheck(check: say.Healthcheck) -> str:
    durations = [check.interval, check.timeout, check.start_period]
    if check.start_interval:
        durations.append(check.start_interval)
    times = " ".join(quoted(format_duration(value)) for value in durations)
    return f"&{{{quoted_list(check.test)} {times} {quoted_rune(check.retries)}}}"


def quoted_list(words: Sequence[str]) -> str:
    """Quote a list of strings as Go's %q does."""
    return f"[{' '.join(map(quoted, words))}]"


def quoted(text: str) -> str:
    """Quote a string as Go's %q does."""
    return '"' + "".join('\\"' if char == '"' else _escaped(char) for char in text) + '"'


def quoted_rune(value: int) -> str:
    """Quote the character with this number as Go's %q does."""
    if not 0 <= value <= 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        value = 0xFFFD
    char = chr(value)
    return "'" + ("\\'" if char == "'" else _escaped(char)) + "'"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or (char.isprintable() and code != 0x7F):
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
