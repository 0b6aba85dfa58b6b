"""The manifests of an image as JSON: a single one here, for images are kept one for each platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lamina.formats.manifest import Manifest
from lamina.images.image import Image


def summaries(image: Image, manifest: Manifest, containers: Sequence[str]) -> list[dict[str, Any]]:
    """Return `Manifests` of an image, with the IDs of the containers that were made from it."""
    platform = image.platform.to_json()
    content = len(manifest.raw) + len(image.config.raw)  # layers are kept as what they unpack to
    return [
        {
            "ID": str(manifest.digest),
            "Descriptor": replace(manifest.descriptor, platform=image.platform).to_json(),
            "Available": True,
            "Kind": "image",
            "Size": {"Content": content, "Total": content + image.size},
            "ImageData": {"Platform": platform, "Size": {"Unpacked": image.size}, "Containers": list(containers)},
        }
    ]
