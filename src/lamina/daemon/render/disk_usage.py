"""`GET /system/df` as JSON: the totals that API 1.52 brought, and the lists that came before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Raw

from lamina.api.build_cache import CacheObject
from lamina.containers.inspect import ContainerSummary
from lamina.daemon.render.kept_items import KeptItems
from lamina.daemon.render.volume import volume
from lamina.formats.document import encode_json
from lamina.images.listing import ImagesUsage, ListedImage
from lamina.volumes.volume import Volume

Version = tuple[int, int]
KINDS = ("image", "container", "volume", "build-cache")


class VolumeUsage(NamedTuple):
    """A volume, the number of containers that use it, and the bytes of its files."""

    volume: Volume
    users: int
    size: int


class Totals(NamedTuple):
    """The disk space of one kind of object. `reclaimable` are the bytes of objects that nothing uses."""

    items: list[Raw]
    active: int
    size: int
    reclaimable: int


def images(usage: ImagesUsage, version: Version, kept: KeptItems[ListedImage]) -> Totals:
    """Return what images take. Layers that images share count as reclaimable for none of them.

    `kept` has the items of the last answer.
    """
    idle = [item for item in usage.images if not item.containers]
    reclaimable = sum(item.size - (item.shared_size or 0) for item in idle)
    items = kept.values(usage.images, version)
    return Totals(items, len(items) - len(idle), usage.layers_size, reclaimable)


def containers(summaries: Sequence[ContainerSummary], version: Version, kept: KeptItems[ContainerSummary]) -> Totals:
    """Return what containers take beside their images, with the items that `kept` has of the last answer."""
    sizes = {item.id: item.size_rw or 0 for item in summaries}
    active = [item for item in summaries if item.record.state.running]
    reclaimable = sum(sizes.values()) - sum(sizes[item.id] for item in active)
    items = kept.values(summaries, version)
    return Totals(items, len(active), sum(sizes.values()), reclaimable)


def volumes(usages: Sequence[VolumeUsage]) -> Totals:
    """Return what volumes take."""
    items = [Raw(encode_json(_volume(item))) for item in usages]
    idle = [item.size for item in usages if not item.users]
    return Totals(items, len(items) - len(idle), sum(item.size for item in usages), sum(idle))


def _volume(item: VolumeUsage) -> dict[str, Any]:
    return volume(item.volume) | {"UsageData": {"RefCount": item.users, "Size": item.size}}


def build_cache(objects: Sequence[CacheObject]) -> Totals:
    """Return what the build cache takes. What images need too is counted with them."""
    own = [item for item in objects if not item.kept_for]
    active = sum(item.in_use or bool(item.kept_for) for item in objects)
    reclaimable = sum(item.size for item in own if not item.in_use)
    items = [Raw(encode_json(item.to_json())) for item in objects]
    return Totals(items, active, sum(item.size for item in own), reclaimable)


def remote_layers(sizes: Mapping[str, int]) -> Totals:
    """Return what the explorer keeps of layers at registries. All of it may go: it is fetched again."""
    items = [Raw(encode_json({"Name": name, "Size": size})) for name, size in sizes.items()]
    return Totals(items, 0, sum(sizes.values()), sum(sizes.values()))


def older(totals: dict[str, Totals], version: Version) -> dict[str, Any]:
    """Return the answer of API versions before 1.52: all items, in a list for each kind."""
    names = {
        "image": "Images",
        "container": "Containers",
        "volume": "Volumes",
        "build-cache": "BuildCache",
        "remote-layer": "RemoteLayers",
    }
    members: dict[str, Any] = {names[kind]: item.items for kind, item in totals.items()}
    if "image" in totals:
        members["LayersSize"] = totals["image"].size
    return members | (
        {"BuilderSize": totals["build-cache"].size if "build-cache" in totals else 0} if version < (1, 42) else {}
    )


def newer(totals: dict[str, Totals], *, verbose: bool) -> dict[str, Any]:
    """Return the answer of API 1.52: totals for each kind, with the items if `verbose`. Zeros are left out."""
    names = {
        "image": "ImageUsage",
        "container": "ContainerUsage",
        "volume": "VolumeUsage",
        "build-cache": "BuildCacheUsage",
        "remote-layer": "RemoteLayerUsage",
    }
    return {names[kind]: _total(item, verbose) for kind, item in totals.items()}


def _total(totals: Totals, verbose: bool) -> dict[str, Any]:
    members = {
        "ActiveCount": totals.active,
        "TotalCount": len(totals.items),
        "TotalSize": totals.size,
        "Reclaimable": totals.reclaimable,
        "Items": totals.items if verbose else [],
    }
    return {name: value for name, value in members.items() if value}
