"""`lamina system df`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from lamina.cli.arguments import command, format_option, switch
from lamina.cli.session import Session
from lamina.cli.show.rows import Column, short_id
from lamina.formats.sizes import human_size

Document = Mapping[str, Any]

COLUMNS = {
    "Type": Column("TYPE", lambda d, trunc: str(d["type"])),
    "TotalCount": Column("TOTAL", lambda d, trunc: str(d["total"])),
    "Active": Column("ACTIVE", lambda d, trunc: str(d["active"])),
    "Size": Column("SIZE", lambda d, trunc: human_size(d["size"])),
    "Reclaimable": Column("RECLAIMABLE", lambda d, trunc: _reclaimable(d)),
}
DEFAULT = ("Type", "TotalCount", "Active", "Size", "Reclaimable")


def _reclaimable(document: Document) -> str:
    size, free = document["size"], document["reclaimable"]
    share = f" ({free * 100 // size}%)" if size > 0 and document["type"] != "Build Cache" else ""
    return human_size(free) + share


def summary(usage: Document) -> list[dict[str, Any]]:
    """A row for each kind of thing: how many, how many in use, bytes, and bytes that could go."""
    images, containers = usage.get("Images") or (), usage.get("Containers") or ()
    volumes, cache = usage.get("Volumes") or (), usage.get("BuildCache") or ()
    total = usage.get("LayersSize") or 0
    used = sum(i["Size"] - max(i["SharedSize"], 0) for i in images if i["Containers"] > 0)
    data = [volume.get("UsageData") or {"Size": 0, "RefCount": 0} for volume in volumes]
    return [
        _row("Images", images, sum(i["Containers"] > 0 for i in images), total, total - used if images else 0),
        _row(
            "Containers",
            containers,
            sum(c["State"] in ("running", "paused", "restarting") for c in containers),
            sum(c.get("SizeRw") or 0 for c in containers),
            sum(c.get("SizeRw") or 0 for c in containers if c["State"] not in ("running", "paused", "restarting")),
        ),
        _row(
            "Local Volumes",
            volumes,
            sum(v["RefCount"] > 0 for v in data),
            sum(max(v["Size"], 0) for v in data),
            sum(max(v["Size"], 0) for v in data if v["RefCount"] == 0),
        ),
        _row(
            "Build Cache",
            cache,
            sum(bool(c["InUse"]) for c in cache),
            sum(c["Size"] for c in cache if not c.get("Shared")),
            sum(c["Size"] for c in cache if not c.get("Shared") and not c["InUse"]),
        ),
    ]


def _row(kind: str, items: Sequence[Document], active: int, size: int, reclaimable: int) -> dict[str, Any]:
    return {"type": kind, "total": len(items), "active": active, "size": size, "reclaimable": max(0, reclaimable)}


@command("""
    lamina system df
    lamina system df -v
""")
@format_option
@switch("-v", "--verbose", help="Show every image, container and volume")
@click.pass_obj
def df(session: Session, format_: str, verbose: bool) -> None:
    """Show how much disk the engine uses, and how much a prune could free."""
    from lamina.cli.show.table import print_rows

    usage = session.client.disk_usage()
    if not verbose:
        print_rows(summary(usage), COLUMNS, DEFAULT, form=format_)
    elif format_:
        from lamina.cli.commands.system import _templated

        print(_templated(_named(usage), format_))
    else:
        _print_all(usage)


def _named(usage: Document) -> dict[str, Any]:
    """All of it for a template or as JSON, with Docker's names: a list of rows for each kind of thing."""
    from lamina.cli.show import containers, images
    from lamina.cli.show.networks import VOLUMES
    from lamina.cli.show.rows import Row

    named = [row for image in usage.get("Images") or () for row in images.named_rows([image], digests=False)]
    kinds = {
        "Images": (images.COLUMNS, named),
        "Containers": (containers.COLUMNS, usage.get("Containers") or ()),
        "Volumes": (VOLUMES, usage.get("Volumes") or ()),
        "BuildCache": (CACHE, usage.get("BuildCache") or ()),
    }
    return {kind: [Row(columns, item, False).as_json() for item in items] for kind, (columns, items) in kinds.items()}


def _print_all(usage: Document) -> None:
    from lamina.cli.show import containers, images
    from lamina.cli.show.networks import VOLUMES
    from lamina.cli.show.table import print_rows

    shown = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
    print("Images space usage:\n")
    first_names = [next(images.named_rows([image], digests=False)) for image in usage.get("Images") or ()]
    print_rows(first_names, images.COLUMNS, shown)
    print("\nContainers space usage:\n")
    rows = [{**container, "SizeRootFs": 0} for container in usage.get("Containers") or ()]
    columns = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    print_rows(rows, containers.COLUMNS, columns)
    print("\nLocal Volumes space usage:\n")
    print_rows(usage.get("Volumes") or (), VOLUMES, ("Name", "Links", "Size"))
    cache = usage.get("BuildCache") or ()
    print(f"\nBuild cache usage: {human_size(sum(item['Size'] for item in cache if not item.get('Shared')))}\n")
    print_rows(cache, CACHE, ("ID", "CacheType", "Size", "UsageCount", "Shared"))


CACHE = {
    "ID": Column("CACHE ID", lambda d, trunc: short_id(d["ID"])),
    "CacheType": Column("CACHE TYPE", lambda d, trunc: str(d["Type"])),
    "Size": Column("SIZE", lambda d, trunc: human_size(d["Size"], 3)),
    "UsageCount": Column("USAGE", lambda d, trunc: str(d["UsageCount"])),
    "Shared": Column("SHARED", lambda d, trunc: str(d["Shared"]).lower()),
}
