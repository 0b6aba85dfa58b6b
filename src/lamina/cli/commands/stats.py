"""`lamina stats`."""

from __future__ import annotations

import sys
from typing import Any

import click

from lamina.cli.arguments import command, format_option, switch
from lamina.cli.session import Session
from lamina.cli.terminal.screen import drive
from lamina.client.containers import Containers
from lamina.errors import LaminaError, NotFound

CLEAR = "\x1b[H\x1b[J"


@command("""
    lamina stats
    lamina stats --no-stream --format '{{.Name}}: {{.CPUPerc}}' app1
""")
@click.argument("names", nargs=-1, metavar="[CONTAINER...]")
@switch("-a", "--all", "all_", help="Show all containers, not just running ones")
@format_option
@switch("--no-stream", help="Show the first result only")
@switch("--no-trunc", help="Don't shorten")
@click.pass_obj
def stats(session: Session, names: tuple[str, ...], all_: bool, format_: str, no_stream: bool, no_trunc: bool) -> None:
    """Show a live stream of the resources that containers use."""
    from concurrent.futures import ThreadPoolExecutor

    from lamina.cli.show.stats import COLUMNS, DEFAULT
    from lamina.cli.show.table import print_rows

    containers = session.client.containers
    form = format_ or session.settings.config.text("statsFormat")
    while True:
        wanted = names or tuple(container.id for container in containers.list(all=all_))
        with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
            samples = [s for s in pool.map(lambda name: _sample(containers, name, named=bool(names)), wanted) if s]
        if not no_stream and sys.stdout.isatty():
            drive(sys.stdout, CLEAR)
        print_rows(samples, COLUMNS, DEFAULT, form=form, trunc=not no_trunc)
        sys.stdout.flush()
        if no_stream:
            return


def _sample(containers: Containers, name: str, named: bool) -> dict[str, Any] | None:
    """One sample over a second, which the daemon takes. A container that ended meanwhile is left out."""
    try:
        return {**next(iter(containers.stats(name))), "_container": name}
    except (NotFound, StopIteration):
        if named:
            raise
        return None
    except LaminaError as error:
        print(f"lamina: {name}: {error}", file=sys.stderr)
        return None
