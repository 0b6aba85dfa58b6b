"""`KEY=VALUE` texts and the files that hold them."""

from __future__ import annotations

import os

from lamina.cli.parsing.declare import parse_bool
from lamina.errors import InvalidInput
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def boolean(text: str) -> bool:
    """Return the boolean that a field's value says. Raise InvalidInput."""
    try:
        return parse_bool(text)
    except ValueError as error:
        raise InvalidInput(str(error), advice="Write true or false") from None


def mapping(pairs: Iterable[str]) -> dict[str, str]:
    """Return pairs as a dict: `a=1` becomes {"a": "1"}, and `a` becomes {"a": ""}."""
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def environment(files: Sequence[str], pairs: Sequence[str]) -> list[str]:
    """Return the variables of `--env-file` and `--env`. A name alone takes its value from our environment.

    If our environment lacks the name, the container gets the bare name from `--env`, and nothing from a file, as with
    Docker. Raise InvalidInput for an unreadable file or an empty name.
    """
    variables = [entry for file in files for entry in read_pairs(file, inherit=True)]
    for pair in pairs:
        name, equals, _ = pair.partition("=")
        if not name:
            raise InvalidInput(f"invalid environment variable: {pair!r}")
        inherited = os.environ.get(name)
        variables.append(pair if equals or inherited is None else f"{name}={inherited}")
    return variables


def labels(files: Sequence[str], pairs: Sequence[str]) -> dict[str, str]:
    """Return the labels of `--label-file` and `--label`. Raise InvalidInput."""
    for pair in pairs:
        if not pair.partition("=")[0]:
            raise InvalidInput(f"invalid label {pair!r}: empty name")
    return mapping([*(entry for file in files for entry in read_pairs(file, inherit=False)), *pairs])


def read_pairs(path: str, *, inherit: bool) -> list[str]:
    """Return the lines `KEY=VALUE` of a file. Empty lines and comments (#) are ignored.

    With `inherit`, a key alone takes its value from our environment. Raise InvalidInput.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path} ({error})") from error
    entries = [_entry(path, line.lstrip(), inherit) for line in lines if line.strip() and line.lstrip()[0] != "#"]
    return [entry for entry in entries if entry is not None]


def _entry(path: str, line: str, inherit: bool) -> str | None:
    key, equals, value = line.partition("=")
    if not key or any(char in key.rstrip() for char in " \t"):
        raise InvalidInput(
            f"poorly formatted line in {path}: {line!r}", advice="Write NAME=VALUE, without spaces in NAME"
        )
    if equals:
        return f"{key}={value}"
    if not inherit:
        return key
    inherited = os.environ.get(key.rstrip())
    return None if inherited is None else f"{key.rstrip()}={inherited}"
