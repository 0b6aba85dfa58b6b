"""`lamina info`, `version`, `events`, `completion` and `system dial-stdio`."""

from __future__ import annotations

import os
import sys

from lamina.cli.arguments import filter_option, filters, format_option, moment, short_format_option
from lamina.cli.parsing.declare import Choice, argument, command, option
from lamina.cli.table import render_document, rfc3339_nano, write_lines
from lamina.errors import LaminaError
from lamina.formats.sizes import binary_size
from lamina.formats.text import printable
from lamina.light import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from lamina.cli.session import Session

    Document = Mapping[str, Any]


PLAIN = (
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
)
MACHINE = (
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
)
PLACES = (
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Debug Mode", "Debug"),
    ("HTTP Proxy", "HttpProxy"),
    ("HTTPS Proxy", "HttpsProxy"),
    ("No Proxy", "NoProxy"),
    ("Experimental", "ExperimentalBuild"),
)


def info_lines(info: Document, version: str, context: str, endpoint: str, config: str) -> Iterator[str]:
    """Yield the text of `info`, line by line; `endpoint` and `config` tell where the daemon and config.json are."""
    yield "Client:"
    yield f" Version:    {version}"
    yield f" Context:    {context}"
    yield f" Endpoint:   {endpoint}"
    yield f" Config:     {config}"
    yield ""
    yield "Server:"
    yield f" Containers: {info['Containers']}"
    for name in ("Running", "Paused", "Stopped"):
        yield f"  {name}: {info[f'Containers{name}']}"
    yield f" Images: {info['Images']}"
    for title, key in PLAIN:
        yield from _value(title, info.get(key))
        if key == "Driver":
            yield from (f"  {name}: {value}" for name, value in info.get("DriverStatus") or ())
    yield from _plugins(info)
    yield from _runtimes(info)
    yield from _security(info)
    for title, key in MACHINE:
        yield from _value(title, info.get(key))
    yield f" Total Memory: {binary_size(info.get('MemTotal') or 0)}"
    for title, key in PLACES:
        yield from _value(title, info.get(key))
    yield from _labels_and_registries(info)


def _value(title: str, value: object) -> Iterator[str]:
    if value not in (None, ""):
        yield f" {title}: {str(value).lower() if isinstance(value, bool) else value}"


def _plugins(info: Document) -> Iterator[str]:
    plugins = info.get("Plugins") or {}
    yield " Plugins:"
    for kind in ("Volume", "Network", "Log"):
        yield f"  {kind}: {' '.join(plugins.get(kind) or ())}"
    yield f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"


def _runtimes(info: Document) -> Iterator[str]:
    if info.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(info['Runtimes']))}"
        yield f" Default Runtime: {info.get('DefaultRuntime', '')}"


def _security(info: Document) -> Iterator[str]:
    options = info.get("SecurityOptions") or ()
    if options:
        yield " Security Options:"
    for text in options:
        pairs = [part.partition("=")[::2] for part in text.split(",")]
        for key, value in pairs:
            yield f"  {value}" if key == "name" else f"   {key.title()}: {value}"


def _labels_and_registries(info: Document) -> Iterator[str]:
    if info.get("Labels"):
        yield " Labels:"
        yield from (f"  {label}" for label in info["Labels"])
    config = info.get("RegistryConfig") or {}
    insecure = [name for name, index in (config.get("IndexConfigs") or {}).items() if not index.get("Secure", True)]
    insecure += config.get("InsecureRegistryCIDRs") or ()
    for title, items in (("Insecure Registries", insecure), ("Registry Mirrors", config.get("Mirrors") or ())):
        if items:
            yield f" {title}:"
            yield from (f"  {item}" for item in items)
    yield f" Live Restore Enabled: {str(bool(info.get('LiveRestoreEnabled'))).lower()}"


def version_lines(client: Document, server: Document | None) -> Iterator[str]:
    """Yield the text of `version`, line by line."""
    yield "Client:"
    for title, key in (("Version", "Version"), ("API version", "ApiVersion"), ("Python version", "PythonVersion")):
        yield f" {title + ':':<18}{client[key]}"
    yield f" {'OS/Arch:':<18}{client['Os']}/{client['Arch']}"
    yield f" {'Context:':<18}{client['Context']}"
    if server is None:
        return
    yield ""
    yield f"Server: {(server.get('Platform') or {}).get('Name', '')}".rstrip()
    for part in server.get("Components") or ():
        details = part.get("Details") or {}
        yield f" {part['Name']}:"
        yield f"  {'Version:':<17}{part['Version']}"
        if "ApiVersion" in details:
            yield f"  {'API version:':<17}{details['ApiVersion']} (minimum version {details.get('MinAPIVersion', '')})"
        if "GoVersion" in details:
            yield f"  {'Go version:':<17}{details['GoVersion']}"
        if details.get("GitCommit"):
            yield f"  {'Git commit:':<17}{details['GitCommit']}"
        if "Os" in details:
            yield f"  {'OS/Arch:':<17}{details['Os']}/{details.get('Arch', '')}"


@command("lamina info --format '{{.Driver}}'")
@short_format_option
def info(session: Session, format_: str) -> None:
    """Display information about the engine and its machine."""
    from lamina import __version__

    document = session.client.info()
    context = session.settings.context
    if format_:
        print(render_document({**document, "ClientInfo": {"Version": __version__, "Context": context}}, format_))
        return
    settings = session.settings
    write_lines(info_lines(document, __version__, context, str(settings.address), str(settings.config.path)))
    for warning in document.get("Warnings") or ():
        print(printable(warning), file=sys.stderr)


@command("lamina version --format '{{.Server.Version}}'")
@short_format_option
def version(session: Session, format_: str) -> None:
    """Show the version of the client and of the engine."""
    from lamina import __version__
    from lamina.client.transport import NEWEST

    client = {
        "Version": __version__,
        "ApiVersion": f"{NEWEST[0]}.{NEWEST[1]}",
        "PythonVersion": sys.version.partition(" ")[0],
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
        print(render_document({"Client": client, "Server": server}, format_))
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
@option("--since", default="", metavar="TIME", help="From a time on: a date, or 10m for so long ago")
@option("--until", default="", metavar="TIME", help="Up to a time")
def events(session: Session, filter_: tuple[str, ...], format_: str, since: str, until: str) -> None:
    """Print what happens in the engine, as it happens."""
    stream = session.client.events(since=moment(since), until=moment(until), filters=filters(filter_))
    for event in stream:
        print(render_document(event, format_) if format_ else printable(_line(event)), flush=True)


def _line(event: Mapping[str, Any]) -> str:
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    details = ", ".join(f"{name}={attributes[name]}" for name in sorted(attributes))
    when = rfc3339_nano(event.get("timeNano") or event["time"] * 10**9)
    ending = f" ({details})" if details else ""
    return f"{when} {event['Type']} {event['Action']} {actor.get('ID', '')}{ending}"


@command("ssh host lamina system dial-stdio")
def dial_stdio(session: Session) -> None:
    """Connect stdin and stdout with the daemon: the far end of an ssh:// host."""
    import select
    import socket
    from contextlib import closing

    from lamina.client.dial import dial
    from lamina.linux.writing import write_all

    settings = session.settings
    session.client.ping()  # starts the default daemon where it is down
    with closing(dial(settings.address, settings.tls, 30.0)) as sock:
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


@command(
    """
    eval "$(lamina completion bash)"
    lamina completion fish > ~/.config/fish/completions/lamina.fish
""",
    takes_session=False,
)
@argument("shell", convert=Choice("bash", "zsh", "fish"))
def completion(shell: str) -> None:
    """Print a completion script for your shell."""
    from lamina.cli.parsing.shells import SCRIPTS

    print(SCRIPTS[shell], end="")
