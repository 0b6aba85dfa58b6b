"""`lamina explore`, `image blame` and `image diff`: what is in images, layer by layer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lamina.api.explorer import Blame, FileState, ImageDifference, ImageReport, PackageChange, Touch, ValueChange
from lamina.cli.arguments import complete_images, switch
from lamina.cli.file_modes import kind_and_mode
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.errors import Unsupported
from lamina.formats.sizes import human_size
from lamina.formats.text import printable
from lamina.types.explorer import Explorer

_LETTERS = {"added": "A", "modified": "C", "removed": "D", "": " "}  # as `diff` of containers has them
_SHOWN = 20

json_option = switch("--json", "as_json", help="Print all of it as JSON")


def _print_json(value: msgspec.Struct) -> None:
    print(json.dumps(msgspec.to_builtins(value), indent=4))


@command("lamina explore team/app:1\nlamina explore --json team/app:1 | jq .Efficiency")
@argument("image", complete=complete_images)
@json_option
@switch("--ci", help="Judge the image by the rules of .dive-ci and of the flags: status 1 when it breaks one")
@option("--ci-config", default="", help="The file with the rules (default .dive-ci)", metavar="FILE")
@option("--lowest-efficiency", default="", help="Rule: at least this share of the bytes is needed (default 0.9)")
@option("--highest-wasted-bytes", default="", help="Rule: at most so much is written repeatedly, such as 20MB")
@option("--highest-user-wasted-percent", default="", help="Rule: at most this share of all but the first layer (0.1)")
def explore(session: Session, image: str, as_json: bool, ci: bool, ci_config: str, **limits: str) -> int:
    """Look into an image: its layers, the files in them, and what nobody sees any more.

    On a terminal this opens a screen to move about in; elsewhere it prints a report.
    """
    explorer = session.client.explorer
    if ci:
        return _judge(explorer.report(image), ci_config, {name: limit for name, limit in limits.items() if limit})
    if as_json:
        _print_json(explorer.report(image))
    elif sys.stdin.isatty() and sys.stdout.isatty():
        _on_screen(explorer, image)
    else:
        print("\n".join(_report_lines(explorer.report(image))))
    return 0


def _judge(report: ImageReport, path: str, limits: dict[str, str]) -> int:
    from lamina.cli.explorer.rules import FILE, load, verdicts

    rules = msgspec.structs.replace(load(Path(path or FILE), must_exist=bool(path)), **limits)
    found = list(verdicts(report, rules))
    print("\n".join(map(str, found)))
    return 1 if any(verdict.passed is False for verdict in found) else 0


def _on_screen(explorer: Explorer, image: str) -> None:
    try:
        from lamina.cli.explorer.app import run
    except ImportError as error:
        advice = "Install it with pip install 'lamina[explore]', or print a report: lamina explore IMAGE | cat"
        raise Unsupported("the explorer's screen needs the extra lamina[explore]", advice=advice) from error
    run(explorer, image)


def _report_lines(report: ImageReport) -> Iterable[str]:
    names = ", ".join(report.tags) or "without a name"
    yield printable(f"{report.id}  {names}  {report.platform}")
    yield ""
    yield "LAYER      SIZE  CREATED BY"
    for layer in report.layers:
        yield f"{layer.number:5}  {human_size(layer.size, 3):>8}  {_one_line(layer.created_by)}"
    efficiency = report.efficiency
    repeated = f"{human_size(efficiency.wasted, 3)} in paths that several layers write"
    yield ""
    yield f"Efficiency {efficiency.score:.2%}, {repeated} ({efficiency.wasted_share:.1%} of all but the first layer)"
    if report.hidden_files:
        yield f"Hidden by later layers: {report.hidden_files} files, {human_size(report.hidden_bytes, 3)}"
        yield ""
        yield "    SIZE  LAYER  HIDDEN BY  PATH"
        for file in report.hidden[:_SHOWN]:
            size = human_size(file.size, 3)
            yield f"{size:>8}  {file.layer:5}  {file.hidden_by:9}  {printable(file.path)}"


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


@command("lamina image blame team/app:1 /etc/passwd")
@argument("image", complete=complete_images)
@argument("path")
@json_option
def blame(session: Session, image: str, path: str, as_json: bool) -> None:
    """Show which instructions of an image brought, changed and removed a file."""
    found = session.client.explorer.blame(image, path)
    if as_json:
        _print_json(found)
    else:
        print("\n".join(_blame_lines(found)))


def _blame_lines(found: Blame) -> Iterable[str]:
    yield printable(found.path)
    for touch in found.touches:
        yield f"{touch.layer:5}  {touch.change:8}  {_touched(touch)}  {_one_line(touch.created_by)}"


def _touched(touch: Touch) -> str:
    note = "  (same content)" if touch.same_content else ""
    return f"{_mode(touch.state)}{note}" if touch.state else "-"


def _mode(state: FileState) -> str:
    return f"{kind_and_mode(state)} {state.uid}:{state.gid} {human_size(state.size, 3)}"


@command("lamina image diff team/app:1 team/app:2\nlamina image diff --exit-code --json base:old base:new")
@argument("before", complete=complete_images)
@argument("after", complete=complete_images)
@switch("--exit-code", help="End with status 1 when the images differ")
@json_option
def diff(session: Session, before: str, after: str, exit_code: bool, as_json: bool) -> int:
    """Show how two images differ: configuration, packages, files, and the lines of small texts."""
    difference = session.client.explorer.compare(before, after)
    if as_json:
        _print_json(difference)
    else:
        for line in _difference_lines(difference):
            print(line)
    return 1 if exit_code and not difference.same else 0


def _difference_lines(difference: ImageDifference) -> Iterable[str]:
    for change in difference.config:
        yield from _value_lines(change)
    for package in difference.packages:
        yield printable(_package_line(package))
    for file in difference.files:
        what = f"  ({', '.join(file.what)})" if file.what else ""
        yield printable(f"{_LETTERS[file.change]} {file.path}{what}")
        if file.text:
            yield from (f"    {printable(line, keep=chr(9))}" for line in file.text.splitlines())
    if difference.omitted:
        yield f"… and {difference.omitted} more files"


def _package_line(package: PackageChange) -> str:
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
