"""`lamina builder history`: the records of builds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from lamina.api.build_history import BuildRecord
from lamina.cli.arguments import format_option, switch
from lamina.cli.parsing.declare import argument, command
from lamina.cli.session import Session
from lamina.cli.table import Column, print_rows
from lamina.errors import InvalidInput, NotFound
from lamina.formats.times import human_duration

COLUMNS = {
    "Ref": Column("BUILD ID", lambda d, trunc: str(d["Ref"])),
    "Name": Column("NAME", lambda d, trunc: str(d["Name"])),
    "Status": Column("STATUS", lambda d, trunc: str(d["Status"])),
    "CreatedAt": Column("CREATED AT", lambda d, trunc: f"{human_duration(d['Age'])} ago"),
    "Duration": Column("DURATION", lambda d, trunc: f"{d['Seconds']:.1f}s"),
}


def _row(record: BuildRecord) -> Mapping[str, Any]:
    return {
        "Ref": record.ref,
        "Name": record.name,
        "Status": record.status,
        "Age": (time.time_ns() - record.started) // 10**9,
        "Seconds": max(0, record.completed - record.started) / 1e9,
    }


def _record(session: Session, ref: str | None) -> BuildRecord:
    """Return a build by its ref or the beginning of it; without one the latest. Raise NotFound, InvalidInput."""
    ref = ref or ""
    refs = [record.ref for record in session.client.builds.history() if record.ref.startswith(ref)]
    if not refs:
        raise NotFound(f"no such build {ref}" if ref else "no build is in the history")
    if ref and ref not in refs and len(refs) > 1:
        raise InvalidInput(f"{ref} is the beginning of {len(refs)} builds", advice="Give more of it.")
    return session.client.builds.record(ref if ref in refs else refs[0])


@command("lamina builder history ls")
@format_option
@switch("-q", "--quiet", help="Show only the build IDs")
def ls(session: Session, format_: str, quiet: bool) -> None:
    """List the builds of this engine, the latest first."""
    rows = [_row(record) for record in session.client.builds.history()]
    print_rows(rows, COLUMNS, tuple(COLUMNS), form=format_, quiet="Ref" if quiet else "")


@command("lamina builder history inspect")
@argument("ref", metavar="[REF]", required=False)
def inspect(session: Session, ref: str | None) -> None:
    """Show what was asked for, how it ended, and what became of each step, as JSON."""
    record = _record(session, ref)
    print(json.dumps({**record.to_json(), "Status": record.status}, indent=4))


@command("lamina builder history logs")
@argument("ref", metavar="[REF]", required=False)
def logs(session: Session, ref: str | None) -> None:
    """Show what a build told."""
    sys.stdout.write(_record(session, ref).logs())


@command("lamina builder history trace > build.json")
@argument("ref", metavar="[REF]", required=False)
def trace(session: Session, ref: str | None) -> None:
    """Write a trace of the steps, which ui.perfetto.dev and chrome://tracing open."""
    print(_record(session, ref).trace())


@command("lamina builder history rm REF")
@argument("refs", metavar="REF...", many=True)
def rm(session: Session, refs: tuple[str, ...]) -> None:
    """Forget builds."""
    for ref in refs:
        record = _record(session, ref)
        session.client.builds.remove_record(record.ref)
        print(record.ref)


@command("lamina builder history export REF > build.json")
@argument("ref", metavar="[REF]", required=False)
def export(session: Session, ref: str | None) -> None:
    """Write the record of a build, for `import` on another machine."""
    print(_record(session, ref).encode().decode())


@command("lamina builder history import < build.json")
def import_(session: Session) -> None:
    """Keep the record of a build that `export` wrote."""
    record = BuildRecord.decode(sys.stdin.buffer.read())
    session.client.builds.keep_record(record)
    print(record.ref)
