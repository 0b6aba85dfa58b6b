"""`lamina builder cache`: the directories of `RUN --mount=type=cache`."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from lamina.cli.arguments import FORMAT_HELP, filters, many, switch
from lamina.cli.commands.archives import write_archive
from lamina.cli.commands.disk_space import CACHE
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.cli.table import print_rows

COLUMNS = ("ID", "Size", "LastUsedSince", "InUse", "Description")


@command("""
    lamina builder cache ls
    lamina builder cache ls --format '{{.Description}}'
""")
@many("--filter", "filter_", metavar="KEY=VALUE", help="Only what matches, such as unused-for=24h")
@option("--format", "format_", default="", metavar="TEMPLATE", help=FORMAT_HELP)
@switch("--no-trunc", help="Show all of the IDs and names")
@switch("-q", "--quiet", help="Only show IDs")
def ls(session: Session, filter_: tuple[str, ...], format_: str, no_trunc: bool, quiet: bool) -> None:
    """List cache mounts: their size on disk, when a step used them last, and their names."""
    mounts = session.client.builds.usage({**filters(filter_), "type": ["exec.cachemount"]})
    documents = [each.to_json() for each in mounts]
    print_rows(documents, CACHE, COLUMNS, form=format_, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("""
    lamina builder cache export -o pip.tar /root/.cache/pip
    lamina builder cache export /root/.cache/pip | zstd > pip.tar.zst
""")
@argument("name", metavar="NAME|ID")
@option("-o", "--output", default="", metavar="FILE", help="Write to a file, instead of stdout")
def export(session: Session, name: str, output: str) -> None:
    """Write the files of a cache mount as a tar, for `import` on another machine."""
    write_archive(lambda sink: session.client.builds.export_mount(name, sink), output)


@command("""
    lamina builder cache import -i pip.tar /root/.cache/pip
    zstd -d < pip.tar.zst | lamina builder cache import /root/.cache/pip
""")
@argument("name", metavar="NAME")
@option("-i", "--input", "input_", default="", metavar="FILE", help="Read from a file, instead of stdin")
def import_(session: Session, name: str, input_: str) -> None:
    """Fill a cache mount from a tar, compressed or not, in place of what it has.

    NAME is the id of `RUN --mount=type=cache`, or its target where it has none.
    """
    with ExitStack() as closing:
        source = closing.enter_context(open(input_, "rb")) if input_ else sys.stdin.buffer
        print(session.client.builds.import_mount(name, source).id)


@command("lamina builder cache rm /root/.cache/pip")
@argument("names", metavar="NAME|ID...", many=True)
def rm(session: Session, names: tuple[str, ...]) -> None:
    """Remove cache mounts."""
    for name in names:
        session.client.builds.remove_mount(name)
        print(name)
