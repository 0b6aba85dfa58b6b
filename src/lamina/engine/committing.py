"""`commit`: a container's changes become an image, while the container holds still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from lamina.cancellation import NEVER, Cancellation
from lamina.containers.container import Container
from lamina.containers.containers import Containers
from lamina.errors import Conflict, NotFound
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from lamina.images.commit import CommitOptions
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.snapshots.driver import Driver


def commit(
    containers: Containers,
    images: Images,
    snapshots: Driver,
    container: Container,
    *,
    reference: Reference | None = None,
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    config: RunConfig | None = None,
    pause: bool = True,
    cancellation: Cancellation = NEVER,
) -> Image:
    """Makes an image of what `container` changed; `config` and `changes` say what shall be different about it.

    A running container is paused meanwhile unless told otherwise. Raises InvalidInput for a bad change, NoSpace,
    Cancelled.
    """
    record = container.record
    options = CommitOptions(
        container=record.config,
        config=config,
        changes=tuple(changes),
        author=author,
        message=message,
        references=(reference,) if reference else (),
        extra={"container": record.id},
    )
    with _still(containers, container, pause):
        return images.commit(_base(images, record.image), snapshots.get(record.id), options, cancellation)


def _base(images: Images, image: str) -> Image | None:
    if not image:
        return None
    found = images.find(image)
    if found is None:
        raise NotFound(f"the container's image {image} is gone", image=image)
    return found


@contextmanager
def _still(containers: Containers, container: Container, wanted: bool) -> Iterator[None]:
    if not wanted or container.state.status != "running":
        yield
        return
    with ExitStack() as after:
        with suppress(Conflict):  # it has just ended by itself, and holds still
            containers.pause(container.id)
            after.callback(_go_on, containers, container)
        yield


def _go_on(containers: Containers, container: Container) -> None:
    with suppress(Conflict, NotFound):  # somebody has killed it, or let it go on
        containers.unpause(container.id)
