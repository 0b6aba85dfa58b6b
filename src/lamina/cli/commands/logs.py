"""`lamina logs`."""

from __future__ import annotations

import sys

import click

from lamina.cli import completing
from lamina.cli.arguments import command, switch
from lamina.cli.session import Session
from lamina.cli.show.times import moment


@command("""
    lamina logs -f app1
    lamina logs --since 10m --tail 100 -t app1
""")
@click.argument("container", shell_complete=completing.containers)
@switch("--details", help="Show extra details")
@switch("-f", "--follow", help="Keep on printing as it comes")
@click.option(
    "--since", default="", metavar="TIME", help="From a time on: 2026-01-02T13:23:37Z, or 42m for so long ago"
)
@click.option("-n", "--tail", default="all", metavar="N", help="Number of lines from the end")
@switch("-t", "--timestamps", help="Show timestamps")
@click.option("--until", default="", metavar="TIME", help="Up to a time")
@click.pass_obj
def logs(
    session: Session,
    container: str,
    details: bool,
    follow: bool,
    since: str,
    tail: str,
    timestamps: bool,
    until: str,
) -> None:
    """Fetch the logs of a container."""
    pieces = session.client.containers.logs(
        container,
        follow=follow,
        since=moment(since),
        until=moment(until),
        timestamps=timestamps,
        tail=tail,
        details=details,
    )
    for channel, data in pieces:
        stream = sys.stderr.buffer if channel == 2 else sys.stdout.buffer
        stream.write(data)
        stream.flush()
