"""`lamina top`, `diff` and `port`."""

from __future__ import annotations

import click

from lamina.cli import completing
from lamina.cli.arguments import command
from lamina.cli.session import Session
from lamina.errors import NotFound

KINDS = {0: "C", 1: "A", 2: "D"}


@command("lamina top app1 -o pid,etime,args", passes_on=True)
@click.argument("container", shell_complete=completing.containers)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[PS OPTIONS]")
@click.pass_obj
def top(session: Session, container: str, options: tuple[str, ...]) -> None:
    """Display the running processes of a container."""
    from lamina.cli.show.table import aligned, write_lines

    found = session.client.containers.top(container, " ".join(options))
    write_lines(aligned([found["Titles"], *(found.get("Processes") or ())], minimum=20))


@command("lamina diff app1")
@click.argument("container", shell_complete=completing.containers)
@click.pass_obj
def diff(session: Session, container: str) -> None:
    """Show which files of a container were added (A), changed (C) or deleted (D)."""
    from lamina.cli.show.table import write_lines

    changes = session.client.containers.changes(container)
    write_lines(f"{KINDS.get(change['Kind'], '?')} {change['Path']}" for change in changes)


@command("""
    lamina port web
    lamina port web 80/tcp
""")
@click.argument("container", shell_complete=completing.containers)
@click.argument("private", required=False, metavar="[PORT[/PROTOCOL]]")
@click.pass_obj
def port(session: Session, container: str, private: str | None) -> None:
    """List the published ports of a container."""
    ports = session.client.containers.get(container)["NetworkSettings"].get("Ports") or {}
    if private is None:
        for name in sorted(ports, key=lambda text: (int(text.partition("/")[0]), text)):
            for binding in ports[name] or ():
                print(f"{name} -> {_address(binding)}")
        return
    wanted = private if "/" in private else f"{private}/tcp"
    if not ports.get(wanted):
        raise NotFound(f"No public port '{wanted}' published for {container}")
    for binding in ports[wanted]:
        print(_address(binding))


def _address(binding: dict[str, str]) -> str:
    ip = binding.get("HostIp", "")
    return f"[{ip}]:{binding['HostPort']}" if ":" in ip else f"{ip}:{binding['HostPort']}"
