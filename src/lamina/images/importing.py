"""`import`: a root file system in a tar becomes an image of one layer."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.errors import InvalidInput
from lamina.formats.config import History, ImageConfig, RunConfig
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.times import now
from lamina.images.catalog import Catalog
from lamina.images.changes import apply_changes
from lamina.images.create import NewImage, create
from lamina.images.image import Image
from lamina.layers.decompress import decompressed
from lamina.layers.layer_writer import ingest
from lamina.layers.tar.source import Readable


def import_tar(
    catalog: Catalog,
    stream: Readable,
    reference: Reference | None,
    *,
    message: str,
    changes: Sequence[str],
    platform: Platform | None,
    created: str | None,
) -> Image:
    """Make the image. Raises InvalidInput, TooLarge, NoSpace; the store is then as it was."""
    config = apply_changes(RunConfig(), changes)
    when = created or now()
    with catalog.store.lease():
        with catalog.store.layers.create() as work, decompressed(stream) as plain:
            ingested = ingest(plain, work.tar, work.index)
            if ingested.size == 0:
                raise InvalidInput("there is nothing to import: the input is empty")
            layer = work.commit(ingested)
        image = ImageConfig.build(
            platform=platform or Platform.host(),
            config=config,
            diff_ids=[layer.diff_id],
            history=[History(created=when, comment=message)],
            created=when,
            extra={"comment": message} if message else {},
        )
        return create(catalog, [NewImage(image, references=[reference] if reference else [])]).images[0]
