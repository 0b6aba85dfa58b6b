"""Packages of Python and Node: the files that pip and npm leave beside what they install.

Rules: packaging.python.org, "Core metadata specifications"; docs.npmjs.com, package.json.
"""

from __future__ import annotations

import re
from email.errors import MessageError
from email.parser import BytesHeaderParser

import msgspec

from lamina.images.packages.package import Package, cut

_PYTHON = re.compile(r"(?:.*/)?[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)")
_NODE = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json")


def tells_of_package(path: str) -> bool:
    """Return whether the file at this path, a regular one, tells of a package."""
    return path.endswith(("METADATA", "PKG-INFO", ".egg-info", "package.json")) and bool(
        _PYTHON.fullmatch(path) or _NODE.fullmatch(path)
    )


def read_package(path: str, raw: bytes) -> Package | None:
    """Return the package that a file tells of; None for a file that is not as it should be."""
    return _node(path, raw) if path.endswith("package.json") else _python(path, raw)


def _python(path: str, raw: bytes) -> Package | None:
    try:
        fields = BytesHeaderParser().parsebytes(raw)
        name, version = str(fields.get("Name") or ""), str(fields.get("Version") or "")
        license = str(fields.get("License-Expression") or fields.get("License") or "")
    except (MessageError, UnicodeError, ValueError, LookupError):
        return None
    if not name or not version:
        return None
    normal = re.sub(r"[-_.]+", "-", cut(name)).lower()
    return Package("pypi", normal, cut(version), license="" if license == "UNKNOWN" else cut(license), path=path)


class _PackageJson(msgspec.Struct, frozen=True):
    name: str
    version: str
    license: object = None


def _node(path: str, raw: bytes) -> Package | None:
    try:
        document = msgspec.json.decode(raw, type=_PackageJson)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    scope, slash, name = cut(document.name).rpartition("/")
    if not name or not document.version or bool(slash) != scope.startswith("@"):
        return None
    license = document.license if isinstance(document.license, str) else ""
    return Package("npm", name, cut(document.version), namespace=scope, license=cut(license), path=path)
