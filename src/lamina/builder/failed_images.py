"""The images of files that failed commands left. Nobody needs one once its build's caller is gone."""

from __future__ import annotations

from lamina.errors import Conflict, NotFound
from lamina.formats.digest import Digest
from lamina.images.images import Images
from lamina.images.record import read_record
from lamina.store.store import Store

FAILED = "build-failed"  # the IDs of these images


def note_failed(store: Store, image_id: Digest) -> None:
    """Note an image that is going to be made, so that no crash leaves it for ever."""
    with store.transaction() as tx:
        tx.put(FAILED, str(image_id), b"")


def sweep_failed(images: Images) -> None:
    """Remove the images that an engine which died or was closed left, but for those that have got a name or a user."""
    with images.store.read() as tx:
        noted = [Digest.parse(text) for text, _ in tx.items(FAILED)]
        named = {id for id in noted if (record := read_record(tx, id)) is not None and record.references}
    for id in noted:
        try:
            if id not in named:
                images.remove(str(id), prune=False)
        except NotFound:
            pass
        except Conflict:  # a container still uses it
            continue
        with images.store.transaction() as tx:
            tx.delete(FAILED, str(id))
