"""The licences that dpkg's packages name in `/usr/share/doc/NAME/copyright`.

Rules: the machine-readable form is Debian's "copyright-format/1.0". Older files are prose, which by Debian Policy
12.5 refers to the common licences by their path.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress

from lamina.errors import InvalidInput
from lamina.images.packages.package import Package, cut
from lamina.layers.entry import EntryType
from lamina.layers.tree import Tree, find, read_all

_LIMIT = 1 << 20  # bytes of a file that are read
_MOST = 50  # licences of one package
_FIELD = re.compile(rb"license:[ \t]*(\S[^\r\n]*)", re.IGNORECASE)
_COMMON = re.compile(rb"/usr/share/common-licenses/([A-Za-z0-9][A-Za-z0-9.+-]*)")


def licenses(tree: Tree, package: Package) -> tuple[str, ...]:
    """Return the licences of a package, sorted; nothing where none is named."""
    if package.license:
        return (package.license,)
    if package.kind != "deb":
        return ()
    with suppress(InvalidInput):  # a file that is too large, a loop of links
        node = find(tree, f"usr/share/doc/{package.name}/copyright")
        if node is not None and node.entry.type is EntryType.REGULAR:
            return _named_in(read_all(tree, node, _LIMIT))
    return ()


def _named_in(raw: bytes) -> tuple[str, ...]:
    names: set[str] = set()
    for line in io.BytesIO(raw):
        if len(names) >= _MOST:
            break
        if match := _FIELD.match(line):
            names.add(cut(match[1].decode("utf-8", "replace")))
    if not names:
        names = {match[1].decode().rstrip(".") for match in _COMMON.finditer(raw)}
    return tuple(sorted(names)[:_MOST])
