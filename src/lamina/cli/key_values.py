"""`KEY=VALUE` texts and the files that hold them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from lamina.errors import InvalidInput


def mapping(pairs: Iterable[str]) -> dict[str, str]:
    """`a=1` gives {"a": "1"}, `a` gives {"a": ""}."""
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def environment(files: Sequence[str], pairs: Sequence[str]) -> list[str]:
    """Variables of `--env-file` and `--env` together; a name alone takes its value from our own environment.

    A name that our environment lacks stays alone where it came from `--env`, and is left out where from a file, as
    Docker has it. Raises InvalidInput for an unreadable file or an empty name.
    """
    found = [entry for file in files for entry in read_pairs(file, inherit=True)]
    for pair in pairs:
        name, equals, _ = pair.partition("=")
        if not name:
            raise InvalidInput(f"invalid environment variable: {pair!r}")
        inherited = os.environ.get(name)
        found.append(pair if equals or inherited is None else f"{name}={inherited}")
    return found


def labels(files: Sequence[str], pairs: Sequence[str]) -> dict[str, str]:
    """Labels of `--label-file` and `--label` together. Raises InvalidInput."""
    for pair in pairs:
        if not pair.partition("=")[0]:
            raise InvalidInput(f"invalid label {pair!r}: empty name")
    return mapping([*(entry for file in files for entry in read_pairs(file, inherit=False)), *pairs])


def read_pairs(path: str, *, inherit: bool) -> list[str]:
    """The entries of a file of `KEY=VALUE` lines; empty lines and those that begin with # are left out.

    A key alone takes its value from our environment where `inherit` says so. Raises InvalidInput.
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
