"""What programs get to know of images, and the verbs on images, builds and registries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, Protocol

from lamina.api.build import BuildRequest
from lamina.api.memory_context import MemoryContext
from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import Credentials
from lamina.formats.matching import Filters
from lamina.formats.runconfig import RunConfig
from lamina.progress import Report, ignore
from lamina.types.resources import Pruned


class ImageSummary(Protocol):
    """An image as lists have it. `tags` and `digests` are its names in Docker's short form; `size` in bytes."""

    @property
    def id(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def digests(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


class Image(ImageSummary, Protocol):
    """An image, whole. `diff_ids` are the digests of its layers from the bottom up, `run_config` what it runs."""

    @property
    def diff_ids(self) -> tuple[str, ...]: ...
    @property
    def author(self) -> str: ...
    @property
    def comment(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def os(self) -> str: ...
    @property
    def run_config(self) -> RunConfig: ...


class HistoryStep(Protocol):
    """A step of an image. `id` is `<missing>` for a step whose image is not here."""

    @property
    def id(self) -> str: ...
    @property
    def created(self) -> str: ...
    @property
    def created_by(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> int: ...
    @property
    def comment(self) -> str: ...


class Removal(Protocol):
    """A name that was taken away, or an image or layer that was deleted; the other text is empty."""

    @property
    def untagged(self) -> str: ...
    @property
    def deleted(self) -> str: ...


class PrunedImages(Protocol):
    """What a prune of images removed, and the bytes of it."""

    @property
    def removed(self) -> Sequence[Removal]: ...
    @property
    def reclaimed(self) -> int: ...


class BuildResult(Protocol):
    """The image that a build made."""

    @property
    def image(self) -> Image: ...


class SearchResult(Protocol):
    """A repository that a registry found."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def stars(self) -> int: ...
    @property
    def official(self) -> bool: ...
    @property
    def automated(self) -> bool: ...


class RemoteImage(Protocol):
    """An image in a registry: its manifest or index, and the platforms that it is for ("linux/amd64")."""

    @property
    def digest(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def platform_names(self) -> tuple[str, ...]: ...


class Images(Protocol):
    """Verbs on images. A reference is a name with tag or digest or neither, or an ID or a unique beginning of one."""

    def get(self, reference: str) -> Image:
        """Return an image. Raise NotFound."""

    def list(
        self, *, all: bool = False, filters: Filters | None = None, shared_size: bool = False
    ) -> Sequence[ImageSummary]:
        """Return the images, newest first. `all` adds the intermediate images of builds."""

    def history(self, reference: str) -> Sequence[HistoryStep]:
        """Return the steps of an image, newest first."""

    def tag(self, reference: str, name: str) -> None:
        """Give the image another name; without a tag in it, `latest`."""

    def remove(self, reference: str, *, force: bool = False, prune: bool = True) -> Sequence[Removal]:
        """Take the name away; with its last name the image goes, and with `prune` its unneeded parents."""

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> PrunedImages:
        """Remove images that nothing names; with the filter `{"dangling": ["false"]}` all that nothing uses."""

    def import_tar(
        self,
        source: IO[bytes],
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Make an image of one layer from a tar, plain or compressed. `changes` are Dockerfile instructions."""

    def load(
        self,
        source: IO[bytes],
        *,
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        """Load the images in an archive of any engine."""

    def save(
        self, references: Sequence[str], sink: IO[bytes], *, platform: str = "", cancellation: Cancellation = NEVER
    ) -> None:
        """Write an archive of images, with their names, that `load` of any engine reads."""


class Builds(Protocol):
    """Builds, and the build cache."""

    def build(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        """Build a directory, or files in memory; None for the address in `request.remote`.

        `credentials` are by registry, for base images. Raise CommandFailed when a step fails.
        """

    def prune(self, filters: Filters | None = None, *, all: bool = False, cancellation: Cancellation = NEVER) -> Pruned:
        """Empty the build cache; with `all` also what only saves work."""


class Registries(Protocol):
    """Verbs between the images here and registries."""

    def pull(
        self,
        reference: str,
        *,
        platform: str = "",
        all_tags: bool = False,
        all_platforms: bool = False,
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        """Bring an image from its registry; without a tag, `latest`."""

    def push(
        self,
        reference: str,
        *,
        all_tags: bool = False,
        platform: str = "",
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """Send an image to the registry that its name tells."""

    def import_url(
        self,
        url: str,
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Make an image of one layer from the tar at an address, which the engine fetches."""

    def search(
        self, term: str, *, limit: int = 25, filters: Filters | None = None, credentials: Credentials | None = None
    ) -> Sequence[SearchResult]:
        """Return repositories that match a term, which may begin with a registry."""

    def inspect(self, reference: str, *, credentials: Credentials | None = None) -> RemoteImage:
        """Return what a registry says of an image, without pulling it."""

    def login(self, server: str, credentials: Credentials) -> Credentials:
        """Try credentials at a registry ("" for Docker Hub), and return those to keep. Raise Unauthorized."""
