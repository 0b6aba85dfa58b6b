"""How `build` shows what happens: steps beside each other on a terminal, lines elsewhere, or values for programs."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from lamina.errors import LaminaError, Unsupported
from lamina.formats.reference import Reference
from lamina.formats.text import printable
from lamina.light import TYPE_CHECKING
from lamina.progress import Message, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from lamina.api.build import BuildRequest
    from lamina.progress import Report

_SHORT = 12  # digits of an ID


def progress_form(form: str, request: BuildRequest, stream: TextIO, is_lamina: Callable[[], bool]) -> str:
    """Return how to show a build: quiet, plain, tty or rawjson.

    Other daemons than lamina's tell of a build by lines only: then a terminal has lines too. `is_lamina` is asked only
    where it matters. Raise Unsupported for values that such a daemon does not send.
    """
    if request.quiet:
        return "quiet"
    moves = stream.isatty() and os.environ.get("TERM") != "dumb"
    if form == "auto":
        form = "tty" if moves and not request.explain else "plain"  # what is explained stands between the lines
    if form == "rawjson" and not is_lamina():
        raise Unsupported("this daemon tells of builds by lines", advice="Use --progress=plain, or docker buildx.")
    return "plain" if form == "tty" and not (moves and is_lamina()) else form


@contextmanager
def build_report(form: str, stream: TextIO) -> Iterator[Report]:
    """Provide what hears of a build and shows it. A quiet build shows its output when it fails."""
    if form == "quiet":
        hidden: list[Message] = []
        try:
            yield hidden.append
        except LaminaError:
            sys.stderr.write("".join(message.text for message in hidden if isinstance(message, Output)))
            raise
    elif form == "rawjson":
        from lamina.cli.build_values import BuildValues

        yield BuildValues(sys.stderr).hear
    elif form == "tty":
        from lamina.cli.terminal.build_display import BuildDisplay

        try:
            with BuildDisplay(stream) as frames:
                yield frames.hear
        except LaminaError as error:
            if error.facts.get("excerpt"):
                lines = printable(str(error.facts["excerpt"]), "\n\t")
                stream.write(f"Dockerfile line {error.facts['line']}:\n{lines}\n")
            raise
    else:
        from lamina.cli.progress import Display

        with Display(stream) as display:
            yield display


def print_result(stream: TextIO, image: str, tags: tuple[str, ...]) -> None:
    """Print the last lines of a build that was drawn."""
    stream.write(f"Successfully built {image.removeprefix('sha256:')[:_SHORT]}\n")
    for tag in tags:
        name = Reference.parse(tag).with_default_tag().familiar()
        stream.write(f"Successfully tagged {printable(name)}\n")
