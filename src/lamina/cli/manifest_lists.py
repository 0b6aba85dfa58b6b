"""Manifest lists that are not pushed yet. Docker's clients keep them in `manifests/LIST/IMAGE` beside config.json."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lamina.errors import InvalidInput, LaminaError, NotFound
from lamina.formats.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference


class Entry(NamedTuple):
    """An image in a list: its reference, its descriptor in the list, and its manifest."""

    reference: Reference
    descriptor: Descriptor
    manifest: Manifest

    def document(self) -> dict[str, Any]:
        """Return the JSON that Docker's clients write."""
        member = "SchemaV2Manifest" if self.manifest.media_type == DOCKER_MANIFEST else "OCIManifest"
        raw = self.manifest.raw
        return {
            "Ref": str(self.reference),
            "Descriptor": self.descriptor.to_json(),
            "Raw": base64.b64encode(raw).decode(),
            member: json.loads(raw),
        }


class Drafts:
    """The unpushed lists below a configuration folder."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "manifests"

    def get(self, name: Reference) -> list[Entry]:
        """Return the images of a list. Raise NotFound for an unknown list, InvalidInput for a damaged file."""
        try:
            files = sorted(file for file in self._folder(name).iterdir() if not file.name.startswith("."))
        except FileNotFoundError:
            raise _unknown(name) from None
        return [_read(file) for file in files]

    def has(self, name: Reference) -> bool:
        """Return whether there is such a list."""
        return self._folder(name).is_dir()

    def save(self, name: Reference, entry: Entry) -> None:
        """Add an image to a list. It replaces the list's image of the same name."""
        folder = self._folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".new.{os.getpid()}"
        temporary.write_text(json.dumps(entry.document()))
        temporary.replace(folder / _file_name(entry.reference))

    def remove(self, name: Reference) -> None:
        """Delete a list. Raise NotFound."""
        if not self.has(name):
            raise _unknown(name)
        shutil.rmtree(self._folder(name))

    def _folder(self, name: Reference) -> Path:
        return self._root / _file_name(name)


def joined(entries: Sequence[Entry]) -> Index:
    """Return an index of these images: an OCI index if all are OCI images, else Docker's manifest list."""
    oci = all(entry.manifest.media_type == OCI_MANIFEST for entry in entries)
    return Index.build([entry.descriptor for entry in entries], OCI_INDEX if oci else DOCKER_LIST)


def _unknown(name: Reference) -> NotFound:
    return NotFound(f"No such manifest: {name}", advice="Make it with `lamina manifest create`")


def _file_name(name: Reference) -> str:
    return str(name).replace(":", "-").replace("/", "_")


def _raw(document: dict[str, Any]) -> bytes:
    """Return the manifest's bytes. Older files hold only its JSON, which Docker indents by three spaces."""
    if "Raw" in document:
        return base64.b64decode(document["Raw"], validate=True)
    return json.dumps(document["SchemaV2Manifest"], indent=3, ensure_ascii=False).encode()


def _read(file: Path) -> Entry:
    try:
        document = json.loads(file.read_text())
        descriptor = Descriptor.from_json(document["Descriptor"], "manifest list")
        manifest = Manifest.parse(descriptor.check(_raw(document)), descriptor.media_type)
        return Entry(Reference.parse(document["Ref"]), descriptor, manifest)
    except (LaminaError, ValueError, KeyError, TypeError) as error:
        advice = "Remove the list with `lamina manifest rm`, and make it anew"
        raise InvalidInput(f"{file} is damaged", advice=advice) from error
