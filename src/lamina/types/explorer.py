"""The verbs that look into images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Protocol, Self

from lamina.cancellation import NEVER, Cancellation

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from lamina.api.explorer import Blame, FoundFile, ImageDifference, ImageReport, LayerSummary, ListedFile, Search
    from lamina.api.explorer_findings import ImageSources, InstalledPackage, Saving, Secret, Sharing, Weight
    from lamina.credentials import Credentials


class Explorer(Protocol):
    """Verbs that look into images, layer by layer, without a mount and without a container.

        for touch in explorer.blame("app", "/etc/passwd").touches:
            print(touch.layer, touch.created_by, touch.change)

    A reference is the name of an image, `container://NAME` for a container, whose changes are the topmost layer, or
    `registry://NAME` for an image at its registry, which is looked into without a pull.

    Layers have numbers, from 0 at the bottom. Every verb raises NotFound for an unknown image, InvalidInput for a bad
    name, and Corrupt where a layer is damaged.
    """

    def with_credentials(self, credentials: Mapping[str, Credentials]) -> Self:
        """Return an explorer that shows these credentials, by registry, for `registry://`."""

    def sources(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageSources:
        """Return where the layers are read, and how many bytes a registry has sent for them. Raise Cancelled."""

    def layers(self, reference: str) -> tuple[LayerSummary, ...]:
        """Return the layers of an image from the bottom up. No file of it is looked at."""

    def report(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageReport:
        """Return the layers of an image and what is wasted in them. Every file of it is looked at. Raise Cancelled."""

    def files(self, reference: str, path: str = "/", *, layer: int | None = None) -> tuple[ListedFile, ...]:
        """Return what is in a directory, sorted, with what `layer` did to it; without one, the topmost layer.

        Links are not followed. Raise NotFound for a path that is no directory, InvalidInput for a layer that the image
        does not have.
        """

    def find(
        self, reference: str, search: Search, *, layer: int | None = None, cancellation: Cancellation = NEVER
    ) -> tuple[FoundFile, ...]:
        """Return files at `layer`, or at the topmost one, folders before what is in them. Raise Cancelled.

        Raise InvalidInput for a layer that the image does not have.
        """

    def read(
        self,
        reference: str,
        path: str,
        sink: IO[bytes],
        *,
        layer: int | None = None,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """Write the bytes of a file, as it is at `layer` or at the topmost one, to `sink`. Links are not followed.

        Raise NotFound for a path that is no regular file, InvalidInput as `find`, then Cancelled and what the sink
        raises.
        """

    def blame(self, reference: str, path: str, *, cancellation: Cancellation = NEVER) -> Blame:
        """Return which layers brought, changed and removed a path. Links to folders on the way are followed.

        Raise NotFound for a path that no layer has, Cancelled.
        """

    def compare(self, before: str, after: str, *, cancellation: Cancellation = NEVER) -> ImageDifference:
        """Return how two images differ, in configuration, packages and files. Raise Cancelled."""

    def weights(
        self, reference: str, *, layer: int | None = None, most: int = 400, cancellation: Cancellation = NEVER
    ) -> Weight:
        """Return the folders with the bytes that `layer`, or every layer, has in them, for a picture.

        The heaviest folders are opened until `most` files and folders are named. Raise InvalidInput for a layer that
        the image does not have, Cancelled.
        """

    def savings(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[Saving, ...]:
        """Return what an image could do without, most bytes first: hidden files, package caches, copies.

        Every file of it is looked at. Raise Cancelled.
        """

    def packages(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[InstalledPackage, ...]:
        """Return the packages of dpkg, apk, rpm, Python and Node in an image, with their licences. Raise Cancelled."""

    def secrets(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[Secret, ...]:
        """Return what looks like a secret: in variables, instructions and the files of each layer. Raise Cancelled."""

    def sharing(self, reference: str, other: str, *, cancellation: Cancellation = NEVER) -> Sharing:
        """Return what two images share on disk, by layer and by file. Raise Cancelled."""
