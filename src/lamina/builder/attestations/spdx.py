"""The packages of an image as an SPDX document. Rule: SPDX specification 2.3, its JSON form."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from lamina import __version__
from lamina.builder.export.result import Attestation, PlatformImage
from lamina.formats.times import format_time
from lamina.images.packages.package import Package
from lamina.images.packages.scan import Found

PREDICATE = "https://spdx.dev/Document"
_UNKNOWN = "NOASSERTION"
_OF_ID = re.compile(r"[^A-Za-z0-9.-]+")
_SECOND = 10**9


def sbom(image: PlatformImage, found: Found, made_ns: int) -> Attestation:
    """Return the packages of an image as an attestation. `made_ns` is the time that it tells, to the second."""
    when = format_time(made_ns // _SECOND * _SECOND)
    return Attestation(PREDICATE, document(image, found, when), "sbom.spdx.json")


def document(image: PlatformImage, found: Found, when: str) -> dict[str, Any]:
    """Return the SPDX document. `when` is RFC 3339 in whole seconds."""
    root = "SPDXRef-Image"
    packages = [_package(each, _id(each)) for each in found.packages]
    ids = [each["SPDXID"] for each in packages]
    whole = {
        "SPDXID": root,
        "name": f"image for {image.platform}",
        "versionInfo": str(image.image.id),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": _UNKNOWN,
        "copyrightText": _UNKNOWN,
    }
    described = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "sbom",
        "documentNamespace": f"https://spdx.org/spdxdocs/lamina-{image.image.id.encoded}",
        "creationInfo": {"created": when, "creators": [f"Tool: lamina-{__version__}"]},
        "packages": [whole, *packages],
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", root),
            *(_related(root, "CONTAINS", id) for id in ids),
        ],
    }
    if found.damaged:
        described["comment"] = f"These files could not be understood: {', '.join(found.damaged)}"
    return described


def _package(package: Package, id: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "SPDXID": id,
        "name": f"{package.namespace}/{package.name}" if package.kind == "npm" and package.namespace else package.name,
        "versionInfo": package.version,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "sourceInfo": f"acquired package info from /{package.path}",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.url}
        ],
    }
    if package.supplier:
        fields["supplier"] = f"Organization: {package.supplier}"
    if package.license:  # as the package has it, which need not be an expression of SPDX
        fields["licenseComments"] = f"declared as {package.license}"
    return fields


def _id(package: Package) -> str:
    """Return an identifier that no other package of the image has."""
    mark = hashlib.sha256(f"{package.url}\0{package.path}".encode("utf-8", "replace")).hexdigest()[:16]
    return f"SPDXRef-Package-{package.kind}-{_OF_ID.sub('-', package.name)[:100]}-{mark}"


def _related(one: str, how: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
