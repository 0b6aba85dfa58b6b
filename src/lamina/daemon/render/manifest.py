"""The manifests behind an image's name as JSON: one, or those of an index, with what is attested of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lamina.images.indexes import ListedManifest


def summary(listed: ListedManifest, containers: Sequence[str]) -> dict[str, Any]:
    """Return an element of `Manifests`, with the IDs of the containers that were made from the image.

    Rule: moby, api/types/image, ManifestSummary.
    """
    manifest, image = listed.manifest, listed.image
    size = len(manifest.raw) + manifest.config.size  # an image's layers are kept as what they unpack to
    common = {"ID": str(manifest.digest), "Descriptor": listed.entry.to_json(), "Available": True}
    if image is None:
        content = size + sum(layer.size for layer in manifest.layers)
        return common | {
            "Kind": "attestation",
            "Size": {"Content": content, "Total": content},
            "AttestationData": {"For": listed.about},
        }
    return common | {
        "Kind": "image",
        "Size": {"Content": size, "Total": size + image.size},
        "ImageData": {
            "Platform": image.platform.to_json(),
            "Size": {"Unpacked": image.size},
            "Containers": list(containers),
        },
    }
