"""What a build is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.api.containers import Resources
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The choices of `docker build`, classic builder.

    `build_args` maps to None where the name was given without a value. `network` is bridge (or default), host, none,
    or the name of a user network. `secrets` holds the bytes by id. `shm_size` is in bytes, 0 for the
    engine's default.
    """

    tags: tuple[Reference, ...] = ()
    target: str = ""
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    pull: bool = False
    squash: bool = False
    remove: bool = True  # take the containers of steps that ended well away
    force_remove: bool = False  # and those of failed steps too
    quiet: bool = False  # say nothing but the image's ID at the end
    platform: Platform | None = None
    cache_from: tuple[str, ...] = ()
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    limits: Resources = field(default_factory=Resources)
    shm_size: int = 0
    security_opt: tuple[str, ...] = ()
    secrets: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The image that was built, tagged already, and the IDs of all stages that were built, in order."""

    image: Image
    stages: tuple[str, ...] = ()
