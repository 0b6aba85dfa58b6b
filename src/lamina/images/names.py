"""Giving images names and taking them away, inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lamina.errors import InvalidInput, NotFound
from lamina.formats.digest import LENGTHS, Digest
from lamina.formats.reference import Reference
from lamina.formats.times import now
from lamina.images.record import REFERENCES, read_record, write_record
from lamina.store.transaction import Transaction


def check_tag(reference: Reference) -> Reference:
    """The reference as a tag, `latest` where it has none. Raises InvalidInput for what must not be a tag."""
    if reference.digest is not None:
        raise InvalidInput("refusing to create a tag with a digest reference", reference=str(reference))
    if reference.familiar_name in LENGTHS:
        raise InvalidInput(
            f"refusing to create an ambiguous tag using digest algorithm as name: {reference.familiar()}",
            reference=str(reference),
        )
    return reference.with_default_tag()


def add_names(tx: Transaction, image_id: Digest, references: Iterable[Reference]) -> dict[str, Digest]:
    """Let these names mean `image_id`; they are taken from the images that had them (name → old ID, given back).

    Raises NotFound when there is no such image.
    """
    taken: dict[str, Digest] = {}
    names = [str(reference) for reference in references]
    for name in names:
        holder = tx.get(REFERENCES, name)
        if holder is not None and (old := Digest.parse(holder.decode())) != image_id:
            remove_names(tx, old, [name])
            taken[name] = old
    record = read_record(tx, image_id)
    if record is None:
        raise NotFound(f"No such image: {image_id}", reference=str(image_id))
    together = tuple(sorted({*record.references, *names}))
    write_record(tx, image_id, msgspec.structs.replace(record, references=together, tagged=now()))
    return taken


def remove_names(tx: Transaction, image_id: Digest, names: Iterable[str]) -> None:
    """Take canonical names away from an image that stays."""
    record = read_record(tx, image_id)
    if record is not None:
        gone = set(names)
        kept = tuple(name for name in record.references if name not in gone)
        write_record(tx, image_id, msgspec.structs.replace(record, references=kept))
