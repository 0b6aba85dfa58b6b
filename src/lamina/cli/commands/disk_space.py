"""`lamina system df` and `lamina … prune`: what takes space, and removing what nothing uses."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lamina.cli.arguments import filters, format_option, many, switch
from lamina.cli.parsing.declare import command
from lamina.cli.session import Session
from lamina.cli.table import Column, Row, print_rows, render_document, short_id
from lamina.client.client import Client
from lamina.formats.sizes import human_size

filter_option = many("--filter", "filter_", metavar="KEY=VALUE", help="Only what matches, such as until=24h")
force_option = switch("-f", "--force", help="Do not ask")


def confirmed(force: bool, warning: str) -> bool:
    """Return whether to go on. Ask, unless the command line says `--force`."""
    if force:
        return True
    sys.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _containers(client: Client, conditions: Mapping[str, list[str]]) -> int:
    answer = client.containers.prune(conditions)
    _tell("Deleted Containers:", answer.removed)
    return answer.reclaimed


def _networks(client: Client, conditions: Mapping[str, list[str]]) -> int:
    _tell("Deleted Networks:", client.networks.prune(conditions).removed)
    return 0


def _volumes(client: Client, conditions: Mapping[str, list[str]]) -> int:
    answer = client.volumes.prune(conditions)
    _tell("Deleted Volumes:", answer.removed)
    return answer.reclaimed


def _images(client: Client, conditions: Mapping[str, list[str]]) -> int:
    answer = client.images.prune(conditions)
    lines = [f"{verb.lower()}: {name}" for item in answer.removed for verb, name in item.items()]
    _tell("Deleted Images:", lines)
    return answer.reclaimed


def prune_cache(client: Client, conditions: Mapping[str, list[str]], **limits: Any) -> int:
    """Prune the build cache, tell what went, and return its bytes."""
    answer = client.builds.prune(conditions, **limits)
    _tell("Deleted build cache objects:", answer.removed)
    return answer.reclaimed


def _tell(title: str, items: Any) -> None:
    if items:
        from lamina.cli.table import write_lines

        write_lines([title, *items, ""])


def run_prune(session: Session, force: bool, warning: str, action: Callable[[Client], int], total: bool = True) -> None:
    """Ask, run the prune, and tell how many bytes it has freed."""
    if not confirmed(force, warning):
        return
    reclaimed = action(session.client)
    if total:
        print(f"Total reclaimed space: {human_size(reclaimed)}")


@command("lamina container prune -f --filter until=24h")
@filter_option
@force_option
def prune_containers(session: Session, filter_: tuple[str, ...], force: bool) -> None:
    """Remove all stopped containers."""
    conditions = filters(filter_)
    run_prune(session, force, "WARNING! This will remove all stopped containers.", lambda c: _containers(c, conditions))


@command("lamina network prune -f")
@filter_option
@force_option
def prune_networks(session: Session, filter_: tuple[str, ...], force: bool) -> None:
    """Remove all networks that no container uses."""
    conditions = filters(filter_)
    warning = "WARNING! This will remove all custom networks not used by at least one container."
    run_prune(session, force, warning, lambda client: _networks(client, conditions), total=False)


@command("lamina volume prune -f --all")
@switch("-a", "--all", "all_", help="Remove unused named volumes too, not just anonymous ones")
@filter_option
@force_option
def prune_volumes(session: Session, all_: bool, filter_: tuple[str, ...], force: bool) -> None:
    """Remove local volumes that no container uses."""
    conditions = filters(filter_)
    if all_:
        conditions["all"] = ["true"]
    kind = "all" if all_ else "anonymous"
    warning = f"WARNING! This will remove {kind} local volumes not used by at least one container."
    run_prune(session, force, warning, lambda client: _volumes(client, conditions))


@command("lamina image prune -a --filter until=240h")
@switch("-a", "--all", "all_", help="Remove all images no container uses, not just dangling ones")
@filter_option
@force_option
def prune_images(session: Session, all_: bool, filter_: tuple[str, ...], force: bool) -> None:
    """Remove images that nothing uses."""
    conditions = {**filters(filter_), "dangling": ["false" if all_ else "true"]}
    what = "all images without at least one container associated to them" if all_ else "all dangling images"
    run_prune(session, force, f"WARNING! This will remove {what}.", lambda client: _images(client, conditions))


@command("lamina system prune -f --volumes")
@switch("-a", "--all", "all_", help="Remove all images no container uses, not just dangling ones")
@filter_option
@force_option
@switch("--volumes", help="Remove anonymous volumes too")
def prune_system(session: Session, all_: bool, filter_: tuple[str, ...], force: bool, volumes: bool) -> None:
    """Remove stopped containers, unused networks, dangling images and unused build cache."""
    conditions = filters(filter_)
    run_prune(session, force, _warning(all_, volumes), lambda client: _everything(client, conditions, all_, volumes))


def _warning(all_: bool, volumes: bool) -> str:
    items = ["all stopped containers", "all networks not used by at least one container"]
    items += ["all anonymous volumes not used by at least one container"] if volumes else []
    items.append("all images without at least one container associated to them" if all_ else "all dangling images")
    items.append("all build cache" if all_ else "unused build cache")
    return "WARNING! This will remove:\n" + "\n".join(f"  - {item}" for item in items) + "\n"


def _everything(client: Client, conditions: Mapping[str, list[str]], all_: bool, volumes: bool) -> int:
    reclaimed = _containers(client, conditions) + _networks(client, conditions)
    if volumes:
        reclaimed += _volumes(client, {name: value for name, value in conditions.items() if name != "until"})
    reclaimed += _images(client, {**conditions, "dangling": ["false" if all_ else "true"]})
    until = {name: value for name, value in conditions.items() if name == "until"}
    return reclaimed + (0 if conditions.keys() - {"until"} else prune_cache(client, until, all=all_))


Document = Mapping[str, Any]

CACHE = {
    "ID": Column("CACHE ID", lambda d, trunc: short_id(d["ID"]) if trunc else str(d["ID"])),
    "CacheType": Column("CACHE TYPE", lambda d, trunc: str(d["Type"])),
    "Size": Column("SIZE", lambda d, trunc: human_size(d["Size"], 3)),
    "UsageCount": Column("USAGE", lambda d, trunc: str(d["UsageCount"])),
    "Shared": Column("SHARED", lambda d, trunc: str(d["Shared"]).lower()),
    "LastUsedSince": Column("LAST USED", lambda d, trunc: _ago(d)),
    "InUse": Column("IN USE", lambda d, trunc: str(d["InUse"]).lower()),
    "KeptFor": Column("KEPT FOR", lambda d, trunc: str(d.get("KeptFor") or "")),
    "Description": Column("DESCRIPTION", lambda d, trunc: _shortened(d.get("Description") or "", trunc)),
}


def _shortened(text: str, trunc: bool) -> str:
    return f"{text[:59]}…" if trunc and len(text) > 60 else text


def _ago(document: Any) -> str:
    from lamina.formats.times import human_duration, parse_time

    used = parse_time(document["LastUsedAt"]) if document.get("LastUsedAt") else 0
    return f"{human_duration((time.time_ns() - used) // 10**9)} ago" if used else "never"


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
    """Return a row for each kind of object: how many, how many in use, bytes, and bytes that a prune would free."""
    images, containers = usage.get("Images") or (), usage.get("Containers") or ()
    volumes, cache = usage.get("Volumes") or (), usage.get("BuildCache") or ()
    total = usage.get("LayersSize") or 0
    used = sum(i["Size"] - max(i["SharedSize"], 0) for i in images if i["Containers"] > 0)
    data = [volume.get("UsageData") or {"Size": 0, "RefCount": 0} for volume in volumes]
    remote = [layer["Size"] for layer in usage.get("RemoteLayers") or ()]  # of lamina's daemon, if there are any
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
        *([_row("Remote Layers", remote, 0, sum(remote), sum(remote))] if remote else []),
    ]


def _row(kind: str, items: Sequence[object], active: int, size: int, reclaimable: int) -> dict[str, Any]:
    return {"type": kind, "total": len(items), "active": active, "size": size, "reclaimable": max(0, reclaimable)}


@command("""
    lamina system df
    lamina system df -v
""")
@format_option
@switch("-v", "--verbose", help="Show every image, container and volume")
def df(session: Session, format_: str, verbose: bool) -> None:
    """Show how much disk the engine uses, and how much a prune could free."""
    usage = session.client.disk_usage()
    if not verbose:
        print_rows(summary(usage), COLUMNS, DEFAULT, form=format_)
    elif format_:
        print(render_document(_named(usage), format_))
    else:
        _print_all(usage)


def _named(usage: Document) -> dict[str, Any]:
    """Return all rows for a template or as JSON, in a list for each kind of object. The names are Docker's."""
    from lamina.cli.commands import containers, images
    from lamina.cli.commands.volumes import VOLUMES

    named = [row for image in usage.get("Images") or () for row in images.named_rows([image], digests=False)]
    kinds = {
        "Images": (images.COLUMNS, named),
        "Containers": (containers.COLUMNS, usage.get("Containers") or ()),
        "Volumes": (VOLUMES, usage.get("Volumes") or ()),
        "BuildCache": (CACHE, usage.get("BuildCache") or ()),
    }
    return {kind: [Row(columns, item, False).as_json() for item in items] for kind, (columns, items) in kinds.items()}


def _print_all(usage: Document) -> None:
    from lamina.cli.commands import containers, images
    from lamina.cli.commands.volumes import VOLUMES

    columns = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
    print("Images space usage:\n")
    first_names = [next(images.named_rows([image], digests=False)) for image in usage.get("Images") or ()]
    print_rows(first_names, images.COLUMNS, columns)
    print("\nContainers space usage:\n")
    rows = [{**container, "SizeRootFs": 0} for container in usage.get("Containers") or ()]
    columns = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    print_rows(rows, containers.COLUMNS, columns)
    print("\nLocal Volumes space usage:\n")
    print_rows(usage.get("Volumes") or (), VOLUMES, ("Name", "Links", "Size"))
    cache = usage.get("BuildCache") or ()
    print(f"\nBuild cache usage: {human_size(sum(item['Size'] for item in cache if not item.get('Shared')))}\n")
    print_rows(cache, CACHE, ("ID", "CacheType", "Size", "UsageCount", "Shared"))
