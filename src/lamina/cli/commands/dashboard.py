"""`lamina dashboard`: a link to the web dashboard, and a dashboard of its own where the daemon serves none."""

from __future__ import annotations

import asyncio
import signal

from lamina.cli.arguments import switch
from lamina.cli.parsing.declare import command, option
from lamina.cli.session import Session
from lamina.errors import NotFound, Unsupported


@command("""
    lamina dashboard
    lamina dashboard --listen 127.0.0.1:8080 --read-only
""")
@option("--listen", default="", metavar="ADDRESS", help="Serve a dashboard here, until Ctrl-C (default 127.0.0.1:0)")
@switch("--read-only", help="Let that dashboard show everything and change nothing")
def dashboard(session: Session, listen: str, read_only: bool) -> None:
    """Print a link that opens the dashboard in a browser of this machine. It works once, for ten minutes.

    The daemon's dashboard is used if it serves one (lamina daemon --dashboard). Otherwise, and with --listen or
    --read-only, this command serves one until it is stopped.
    """
    client = session.client
    if not (listen or read_only):
        try:
            print(client.dashboard_link())
            return
        except NotFound:
            pass  # the daemon serves none, or is another engine's
    if client.address.scheme != "unix":
        raise Unsupported(
            f"no dashboard can be served for the daemon at {client.address}",
            advice="Run lamina dashboard on that machine, and reach its port by ssh -L",
        )
    asyncio.run(_serve(listen or "127.0.0.1:0", client.address.path, read_only))


async def _serve(listen: str, socket: str, read_only: bool) -> None:
    from lamina.dashboard.server import Dashboard

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    dashboard = Dashboard(listen, read_only=read_only)
    async with dashboard.serve(socket):
        print(dashboard.link(), flush=True)
        await stopped.wait()
