"""Images as programs see them, and the verbs on images."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING, Protocol
from lamina.progress import Report, ignore

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from collections.abc import Mapping, Sequence
    from typing import IO

    from lamina.formats.matching import Filters
    from lamina.formats.runconfig import RunConfig


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


class AttestedStatement(Protocol):
    """An in-toto statement about an image: the type of what it says, and its digest.

    `statement` is the whole statement, empty where it was not asked for.
    """

    @property
    def predicate_type(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def statement(self) -> Mapping[str, object]: ...


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


class Images(Protocol):
    """Verbs on images. A reference is a name with tag or digest or neither, or an ID or a unique beginning of one.

        for image in images.list():
            print(image.id, image.tags, image.size)

    Every verb raises NotFound for an unknown image, and InvalidInput for a bad name or an ambiguous ID.
    """

    def get(self, reference: str, *, platform: str = "") -> Image:
        """Return an image. Of a name that means images for several platforms it is the one for `platform`.

        Without a `platform` it is the one for the engine's machine, or the first. Raise NotFound where there is none.
        """

    def list(
        self, *, all: bool = False, filters: Filters | None = None, shared_size: bool = False
    ) -> Sequence[ImageSummary]:
        """Return the images, newest first. `all` adds the intermediate images of builds.

        `filters` are Docker's (dangling, label, before, since, until, reference). Raise InvalidInput for others.
        """

    def history(self, reference: str, *, platform: str = "") -> Sequence[HistoryStep]:
        """Return the steps of an image, newest first. `platform` is that of `get`."""

    def attestations(
        self, reference: str, *, platform: str = "", types: Sequence[str] = (), statements: bool = False
    ) -> Sequence[AttestedStatement]:
        """Return what is attested of an image: provenance, packages. `types` chooses by type of predicate.

        Of an image for several platforms it is the one that `get` returns. Without `statements` only types and digests
        are returned. Raise NotFound for an image that is not for `platform`.
        """

    def tag(self, reference: str, name: str) -> None:
        """Give the image another name; without a tag in it, `latest`. Another image of that name loses it."""

    def remove(
        self, reference: str, *, force: bool = False, prune: bool = True, platforms: Sequence[str] = ()
    ) -> Sequence[Removal]:
        """Take the name away; with its last name the image goes, and with `prune` its unneeded parents.

        With `platforms` only the images for these are taken from what a name means, and the name stays while there are
        others. Raise NotFound when there is none for any of them.

        Return what happened, in order. Raise Conflict for an image in use; an engine says in `facts["container"]` or
        `facts["image"]` by what.
        """

    def removal_plan(self, reference: str, *, force: bool = False, prune: bool = True) -> PrunedImages:
        """Return what `remove` would do and how many bytes it would free, and raise what it would raise."""

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
