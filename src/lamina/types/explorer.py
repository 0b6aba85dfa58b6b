"""The verbs that look into images."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

from lamina.cancellation import NEVER, Cancellation

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from lamina.api.explorer import Blame, FoundFile, ImageDifference, ImageReport, LayerSummary, ListedFile, Search


class Explorer(Protocol):
    """Verbs that look into images, layer by layer, without a mount and without a container.

        for touch in explorer.blame("app", "/etc/passwd").touches:
            print(touch.layer, touch.created_by, touch.change)

    Layers have numbers, from 0 at the bottom. Every verb raises NotFound for an unknown image, InvalidInput for a bad
    name, and Corrupt where a layer is damaged.
    """

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
