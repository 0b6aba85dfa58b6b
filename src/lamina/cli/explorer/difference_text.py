"""How two images differ, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

from lamina.api.explorer import ImageDifference, PackageChange, ValueChange
from lamina.formats.text import printable

LETTERS = {"added": "A", "modified": "C", "removed": "D", "": " "}  # as `diff` of containers has them


def difference_lines(difference: ImageDifference) -> Iterable[str]:
    """Yield values of the config, packages, then files with the lines of small texts."""
    for change in difference.config:
        yield from _value_lines(change)
    for package in difference.packages:
        yield printable(package_line(package))
    for file in difference.files:
        what = f"  ({', '.join(file.what)})" if file.what else ""
        yield printable(f"{LETTERS[file.change]} {file.path}{what}")
        if file.text:
            yield from (f"    {printable(line, keep=chr(9))}" for line in file.text.splitlines())
    if difference.omitted:
        yield f"… and {difference.omitted} more files"


def package_line(package: PackageChange) -> str:
    """Return one line for a package: its versions, and how many of the changed files are its own."""
    name = f"{package.kind} {package.name}{f' ({package.architecture})' if package.architecture else ''}"
    files = f", {len(package.files)} files" if package.files else ""
    if package.before is None or package.after is None:
        sign, version = ("+", package.after) if package.before is None else ("-", package.before)
        return f"{sign} {name} {version}{files}"
    return f"~ {name} {package.before} -> {package.after}{files}"


def _value_lines(change: ValueChange) -> Iterable[str]:
    if change.before is not None:
        yield printable(f"- {change.name}={change.before}")
    if change.after is not None:
        yield printable(f"+ {change.name}={change.after}")
