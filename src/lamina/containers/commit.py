"""`commit`: a container's changes become an image, while the container holds still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from lamina.cancellation import NEVER, Cancellation
from lamina.containers.container import Container
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.rooms import Rooms
from lamina.errors import Conflict, NotFound
from lamina.images.create import CommitOptions
from lamina.images.image import Image


def commit(
    container: Container,
    rooms: Rooms,
    lifecycle: Lifecycle,
    options: CommitOptions,
    *,
    still: bool,
    cancellation: Cancellation = NEVER,
) -> Image:
    """Make an image of what `container` changed. With `still` a running container is paused meanwhile.

    Raise InvalidInput for a bad change, NotFound when the container's own image is gone, NoSpace, Cancelled.
    """
    record = container.record
    base = rooms.images.get(record.image) if record.image else None
    snapshot = rooms.snapshots.get(record.id)
    with _paused(container, lifecycle) if still else nullcontext():
        image = rooms.images.commit(base, snapshot, options, cancellation)
    container.publish("commit", imageID=str(image.id))
    return image


@contextmanager
def _paused(container: Container, lifecycle: Lifecycle) -> Iterator[None]:
    """Pause the container, where it runs, while the block does its work."""
    try:
        lifecycle.pause(container)
    except Conflict:  # it does not run, or is paused already, so it holds still
        yield
        return
    try:
        yield
    finally:
        with suppress(Conflict, NotFound):  # it was killed meanwhile, or somebody else let it go on
            lifecycle.unpause(container)
