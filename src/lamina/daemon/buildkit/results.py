"""What a client that drives its build returns: refs of results by platform, and what it says of them.

Rule: moby/buildkit, exporter/containerimage/exptypes. `refs.platforms` lists the platforms in their order.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from lamina.builder.arguments import epoch_ns
from lamina.builder.export.result import PlatformImage
from lamina.builder.export.result import Result as Images
from lamina.daemon.buildkit.builds import Build
from lamina.daemon.buildkit.messages.gateway import Result
from lamina.errors import InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.document import encode
from lamina.formats.platform import Platform

PLATFORMS = "refs.platforms"
CONFIG = "containerimage.config"
_BASE = "containerimage.base.config"
_EPOCH = "source.date.epoch"


class _Platform(msgspec.Struct, frozen=True):
    architecture: str = ""
    os: str = ""
    variant: str = ""
    version: str = msgspec.field(name="os.version", default="")
    features: tuple[str, ...] = msgspec.field(name="os.features", default=())


class _Listed(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="ID")
    platform: _Platform = msgspec.field(name="Platform", default_factory=_Platform)


class _Platforms(msgspec.Struct, frozen=True):
    platforms: tuple[_Listed, ...] = msgspec.field(name="Platforms", default=())


def platforms_text(result: Images) -> bytes:
    """Return the list of a result's platforms."""
    return encode({"Platforms": [{"ID": item.id, "Platform": item.platform.to_json()} for item in result.images]})


def result_of(build: Build, returned: Result | None) -> Images | None:
    """Return the images that a client returned, None for nothing. Its graphs are made now, which blocks.

    Raise InvalidInput, NotFound, and what the graphs raise.
    """
    if returned is None:
        return None
    refs = returned.refs.refs if returned.refs is not None else {}
    if not refs:
        id = returned.ref.id if returned.ref is not None else returned.plain
        config = returned.metadata.get(CONFIG, b"")
        if not id and not config:
            return None
        ref = build.result(id) if id else build.empty()
        return Images((_dated(ref.image(config, None), returned, ""),))
    return Images(tuple(_images(build, returned, {name: ref.id for name, ref in refs.items()})), several=True)


def _images(build: Build, returned: Result, refs: dict[str, str]) -> list[PlatformImage]:
    raw = returned.metadata.get(PLATFORMS)
    if raw is None:
        raise InvalidInput("unable to export multiple refs, missing platforms mapping")
    try:
        listed = msgspec.json.decode(raw, type=_Platforms).platforms
    except msgspec.DecodeError as error:
        raise InvalidInput(f"failed to parse {PLATFORMS}: {error}") from None
    images = []
    for entry in listed:
        if entry.id not in refs:
            raise InvalidInput(f"failed to find ref for ID {entry.id}")
        parts = entry.platform
        platform = Platform(parts.os, parts.architecture, parts.variant, parts.version, parts.features)
        config = returned.metadata.get(f"{CONFIG}/{entry.id}", b"")
        ref = build.result(refs[entry.id]) if refs[entry.id] else build.empty()
        image = replace(ref.image(config, platform), platform=platform.normalised())
        images.append(_dated(image, returned, f"/{entry.id}"))
    if not images:
        raise InvalidInput("invalid empty platforms index for exporter")
    return images


def _dated(image: PlatformImage, returned: Result, ending: str) -> PlatformImage:
    """Add the time and the base that a client tells of an image. Raise InvalidInput for what cannot be understood."""
    metadata = returned.metadata
    epoch = metadata.get(_EPOCH + ending, metadata.get(_EPOCH))
    if epoch is not None:
        nanoseconds = epoch_ns(epoch.decode(errors="replace"))
        image = replace(image, epoch=None if nanoseconds is None else nanoseconds // 10**9)
    base = metadata.get(_BASE + ending)
    return replace(image, base=ImageConfig.parse(base)) if base else image
