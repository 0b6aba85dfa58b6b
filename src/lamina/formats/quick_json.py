"""JSON for readers that have to start quickly: the parser of `json`, without that package, which imports `re`."""

from __future__ import annotations

from lamina.light import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Scan = Callable[[str, int], tuple[Any, int]]

_WHITESPACE = " \t\r\n"  # RFC 8259


class _Settings:
    """What `json.JSONDecoder` tells the parser by default."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    def __init__(self) -> None:
        self.memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(name: str) -> float:
        return float(name.replace("Infinity", "inf"))


def _scanner() -> Scan | None:
    """Return CPython's parser in C. Other Pythons may lack it, or ask it for more settings."""
    try:
        from _json import make_scanner

        settings: Any = _Settings()
        scan: Scan = make_scanner(settings)
    except (ImportError, AttributeError):
        return None
    return scan


_SCAN = _scanner()


def dumps(value: object) -> str:
    """Return the JSON of a value, as `json.dumps` does with `ensure_ascii=False`. Raise TypeError, ValueError."""
    if isinstance(value, str):
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(dumps, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_quoted(name)}: {dumps(member)}' for name, member in value.items())}}}"
    import json

    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    try:
        from _json import encode_basestring
    except ImportError:
        from json.encoder import encode_basestring
    quoted: str = encode_basestring(text)
    return quoted


def loads(data: bytes | str) -> Any:
    """Return the value of a JSON text, as `json.loads` does. Raise ValueError, RecursionError."""
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
    if _SCAN is not None and not text.startswith("\ufeff"):
        start = len(text) - len(text.lstrip(_WHITESPACE))
        try:
            value, end = _SCAN(text, start)
        except StopIteration:
            pass  # no value is there: json says where
        else:
            if not text[end:].strip(_WHITESPACE):
                return value
    import json

    return json.loads(text)
