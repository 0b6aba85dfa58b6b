"""Names and messages of others as JSON and terminals can take them.

Names are bytes; JSON is text. Inside, a byte that is no UTF-8 is a lone surrogate (PEP 383); outside it is U+FFFD. Go's
encoding/json does the same, so Docker's clients and servers see what they would see of dockerd.

Names, labels, comments and messages come from images, registries, containers and daemons. An escape sequence in them
moves the cursor, changes the title or answers for the user, and a bidi mark shows text in another order than it has
(CVE-2021-42574). Both are written as JSON writes them, so JSON that is made printable is still the same JSON.
"""

from __future__ import annotations

from lamina.errors import InvalidInput
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REPLACEMENT = "\ufffd"
# C0, DEL and C1; the marks and isolates of bidi, and the line separators beside them (UAX 9); bytes of C1 that were no
# text, as `surrogateescape` decodes them.
_DRIVING = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udc9f]"
_COLOURED = rf"\x1b\[[0-9;]{{0,32}}m|{_DRIVING}"  # ECMA-48, SGR
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def valid_unicode(text: str) -> str:
    """Return `text` with U+FFFD for each byte that is no UTF-8."""
    if text.isascii():
        return text
    import re

    return re.sub("[\ud800-\udfff]", REPLACEMENT, text)


def printable(text: str, keep: str = "", *, colours: bool = False) -> str:
    """Return `text` with control characters and bidi marks written out, such as `\\u001b`; other text stays as it is.

    Characters of `keep` stay too, and with `colours` sequences that only change colours and weight.
    """
    if text.isprintable():  # so for Unicode, and for most text
        return text
    import re

    return re.sub(_COLOURED if colours else _DRIVING, lambda match: _written_out(keep, match[0]), text)


def _written_out(keep: str, text: str) -> str:
    if len(text) > 1 or text in keep:
        return text
    return _SHORT.get(text, f"\\u{ord(text):04x}")


def several_texts(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of an argument. Raise InvalidInput, with its name, for a bare string."""
    if isinstance(value, str | bytes):
        raise InvalidInput(
            f"{name} is a list of texts, and {value!r} is one text", advice=f"Write [{value!r}]", argument=name
        )
    return tuple(value)
