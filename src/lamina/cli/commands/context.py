"""`lamina context …`: named daemons, in the store that Docker's clients share."""

from __future__ import annotations

import json
import os

from lamina.cli.arguments import for_each_named, format_option, switch
from lamina.cli.contexts import ContextStore
from lamina.cli.key_values import boolean
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.cli.table import Column, print_rows
from lamina.client.address import default_socket, parse_address
from lamina.client.dial import Tls
from lamina.errors import Conflict, InvalidInput


@command("lamina context create build-box --docker host=ssh://build@example.com")
@argument("name")
@option("--description", default="", help="What it is for")
@option("--docker", "endpoint", default="", metavar="host=…[,ca=…,cert=…,key=…]", help="The daemon's endpoint")
@option("--from", "source", default="", metavar="CONTEXT", help="Take the endpoint of another context")
def create(session: Session, name: str, description: str, endpoint: str, source: str) -> None:
    """Create a context."""
    store = ContextStore(session.settings.config.folder)
    if source:
        host, tls = store.get(source).host, store.get(source).tls
    else:
        host, tls = _endpoint(endpoint)
    parse_address(host)
    store.create(name, host, description, tls)
    print(name)


def _endpoint(text: str) -> tuple[str, Tls | None]:
    fields = dict(part.partition("=")[::2] for part in text.split(",") if part)
    if unknown := set(fields) - {"host", "ca", "cert", "key", "skip-tls-verify"}:
        raise InvalidInput(f"unknown field {min(unknown)!r} of --docker")
    if not fields.get("host"):
        raise InvalidInput("the endpoint names no host", advice="Write --docker host=unix:///run/docker.sock")
    skip = boolean(fields.get("skip-tls-verify", "false"))
    files = [fields.get(name, "") for name in ("ca", "cert", "key")]
    tls = Tls(files[0], files[1], files[2], not skip) if any(files) or skip else None
    return fields["host"], tls


@command("lamina context ls")
@format_option
@switch("-q", "--quiet", help="Only show names")
def ls(session: Session, format_: str, quiet: bool) -> None:
    """List contexts; the current one has a star."""
    current = session.settings.context
    named = os.environ.get("LAMINA_HOST") or os.environ.get("DOCKER_HOST")
    host = str(session.settings.address) if current == "default" else named or f"unix://{default_socket()}"
    rows = [{"name": "default", "description": "lamina's own daemon, or what the environment says", "host": host}]
    for stored in ContextStore(session.settings.config.folder).list():
        rows.append({"name": stored.name, "description": stored.description, "host": stored.host})
    columns = {
        "Name": Column("NAME", lambda d, trunc: d["name"] + (" *" if trunc and d["name"] == current else "")),
        "Description": Column("DESCRIPTION", lambda d, trunc: str(d["description"])),
        "DockerEndpoint": Column("DOCKER ENDPOINT", lambda d, trunc: str(d["host"])),
        "Current": Column("CURRENT", lambda d, trunc: str(d["name"] == current).lower()),
    }
    default = ("Name", "Description", "DockerEndpoint")
    print_rows(rows, columns, default, form=format_, quiet="Name" if quiet else "", trunc=not quiet)


@command("lamina context use build-box")
@argument("name")
def use(session: Session, name: str) -> None:
    """Make a context the current one."""
    config = session.settings.config
    if name == "default":
        config.document.pop("currentContext", None)
    else:
        ContextStore(config.folder).get(name)
        config.document["currentContext"] = name
    config.save()
    print(name)


@command("lamina context show")
def show(session: Session) -> None:
    """Print the name of the current context."""
    print(session.settings.context)


@command("lamina context rm build-box")
@argument("names", many=True, metavar="CONTEXT [CONTEXT...]")
@switch("-f", "--force", help="Remove it although it is the current one")
def rm(session: Session, names: tuple[str, ...], force: bool) -> int:
    """Remove contexts."""
    config = session.settings.config

    def remove(name: str) -> None:
        if name == config.text("currentContext"):
            if not force:
                raise Conflict(f"context {name!r} is the current one", advice="Use another, or add --force")
            config.document.pop("currentContext")
            config.save()
        ContextStore(config.folder).remove(name)

    return for_each_named(names, remove)


@command("lamina context inspect build-box")
@argument("names", many=True, required=False, metavar="[CONTEXT...]")
@option("-f", "--format", "format_", default="", metavar="TEMPLATE", help="Print with a template")
def inspect(session: Session, names: tuple[str, ...], format_: str) -> None:
    """Display detailed information on contexts."""
    store = ContextStore(session.settings.config.folder)
    host = f"unix://{default_socket()}"
    default = {"Name": "default", "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    listed = names or (session.settings.context,)
    documents = [default if name == "default" else store.get(name).document for name in listed]
    if format_:
        from lamina.cli.template import Template

        for document in documents:
            print(Template.parse(format_).render(document))
        return
    print(json.dumps(documents, indent=4))
