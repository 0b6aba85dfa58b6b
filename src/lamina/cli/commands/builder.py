"""`lamina builder`: what the build cache holds, and removing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.cli.arguments import FORMAT_HELP, filters, many, switch
from lamina.cli.commands.disk_space import CACHE, filter_option, force_option, prune_cache, run_prune
from lamina.cli.parsing.declare import command, option
from lamina.cli.session import Session
from lamina.cli.table import Row, print_rows
from lamina.formats.sizes import human_size, parse_size
from lamina.formats.text import printable

if TYPE_CHECKING:
    from lamina.api.build_cache import CacheObject

DEFAULT = ("ID", "CacheType", "Size", "LastUsedSince", "KeptFor", "Description")


@command("""
    lamina builder du
    lamina builder du --filter type=exec.cachemount
    lamina builder du --verbose
""")
@many("--filter", "filter_", metavar="KEY=VALUE", help="Only what matches, such as type=exec.cachemount")
@option("--format", "format_", default="", metavar="TEMPLATE", help=FORMAT_HELP)
@switch("--no-trunc", help="Show all of the IDs and descriptions")
@switch("--verbose", help="Show all of each object, and why a prune leaves it")
def du(session: Session, filter_: tuple[str, ...], format_: str, no_trunc: bool, verbose: bool) -> None:
    """Show what the build cache holds, when it was used last, and who else needs it."""
    objects = session.client.builds.usage(filters(filter_))
    if verbose and not format_:
        print("".join(map(_described, objects)), end="")
    else:
        print_rows([each.to_json() for each in objects], CACHE, DEFAULT, form=format_, trunc=not no_trunc)
    if not format_:
        free = sum(each.size for each in objects if each.reclaimable)
        print(f"Reclaimable: {human_size(free)}\nTotal: {human_size(sum(each.size for each in objects))}")


def _described(each: CacheObject) -> str:
    """Return all that is known of an object, in the lines of `docker buildx du --verbose`."""
    reasons = ["a step uses it now"] if each.in_use else []
    reasons += [f"{each.kept_for} needs it"] if each.kept_for else []
    row = Row(CACHE, each.to_json(), False)
    lines = {
        "ID": each.id,
        "Type": each.type,
        "Mutable": str(each.type == "exec.cachemount").lower(),
        "Reclaimable": str(each.reclaimable).lower(),
        "Shared": str(bool(each.kept_for)).lower(),
        "Size": human_size(each.size, 3),
        "Last used": row.field("LastUsedSince", ()),
        "Description": each.description,
        "Why kept": ", ".join(reasons) or "nothing needs it: a prune takes it",
    }
    return "".join(f"{name + ':':13}{printable(text)}\n" for name, text in lines.items()) + "\n"


@command("""
    lamina builder prune -f
    lamina builder prune --filter until=24h --max-used-space 10GB
""")
@switch("-a", "--all", "all_", help="Remove what only saves work too, such as compressed layers")
@filter_option
@force_option
@option("--max-used-space", "max_used", default="", metavar="BYTES", help="Leave at most so much")
@option("--min-free-space", "min_free", default="", metavar="BYTES", help="Have so much free on the disk")
@option("--reserved-space", "--keep-storage", "reserved", default="", metavar="BYTES", help="Keep so much in any case")
def prune(session: Session, all_: bool, filter_: tuple[str, ...], force: bool, **sizes: str) -> None:
    """Remove build cache that nothing else needs, the least recently used first."""
    limits = {name: parse_size(text, "number of bytes") for name, text in sizes.items() if text}
    conditions = filters(filter_)
    warning = f"WARNING! This will remove all {'' if all_ else 'dangling '}build cache."
    run_prune(session, force, warning, lambda client: prune_cache(client, conditions, all=all_, **limits))
