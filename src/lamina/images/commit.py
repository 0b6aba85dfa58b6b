"""`commit`: what a container changed becomes a layer on top of its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lamina.cancellation import NEVER, Cancellation
from lamina.formats.config import History, ImageConfig, RunConfig
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.times import now
from lamina.images.catalog import Catalog
from lamina.images.changes import apply_changes
from lamina.images.create import NewImage, create
from lamina.images.image import Image
from lamina.images.inherit import inherit
from lamina.layers.layer_writer import LayerBuilder


class Changed(Protocol):
    """What can tell its changes as a layer: a snapshot."""

    def write_diff(self, builder: LayerBuilder) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOptions:
    """How to make the image. `container` is the container's config; `config`, where given, what is wanted instead:
    what it leaves open comes from the container's.

    `created_by` is what the history shows, by default the container's command. `extra` holds further members of the
    image's config.
    """

    container: RunConfig
    config: RunConfig | None = None
    changes: Sequence[str] = ()
    author: str = ""
    message: str = ""
    created_by: str | None = None
    created: str | None = None
    references: Sequence[Reference] = ()
    platform: Platform | None = None
    extra: dict[str, object] = field(default_factory=dict)


def commit(
    catalog: Catalog, base: Image | None, snapshot: Changed, options: CommitOptions, cancellation: Cancellation = NEVER
) -> Image:
    """Make the image. A container that changed no files gives an image without a new layer.

    The caller pauses the container. Raises InvalidInput for a bad change, NoSpace, Cancelled; then the store is as
    it was.
    """
    config = inherit(apply_changes(options.config or options.container, options.changes), options.container)
    with catalog.store.lease():
        layer = catalog.store.layers.write(snapshot.write_diff, cancellation)
        when = options.created or now()
        created_by = " ".join(options.container.cmd or ()) if options.created_by is None else options.created_by
        step = History(when, created_by, options.message, options.author, empty_layer=layer is None)
        made = ImageConfig.build(
            platform=options.platform or (base.platform if base else None),
            config=config,
            diff_ids=[*(base.config.diff_ids if base else ()), *([layer.diff_id] if layer else ())],
            history=[*(base.config.history if base else ()), step],
            created=when,
            author=options.author,
            extra={"comment": options.message, **options.extra} if options.message else options.extra,
        )
        new = NewImage(made, references=options.references, parent=base.id if base else None)
        return create(catalog, [new]).images[0]
