"""The databases of dpkg and apk: text in paragraphs of fields.

Rules: Debian Policy, chapter 5; Alpine's apk specification, apk-installed(5).
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from lamina.images.packages.package import Distribution, Package, cut

DPKG_STATUS = "var/lib/dpkg/status"
DPKG_FOLDER = "var/lib/dpkg/status.d"  # of images without a package manager
APK_INSTALLED = ("lib/apk/db/installed", "usr/lib/apk/db/installed")

_FIELDS = frozenset(
    (
        b"Package",
        b"Status",
        b"Source",
        b"Version",
        b"Architecture",
        b"Maintainer",
        *(b"P", b"V", b"A", b"L", b"m", b"o"),
    )
)


def dpkg_packages(raw: bytes, path: str, distribution: Distribution) -> Iterator[Package]:
    """Yield the packages in dpkg's status, but those that are not installed."""
    for fields in _paragraphs(raw, b": "):
        status = fields.get("Status", "install ok installed").split()
        if "Package" not in fields or "installed" not in status:
            continue
        source = fields.get("Source", "").partition(" ")[0]
        yield Package(
            "deb",
            cut(fields["Package"]),
            cut(fields.get("Version")),
            namespace=distribution.id or "debian",
            architecture=cut(fields.get("Architecture")),
            supplier=cut(fields.get("Maintainer")),
            path=path,
            qualifiers=distribution.qualifiers | ({"upstream": cut(source)} if source else {}),
        )


def apk_packages(raw: bytes, path: str, distribution: Distribution) -> Iterator[Package]:
    """Yield the packages in apk's list of what is installed."""
    for fields in _paragraphs(raw, b":"):
        if "P" not in fields:
            continue
        origin = fields.get("o", "")
        yield Package(
            "apk",
            cut(fields["P"]),
            cut(fields.get("V")),
            namespace=distribution.id or "alpine",
            architecture=cut(fields.get("A")),
            license=cut(fields.get("L")),
            supplier=cut(fields.get("m")),
            path=path,
            qualifiers=distribution.qualifiers | ({"upstream": cut(origin)} if origin else {}),
        )


def _paragraphs(raw: bytes, separator: bytes) -> Iterator[dict[str, str]]:
    """Yield what each paragraph tells in the fields that we need. The first of two fields of one name counts."""
    fields: dict[str, str] = {}
    for line in io.BytesIO(raw):  # one at a time: all of them would take many times the file's size
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif not line[:1].isspace():
            name, found, value = line.partition(separator)
            if found and name in _FIELDS:
                fields.setdefault(name.decode(), value.decode("utf-8", "replace").strip())
    if fields:
        yield fields
