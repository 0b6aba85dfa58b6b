"""What exporters are given: the images of a build by platform, and what is attested of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lamina.api.build_steps import BuildStep
from lamina.builder.build_run import BuildUse
from lamina.builder.cache.records import Cached
from lamina.errors import InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.platform import Platform, choose
from lamina.images.image import Image


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement about an image: the type of its predicate, and the predicate. `file_name` is its name in a folder.

    An `inline_only` one is left out where it would be a file of its own.
    """

    predicate_type: str
    predicate: Mapping[str, Any]
    file_name: str
    inline_only: bool = False


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """The image for one platform. `base` is the config of the image that it was built on.

    `epoch` is the build's SOURCE_DATE_EPOCH in seconds, where there is one, `use` what came from outside, and
    `dockerfile` the text that was built, `steps` what became of its steps,
    and `cached` what other engines can use of them.
    """

    platform: Platform
    image: Image
    base: ImageConfig | None = None
    attestations: tuple[Attestation, ...] = ()
    epoch: int | None = None
    use: BuildUse = field(default_factory=BuildUse)
    dockerfile: str = ""
    steps: tuple[BuildStep, ...] = ()
    cached: tuple[Cached, ...] = ()

    @property
    def id(self) -> str:
        """Return the platform as BuildKit's keys and folders name it."""
        return str(self.platform)


@dataclass(frozen=True, slots=True)
class Result:
    """What a build made, in the order in which the platforms were asked for.

    `several` tells that an index was asked for, even if it is one of a single platform.
    """

    images: tuple[PlatformImage, ...]
    several: bool = False

    @property
    def main(self) -> PlatformImage:
        """Return the image for this machine, or the first."""
        return self.images[choose(Platform.host(), [item.platform for item in self.images]) or 0]

    @property
    def single(self) -> PlatformImage:
        """Return the only image. Raise InvalidInput when there are several."""
        if len(self.images) != 1:
            raise InvalidInput(
                "this result has images for several platforms", advice="Choose one, or an exporter that takes several."
            )
        return self.images[0]
