"""`lamina ps`."""

from __future__ import annotations

import click

from lamina.cli.arguments import command, filter_option, filters, format_option, switch
from lamina.cli.session import Session


@command("""
    lamina ps
    lamina ps -a --filter status=exited
    lamina ps --format 'table {{.Names}}\\t{{.Status}}'
""")
@switch("-a", "--all", "all_", help="Show all containers, not just running ones")
@filter_option
@format_option
@click.option("-n", "--last", type=int, default=-1, metavar="N", help="Show the N newest containers, in any state")
@switch("-l", "--latest", help="Show the newest container, in any state")
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show IDs")
@switch("-s", "--size", help="Show file sizes")
@click.pass_obj
def ps(
    session: Session,
    all_: bool,
    filter_: tuple[str, ...],
    format_: str,
    last: int,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
    size: bool,
) -> None:
    """List containers."""
    from lamina.cli.show.containers import COLUMNS, DEFAULT
    from lamina.cli.show.table import print_rows

    limit = 1 if latest else last if last > 0 else None
    form = format_ or (session.settings.config.text("psFormat") if not quiet else "")
    wants_size = size or ".Size" in form
    found = session.client.containers.list(all=all_, limit=limit, size=wants_size, filters=filters(filter_))
    columns = (*DEFAULT, "Size") if size else DEFAULT
    print_rows(found, COLUMNS, columns, form=form, quiet="ID" if quiet else "", trunc=not no_trunc)
