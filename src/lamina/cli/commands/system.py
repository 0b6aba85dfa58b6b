"""`lamina info`, `version`, `events` and `system dial-stdio`."""

from __future__ import annotations

import os
import platform
import select
import socket
import sys
from collections.abc import Mapping
from typing import Any

import click

from lamina.cli.arguments import command, filter_option, filters, format_option, short_format_option
from lamina.cli.session import Session
from lamina.cli.show.times import moment, rfc3339_nano
from lamina.errors import LaminaError
from lamina.formats.printable import printable


def _templated(document: Mapping[str, Any], form: str) -> str:
    from lamina.cli.template import Template
    from lamina.cli.template.template import lenient
    from lamina.cli.template.values import to_json

    return to_json(document) if form == "json" else Template.parse(form).render(document, lenient)


@command("lamina info --format '{{.Driver}}'")
@short_format_option
@click.pass_obj
def info(session: Session, format_: str) -> None:
    """Display information about the engine and its machine."""
    from lamina import __version__
    from lamina.cli.show.system import info_lines
    from lamina.cli.show.table import write_lines

    found = session.client.info()
    context = session.settings.context
    if format_:
        print(_templated({**found, "ClientInfo": {"Version": __version__, "Context": context}}, format_))
        return
    settings = session.settings
    write_lines(info_lines(found, __version__, context, str(settings.address), str(settings.config.path)))
    for warning in found.get("Warnings") or ():
        print(printable(warning), file=sys.stderr)


@command("lamina version --format '{{.Server.Version}}'")
@short_format_option
@click.pass_obj
def version(session: Session, format_: str) -> None:
    """Show the version of the client and of the engine."""
    from lamina import __version__
    from lamina.cli.show.system import version_lines
    from lamina.cli.show.table import write_lines
    from lamina.client.transport import NEWEST

    client = {
        "Version": __version__,
        "ApiVersion": f"{NEWEST[0]}.{NEWEST[1]}",
        "PythonVersion": platform.python_version(),
        "Os": sys.platform,
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "Context": session.settings.context,
    }
    server, failure = None, None
    try:
        server = session.client.version()
        client["ApiVersion"] = session.client.api_version
    except LaminaError as error:
        failure = error
    if format_:
        print(_templated({"Client": client, "Server": server}, format_))
    else:
        write_lines(version_lines(client, server))
    if failure is not None:
        raise failure


@command("""
    lamina events --since 10m --filter type=container
    lamina events --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'
""")
@filter_option
@format_option
@click.option("--since", default="", metavar="TIME", help="From a time on: a date, or 10m for so long ago")
@click.option("--until", default="", metavar="TIME", help="Up to a time")
@click.pass_obj
def events(session: Session, filter_: tuple[str, ...], format_: str, since: str, until: str) -> None:
    """Print what happens in the engine, as it happens."""
    found = session.client.events(since=moment(since), until=moment(until), filters=filters(filter_))
    for event in found:
        print(_templated(event, format_) if format_ else printable(_line(event)), flush=True)


def _line(event: Mapping[str, Any]) -> str:
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    shown = ", ".join(f"{name}={attributes[name]}" for name in sorted(attributes))
    when = rfc3339_nano(event.get("timeNano") or event["time"] * 10**9)
    ending = f" ({shown})" if shown else ""
    return f"{when} {event['Type']} {event['Action']} {actor.get('ID', '')}{ending}"


@command("ssh host lamina system dial-stdio", name="dial-stdio")
@click.pass_obj
def dial_stdio(session: Session) -> None:
    """Connect stdin and stdout with the daemon: the far end of an ssh:// host."""
    from lamina.client.dial import dial
    from lamina.linux.writing import write_all

    settings = session.settings
    session.client.ping()  # starts the default daemon where it is down
    with dial(settings.address, settings.tls, 30.0) as sock:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        poll.register(0, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if 0 in ready:
                if data := os.read(0, 65536):
                    sock.sendall(data)
                else:
                    poll.unregister(0)
                    sock.shutdown(socket.SHUT_WR)  # what the daemon still says passes all the same
            if sock.fileno() in ready:
                if not (data := sock.recv(65536)):
                    return
                write_all(1, data)
