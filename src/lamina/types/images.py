"""Images as programs see them, and the verbs on images, builds and registries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from lamina.cancellation import NEVER, Cancellation
from lamina.progress import Report, ignore

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from lamina.api.build import BuildRequest
    from lamina.api.memory_context import MemoryContext
    from lamina.credentials import Credentials
    from lamina.formats.matching import Filters
    from lamina.formats.runconfig import RunConfig
    from lamina.types.resources import Pruned


class ImageSummary(Protocol):
    """An image as lists have it. `id` is the digest of its config, `size` the bytes of the files in all its layers.

    `tags` and `digests` are its names in Docker's short form, such as "alpine:3.20"; a digest is that of a manifest
    which was pulled or pushed. `created` is RFC 3339, from a client's list in whole seconds.
    """

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
    """An image, whole. `diff_ids` are the digests of its layers from the bottom up, `run_config` what it runs.

    `author` made it and wrote `comment`. `architecture` and `os` are Go's words ("amd64", "linux").
    """

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
    """A step of an image: the instruction that made it, and the bytes of the files that it added.

    `id` and `tags` are those of the image that the step made; `id` is `<missing>` where that image is not here.
    """

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
    """What a prune of images removed, in order, and the bytes of it."""

    @property
    def removed(self) -> Sequence[Removal]: ...
    @property
    def reclaimed(self) -> int: ...


class BuildResult(Protocol):
    """The image that a build made."""

    @property
    def image(self) -> Image: ...


class SearchResult(Protocol):
    """A repository that a registry found. `name` is as `pull` takes it; the registry builds an `automated` one."""

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
    """Verbs on images. A reference is a name with tag or digest or neither, or an ID or a unique beginning of one.

        for image in images.list():
            print(image.id, image.tags, image.size)

    Every verb raises NotFound for an unknown image, and InvalidInput for a bad name or an ambiguous ID.
    """

    def get(self, reference: str) -> Image:
        """Return an image."""

    def list(
        self, *, all: bool = False, filters: Filters | None = None, shared_size: bool = False
    ) -> Sequence[ImageSummary]:
        """Return the images, newest first. `all` adds the intermediate images of builds.

        `filters` are Docker's (dangling, label, before, since, until, reference). Raise InvalidInput for others.
        """

    def history(self, reference: str) -> Sequence[HistoryStep]:
        """Return the steps of an image, newest first."""

    def tag(self, reference: str, name: str) -> None:
        """Give the image another name; without a tag in it, `latest`. Another image of that name loses it."""

    def remove(self, reference: str, *, force: bool = False, prune: bool = True) -> Sequence[Removal]:
        """Take the name away; with its last name the image goes, and with `prune` its unneeded parents.

        Return what happened, in order. Raise Conflict for an image in use; an engine says in `facts["container"]` or
        `facts["image"]` by what.
        """

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> PrunedImages:
        """Remove images that nothing names; with the filter `{"dangling": ["false"]}` all that no container uses.

        Other filters are label, label! and until. Raise InvalidInput for unknown ones, Conflict while another prune
        runs, and Cancelled before the next image.
        """

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
        """Make an image of one layer from a tar, plain or compressed. `changes` are Dockerfile instructions.

        Raise InvalidInput, TooLarge, NoSpace, Cancelled.
        """

    def load(
        self,
        source: IO[bytes],
        *,
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        """Load the images in a tar, compressed or not, all or none: a docker-archive of any age, or an OCI layout.

        Of images for several platforms under one name the one for `platform` (default: the engine's machine) is taken,
        of others only those for `platform`, if that is set. Raise InvalidInput, Corrupt, NotFound, TooLarge, NoSpace,
        Cancelled.
        """

    def save(
        self, references: Sequence[str], sink: IO[bytes], *, platform: str = "", cancellation: Cancellation = NEVER
    ) -> None:
        """Write a docker-archive that is an OCI layout too, which `load` of any engine reads.

        A repository without a tag means all its tags. An engine writes the same bytes for the same images. Raise
        NotFound and InvalidInput before anything is written, then Cancelled and what the sink raises.
        """


class Builds(Protocol):
    """Builds, and the build cache.

    image = builds.build("my-app", BuildRequest(tags=("my-app",))).image
    """

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

        `credentials` are by registry, for base images. Raise CommandFailed when a step fails, InvalidInput for a wrong
        Dockerfile, NotFound, Cancelled.
        """

    def prune(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        reserved: int = 0,
        cancellation: Cancellation = NEVER,
    ) -> Pruned:
        """Empty the build cache: cache mounts that are not in use, steps whose image is gone, unowned content.

        With `all` also what only saves work: the compressed forms of layers, and what is remembered of contexts. Steps
        whose image is here stay: the images are the cache. Of cache mounts and of compressed layers `reserved` bytes
        each are kept. An engine ignores `filters`. Raise Cancelled.
        """


class Registries(Protocol):
    """Verbs between the images here and registries. `credentials` are for the registry that the name tells.

        (image,) = registries.pull("alpine:3.20")
        registries.push("registry.example/app", credentials=Credentials("me", "secret"))

    Every verb raises what the registry answers, and Unavailable when it cannot be reached.
    """

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
        """Bring an image from its registry: without a tag `latest`, with `all_tags` every tag of the name.

        With `all_platforms` (an engine or daemon of lamina's) the images for other platforms than `platform` (default:
        the engine's machine) come too, after it, each named by its digest. Where none is for `platform`, the first
        image gets the name. Raise NotFound, Unauthorized, Forbidden, RateLimited, Corrupt, NoSpace, Cancelled.
        """

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
        """Send an image to the registry that its name tells: without a tag `latest`, with `all_tags` every tag.

        Raise NotFound for a name that is not here, Cancelled.
        """

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
        """Make an image of one layer from the tar at an address, which the engine fetches.

        Raise NotFound, Cancelled, and what `Images.import_tar` raises.
        """

    def search(
        self, term: str, *, limit: int = 25, filters: Filters | None = None, credentials: Credentials | None = None
    ) -> Sequence[SearchResult]:
        """Return repositories that match a term, which may begin with a registry.

        `filters` are Docker's (is-automated, is-official, stars). Raise InvalidInput for a limit that is not from 1 to
        100.
        """

    def inspect(self, reference: str, *, credentials: Credentials | None = None) -> RemoteImage:
        """Return what a registry says of an image, without pulling it."""

    def login(self, server: str, credentials: Credentials) -> Credentials:
        """Try credentials at a registry ("" for Docker Hub), and return those to keep. Raise Unauthorized."""
