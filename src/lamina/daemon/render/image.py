"""Images as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lamina.formats.runconfig import RunConfig
from lamina.formats.times import parse_time
from lamina.images.image import Image
from lamina.images.indexes import Statement
from lamina.images.listing import HistoryStep, ListedImage
from lamina.images.remove import Removal

Version = tuple[int, int]
_NO_TIME = "0001-01-01T00:00:00Z"


def inspect(image: Image, root: Path, version: Version, *, chosen: bool = False) -> dict[str, Any]:
    """`GET /images/{name}/json`; `root` is the engine's data root.

    The descriptor of an image that was `chosen` by its platform names that (moby daemon/containerd/image_inspect.go).
    """
    document: dict[str, Any] = {
        "Id": str(image.id),
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Created": image.created,
        "Config": _config(image, version),
        "Architecture": image.config.architecture,
        "Os": image.config.os,
        "Size": image.size,
        "GraphDriver": _graph_driver(image, root),
        "RootFS": _rootfs(image),
        "Metadata": {"LastTagTime": image.tagged or _NO_TIME},
    }
    if image.config.variant:
        document["Variant"] = image.config.variant
    if image.config.os_version:
        document["OsVersion"] = image.config.os_version
    document |= _by_version(image, version)
    if chosen:
        document["Descriptor"]["platform"] = image.platform.to_json()
    return document


def _by_version(image: Image, version: Version) -> dict[str, Any]:
    """Return the members that came and went with API versions (moby api/docs/CHANGELOG.md)."""
    document = image.config.document
    members = {
        "Parent": str(image.parent or ""),
        "Comment": image.comment,
        "DockerVersion": document.get("docker_version") or "",
        "Author": image.config.author or "",
    }
    if version >= (1, 52):
        members = {name: value for name, value in members.items() if value}
    # dockerd has left it out since API 1.45. Compose 1.29 asks for the newest version and cannot do without it.
    members["ContainerConfig"] = _container_config(document.get("container_config"))
    if version < (1, 44):
        members["VirtualSize"] = image.size
    if version < (1, 45):
        members["Container"] = document.get("container") or ""
    if version >= (1, 48):
        members["Descriptor"] = _descriptor(image)
    if version >= (1, 53):
        members |= _identity(image)
    return members


def _identity(image: Image) -> dict[str, Any]:
    """Return where the image came from: registries that have it, and a build here. Signatures are not looked at."""
    identity: dict[str, Any] = {}
    repositories = dict.fromkeys(reference.name for reference in image.digest_references)
    if repositories:
        identity["Pull"] = [{"Repository": name} for name in repositories]
    if image.built:
        identity["Build"] = [{"CreatedAt": image.built}]
    return {"Identity": identity} if identity else {}


def _container_config(written: object) -> dict[str, Any]:
    """Return the config of the container that an image was committed from, whole as Go writes it."""
    config = written if isinstance(written, dict) else {}
    members = RunConfig().to_docker() | dict.fromkeys(_STREAM_FLAGS, False)
    return members | {name: value for name, value in config.items() if isinstance(name, str)}


_OF_CONTAINERS = ("Hostname", "Domainname", "Image", "NetworkDisabled", "MacAddress", "StopTimeout")
_STREAM_FLAGS = ("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce")


def _config(image: Image, version: Version) -> dict[str, Any]:
    """Return what the image runs; before API 1.50 with what only containers have, before 1.52 with empty members."""
    config = image.config.config.to_docker()
    if version < (1, 50):
        return dict.fromkeys(_STREAM_FLAGS, False) | config
    config = {name: value for name, value in config.items() if name not in _OF_CONTAINERS}
    return {name: value for name, value in config.items() if value} if version >= (1, 52) else config


def _graph_driver(image: Image, root: Path) -> dict[str, Any]:
    """Return GraphDriver in the words of overlay2: the top layer, and those below it.

    Layers are tars here; `MergedDir` and `WorkDir` are where a container's would be, and exist for none.
    """
    layers = [str(layer.tar) for layer in reversed(image.layers)]
    if not layers:
        return {"Name": "overlay2", "Data": None}
    place = root / "snapshots" / image.id.encoded
    data = {"MergedDir": str(place / "merged"), "UpperDir": layers[0], "WorkDir": str(place / "work")}
    return {"Name": "overlay2", "Data": data | ({"LowerDir": ":".join(layers[1:])} if layers[1:] else {})}


def _rootfs(image: Image) -> dict[str, Any]:
    layers = [str(diff_id) for diff_id in image.config.diff_ids]
    return {"Type": "layers", "Layers": layers} if layers else {"Type": "layers"}


def _descriptor(image: Image) -> dict[str, Any]:
    """Return the descriptor of the config, which stands for the image: lamina's image ID is its digest."""
    media_type = "application/vnd.docker.container.image.v1+json"
    return {"mediaType": media_type, "digest": str(image.id), "size": len(image.config.raw)}


def listed(item: ListedImage, version: Version) -> dict[str, Any]:
    """Return one image of `GET /images/json`."""
    image = item.image
    tags, digests = list(item.tags), list(item.digests)
    if version < (1, 43) and not tags and not digests:
        tags, digests = ["<none>:<none>"], ["<none>@<none>"]
    document = {
        "Containers": item.containers if version >= (1, 51) or item.shared_size is not None else -1,
        "Created": parse_time(image.created) // 10**9,
        "Id": str(image.id),
        "Labels": dict(image.labels) or None,
        "ParentId": str(image.parent or ""),
        "RepoDigests": digests,
        "RepoTags": tags,
        "SharedSize": -1 if item.shared_size is None else item.shared_size,
        "Size": image.size,
    }
    if version < (1, 44):
        document["VirtualSize"] = image.size
    return document


def history_step(step: HistoryStep) -> dict[str, Any]:
    """Return one step of `GET /images/{name}/history`."""
    return {
        "Comment": step.comment,
        "Created": parse_time(step.created) // 10**9 if step.created else 0,
        "CreatedBy": step.created_by,
        "Id": step.id,
        "Size": step.size,
        "Tags": list(step.tags) or None,
    }


def removal(item: Removal) -> dict[str, str]:
    """Return one line of what a removal did."""
    return {"Deleted": item.deleted} if item.deleted else {"Untagged": item.untagged}


def statement(item: Statement) -> dict[str, Any]:
    """Return one element of `GET /images/{name}/attestations`."""
    told = {"Descriptor": item.blob.to_json(), "PredicateType": item.predicate_type}
    return told | ({"Statement": item.statement} if item.statement else {})
