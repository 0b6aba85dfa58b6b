"""Who needs the image of a step, so that a prune of the cache leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.images.index_record import indexes_of_member
from lamina.images.record import children, read_record
from lamina.store.transaction import ReadTransaction, Transaction

FINAL = "build-final"  # the IDs of images that builds ended with: they stay when they have no name


def note_final(tx: Transaction, image_id: Digest) -> None:
    """Note that a build ended with this image, so that it is more than a step."""
    tx.put(FINAL, str(image_id), b"")


class Holders:
    """Why the images of one store are kept. `users` returns the containers of an image."""

    def __init__(self, tx: ReadTransaction, users: Callable[[Digest], Sequence[object]]) -> None:
        self._tx = tx
        self._users = users
        self._reasons: dict[Digest, str] = {}

    def reason(self, image_id: Digest) -> str:
        """Return who needs an image or one that was built on it, such as "image app:latest"; "" for nobody."""
        pending = [(image_id, False)]
        while pending:
            current, below_done = pending.pop()
            if current in self._reasons:
                continue
            own = self._own(current)
            below = children(self._tx, current)
            if own or below_done or not below:
                first = (self._reasons[child] for child in below if self._reasons.get(child))
                self._reasons[current] = own or next(first, "")
            else:
                pending.append((current, True))
                pending += [(child, False) for child in below]
        return self._reasons[image_id]

    def line(self, image_id: Digest) -> list[Digest]:
        """Return an image and all that were built on it, the ones without children first."""
        line = [image_id]
        for current in line:
            line += children(self._tx, current)
        return list(reversed(line))

    def _own(self, image_id: Digest) -> str:
        record = read_record(self._tx, image_id)
        if record is None:
            return ""
        if record.references:
            return f"image {Reference.parse(record.references[0]).familiar()}"
        if indexes := indexes_of_member(self._tx, image_id):
            return f"index {indexes[0].short}"
        if self._users(image_id):
            return f"a container of image {image_id.short}"
        return f"image {image_id.short}" if self._tx.get(FINAL, str(image_id)) is not None else ""
