"""`lamina explore`, `image blame` and `image diff`: what is in images, layer by layer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from lamina.api.explorer import ImageReport, LayerSummary
from lamina.cli.arguments import complete_images, switch
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.errors import InvalidInput, Unsupported
from lamina.types.explorer import Explorer

json_option = switch("--json", "as_json", help="Print all of it as JSON")


def _print_json(value: Any) -> None:
    print(json.dumps(msgspec.to_builtins(value), indent=4))


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


@command(
    "lamina explore team/app:1\nlamina explore registry://quay.io/team/app:1\nlamina explore ./app.tar\n"
    "lamina explore --savings team/app:1\nlamina explore --secrets --exit-code team/app:1"
)
@argument("image", metavar="IMAGE|CONTAINER|REGISTRY/IMAGE|ARCHIVE", complete=complete_images)
@json_option
@switch("--savings", help="Print what the image could do without, and what to change")
@switch("--packages", help="Print the packages with their licences")
@switch("--secrets", help="Print what looks like a secret that was left behind")
@option("--shared-with", default="", help="Print what the image shares with another one", complete=complete_images)
@switch("--exit-code", help="End with status 1 when --savings or --secrets prints anything")
@switch("--ci", help="Judge the image by the rules of .dive-ci and of the flags: status 1 when it breaks one")
@option("--ci-config", default="", help="The file with the rules (default .dive-ci)", metavar="FILE")
@option("--lowest-efficiency", default="", help="Rule: at least this share of the bytes is needed (default 0.9)")
@option("--highest-wasted-bytes", default="", help="Rule: at most so much is written repeatedly, such as 20MB")
@option("--highest-user-wasted-percent", default="", help="Rule: at most this share of all but the first layer (0.1)")
def explore(
    session: Session,
    image: str,
    as_json: bool,
    savings: bool,
    packages: bool,
    secrets: bool,
    shared_with: str,
    exit_code: bool,
    ci: bool,
    ci_config: str,
    **limits: str,
) -> int:
    """Look into an image, a container or an archive: layers, files, and what nobody sees any more.

    An image at a registry is looked into without a pull. On a terminal this opens a screen to move about in;
    elsewhere it prints a report.
    """
    from lamina.cli.explorer import report_text
    from lamina.cli.explorer.targets import explored

    if sum((savings, packages, secrets, bool(shared_with), ci)) > 1:
        raise InvalidInput("--savings, --packages, --secrets, --shared-with and --ci exclude each other")
    with explored(session, image, *((shared_with,) if shared_with else ())) as target:
        explorer, other = target.explorer, target.references[1:]
        reference = _told_of_bytes(explorer, target.references[0])
        if ci:
            chosen = {name: limit for name, limit in limits.items() if limit}
            return _judge(explorer.report(reference), ci_config, chosen)
        if savings or packages or secrets or shared_with:
            return _findings(explorer, reference, savings, packages, *other, as_json=as_json, exit_code=exit_code)
        if as_json:
            _print_json(explorer.report(reference))
        elif sys.stdin.isatty() and sys.stdout.isatty():
            _on_screen(explorer, reference, target.layers.get(reference))
        else:
            _print_lines(report_text.report_lines(explorer.report(reference)))
    return 0


def _findings(
    explorer: Explorer,
    reference: str,
    savings: bool,
    packages: bool,
    other: str = "",
    *,
    as_json: bool,
    exit_code: bool,
) -> int:
    from lamina.cli.explorer import report_text

    answer: Any
    if savings:
        answer = explorer.savings(reference)
        lines = report_text.saving_lines(answer)
    elif packages:
        answer = explorer.packages(reference)
        lines = report_text.package_lines(answer)
    elif other:
        answer = explorer.sharing(reference, other)
        lines = report_text.sharing_lines(answer)
    else:
        answer = explorer.secrets(reference)
        lines = report_text.secret_lines(answer)
    if as_json:
        _print_json(answer)
    else:
        _print_lines(lines)
    return 1 if exit_code and answer and not packages and not other else 0


def _told_of_bytes(explorer: Explorer, reference: str) -> str:
    """Say on stderr what a registry has to send, and return the reference that means just this image."""
    if not reference.startswith("registry://"):
        return reference
    from lamina.cli.explorer.report_text import source_line

    sources = explorer.sources(reference)
    print(source_line(sources), file=sys.stderr)
    return sources.reference


def _judge(report: ImageReport, path: str, limits: dict[str, str]) -> int:
    from lamina.cli.explorer.rules import FILE, load, verdicts

    rules = msgspec.structs.replace(load(Path(path or FILE), must_exist=bool(path)), **limits)
    judged = list(verdicts(report, rules))
    print("\n".join(map(str, judged)))
    return 1 if any(verdict.passed is False for verdict in judged) else 0


def _on_screen(explorer: Explorer, reference: str, layers: tuple[LayerSummary, ...] | None) -> None:
    from importlib.util import find_spec

    from lamina.cli.explorer.first_frame import first_frame

    if find_spec("textual") is None:
        advice = "Install it with pip install 'lamina[explore]', or print a report: lamina explore IMAGE | cat"
        raise Unsupported("the explorer's screen needs the extra lamina[explore]", advice=advice)
    if layers is None:
        layers = explorer.layers(reference)
    files = explorer.files(reference) if layers else ()
    with first_frame(layers, files):
        from lamina.cli.explorer.app import run

        run(explorer, reference, layers, files)


@command("lamina image blame team/app:1 /etc/passwd")
@argument("image", metavar="IMAGE|CONTAINER|REGISTRY/IMAGE|ARCHIVE", complete=complete_images)
@argument("path")
@json_option
def blame(session: Session, image: str, path: str, as_json: bool) -> None:
    """Show which instructions of an image brought, changed and removed a file."""
    from lamina.cli.explorer.report_text import blame_lines
    from lamina.cli.explorer.targets import explored

    with explored(session, image) as target:
        answer = target.explorer.blame(_told_of_bytes(target.explorer, target.references[0]), path)
    if as_json:
        _print_json(answer)
    else:
        _print_lines(blame_lines(answer))


@command(
    "lamina image diff team/app:1 team/app:2\nlamina image diff --exit-code --json base:old base:new\n"
    "lamina image diff --html registry://quay.io/team/app:1 team/app:1 > difference.html"
)
@argument("before", metavar="BEFORE", complete=complete_images)
@argument("after", metavar="AFTER", complete=complete_images)
@switch("--exit-code", help="End with status 1 when the images differ")
@switch("--html", help="Print a page that needs no other file")
@json_option
def diff(session: Session, before: str, after: str, exit_code: bool, html: bool, as_json: bool) -> int:
    """Show how two images differ: configuration, packages, files, and the lines of small texts.

    Each of them may be a container, an archive, or an image at a registry, as with `lamina explore`.
    """
    from lamina.cli.explorer.difference_html import difference_html
    from lamina.cli.explorer.difference_text import difference_lines
    from lamina.cli.explorer.targets import explored

    if html and as_json:
        raise InvalidInput("--html and --json exclude each other")
    with explored(session, before, after) as target:
        one, other = (_told_of_bytes(target.explorer, reference) for reference in target.references)
        difference = target.explorer.compare(one, other)
    if as_json:
        _print_json(difference)
    elif html:
        _print_lines(line for line in difference_html(difference, before, after) if line)
    else:
        _print_lines(difference_lines(difference))
    return 1 if exit_code and not difference.same else 0
