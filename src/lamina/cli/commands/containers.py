"""`lamina ps`, `logs`, `top`, `diff` and `port`: what containers are and do."""

from __future__ import annotations

import sys

from lamina.cli.arguments import complete_containers, filter_option, filters, format_option, moment, switch
from lamina.cli.parsing.declare import argument, command, integer, option
from lamina.cli.table import (
    LABELS,
    Column,
    ago,
    aligned,
    created_at,
    ellipsis,
    print_rows,
    short_id,
    write_lines,
)
from lamina.client import lists
from lamina.errors import NotFound
from lamina.formats.sizes import human_size
from lamina.light import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lamina.cli.session import Session

    Document = Mapping[str, Any]


def _id(document: Document, trunc: bool) -> str:
    return short_id(document["Id"]) if trunc else str(document["Id"])


def _names(document: Document, trunc: bool) -> str:
    names = [name.removeprefix("/") for name in document.get("Names") or ()]
    if not trunc:
        return ",".join(names)
    return next((name for name in names if "/" not in name), "")


def _image(document: Document, trunc: bool) -> str:
    image = str(document.get("Image") or "<no image>")
    if not trunc:
        return image
    name, at_sign, _ = image.partition("@")
    if at_sign:
        return name
    full = image.removeprefix("sha256:")
    is_id = len(full) == 64 and document.get("ImageID", "").removeprefix("sha256:") == full
    return full[:12] if is_id else image


def _command(document: Document, trunc: bool) -> str:
    command = str(document.get("Command", ""))
    return f'"{ellipsis(command, 20) if trunc else command}"'


def _size(document: Document, trunc: bool) -> str:
    own, root = document.get("SizeRw") or 0, document.get("SizeRootFs") or 0
    text = human_size(own, 3)
    return f"{text} (virtual {human_size(root, 3)})" if root > 0 else text


def _mounts(document: Document, trunc: bool) -> str:
    names = [str(mount.get("Name") or mount.get("Source", "")) for mount in document.get("Mounts") or ()]
    return ",".join(ellipsis(name, 15) if trunc else name for name in names)


def _local_volumes(document: Document, trunc: bool) -> str:
    return str(sum(mount.get("Driver") == "local" for mount in document.get("Mounts") or ()))


def _networks(document: Document, trunc: bool) -> str:
    return ",".join((document.get("NetworkSettings") or {}).get("Networks") or ())


def displayed_ports(ports: Sequence[Mapping[str, Any]]) -> str:
    """Return ports as `ps` shows them: "0.0.0.0:8080->80/tcp, 53/udp". Neighbours become ranges."""
    groups: dict[tuple[str, str, bool], list[list[int]]] = {}
    mapped: list[str] = []
    for port in sorted(ports, key=lambda p: (p["PrivatePort"], p.get("IP", ""), p.get("PublicPort", 0), p["Type"])):
        address, private, public = port.get("IP", ""), port["PrivatePort"], port.get("PublicPort", 0)
        if address and public != private:
            mapped.append(f"{_host(address)}:{public}->{private}/{port['Type']}")
            continue
        ranges = groups.setdefault((address, port["Type"], bool(address)), [])
        if ranges and private == ranges[-1][1] + 1:
            ranges[-1][1] = private
        elif not ranges or private != ranges[-1][1]:
            ranges.append([private, private])
    grouped = [_group(address, kind, pair) for (address, kind, _), pairs in groups.items() for pair in pairs]
    return ", ".join(grouped + mapped)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _group(address: str, kind: str, pair: Sequence[int]) -> str:
    first, last = pair
    span = str(first) if first == last else f"{first}-{last}"
    return f"{_host(address)}:{span}->{span}/{kind}" if address else f"{span}/{kind}"


def _health(document: Document, trunc: bool) -> str:
    word = str(document.get("Status", "")).rpartition("(")[2].rstrip(")").removeprefix("health: ")
    return word if word in ("healthy", "unhealthy", "starting") else ""


COLUMNS = {
    "ID": Column("CONTAINER ID", _id),
    "Names": Column("NAMES", _names),
    "Image": Column("IMAGE", _image),
    "Command": Column("COMMAND", _command),
    "CreatedAt": Column("CREATED AT", lambda document, trunc: created_at(document["Created"])),
    "RunningFor": Column("CREATED", lambda document, trunc: ago(document["Created"])),
    "Ports": Column("PORTS", lambda document, trunc: displayed_ports(document.get("Ports") or ())),
    "State": Column("STATE", lambda document, trunc: str(document.get("State", ""))),
    "Status": Column("STATUS", lambda document, trunc: str(document.get("Status", ""))),
    "Size": Column("SIZE", _size),
    "Labels": LABELS,
    "Mounts": Column("MOUNTS", _mounts),
    "LocalVolumes": Column("LOCAL VOLUMES", _local_volumes),
    "Networks": Column("NETWORKS", _networks),
    "HealthStatus": Column("HEALTH STATUS", _health),
}
DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


@command("""
    lamina ps
    lamina ps -a --filter status=exited
    lamina ps --format 'table {{.Names}}\\t{{.Status}}'
""")
@switch("-a", "--all", "all_", help="Show all containers, not just running ones")
@filter_option
@format_option
@option("-n", "--last", convert=integer, default=-1, metavar="N", help="Show the N newest containers, in any state")
@switch("-l", "--latest", help="Show the newest container, in any state")
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show IDs")
@switch("-s", "--size", help="Show file sizes")
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
    limit = 1 if latest else max(last, 0)
    form = format_ or (session.settings.config.text("psFormat") if not quiet else "")
    wants_size = size or ".Size" in form
    containers = lists.containers(
        session.client.transport, all=all_, limit=limit, size=wants_size, filters=filters(filter_)
    )
    columns = (*DEFAULT, "Size") if size else DEFAULT
    print_rows(containers, COLUMNS, columns, form=form, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("""
    lamina logs -f app1
    lamina logs --since 10m --tail 100 -t app1
""")
@argument("container", complete=complete_containers)
@switch("--details", help="Show extra details")
@switch("-f", "--follow", help="Keep on printing as it comes")
@option("--since", default="", metavar="TIME", help="From a time on: 2026-01-02T13:23:37Z, or 42m for so long ago")
@option("-n", "--tail", default="all", metavar="N", help="Number of lines from the end")
@switch("-t", "--timestamps", help="Show timestamps")
@option("--until", default="", metavar="TIME", help="Up to a time")
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
    query = {"stdout": True, "stderr": True, "follow": follow, "since": moment(since), "until": moment(until)}
    query |= {"timestamps": timestamps, "tail": tail, "details": details}
    for channel, data in session.client.containers.log_pieces(container, query):
        stream = sys.stderr.buffer if channel == 2 else sys.stdout.buffer
        stream.write(data)
        stream.flush()


@command("lamina top app1 -o pid,etime,args", passes_on=True)
@argument("container", complete=complete_containers)
@argument("options", many=True, required=False, metavar="[PS OPTIONS]")
def top(session: Session, container: str, options: tuple[str, ...]) -> None:
    """Display the running processes of a container."""
    processes = session.client.containers.top(container, " ".join(options))
    write_lines(aligned([processes.titles, *processes.rows], minimum=20))


@command("lamina diff app1")
@argument("container", complete=complete_containers)
def diff(session: Session, container: str) -> None:
    """Show which files of a container were added (A), changed (C) or deleted (D)."""
    changes = session.client.containers.changes(container)
    write_lines(f"{change.kind} {change.path}" for change in changes)


@command("""
    lamina port web
    lamina port web 80/tcp
""")
@argument("container", complete=complete_containers)
@argument("private", required=False, metavar="[PORT[/PROTOCOL]]")
def port(session: Session, container: str, private: str | None) -> None:
    """List the published ports of a container."""
    ports = session.client.containers.get(container)["NetworkSettings"].get("Ports") or {}
    if private is None:
        for name in sorted(ports, key=lambda text: (int(text.partition("/")[0]), text)):
            for binding in ports[name] or ():
                print(f"{name} -> {_address(binding)}")
        return
    key = private if "/" in private else f"{private}/tcp"
    if not ports.get(key):
        raise NotFound(f"No public port '{key}' published for {container}")
    for binding in ports[key]:
        print(_address(binding))


def _address(binding: dict[str, str]) -> str:
    ip = binding.get("HostIp", "")
    return f"[{ip}]:{binding['HostPort']}" if ":" in ip else f"{ip}:{binding['HostPort']}"
