"""Items of lists as they were shown last: a list of what has not changed is not put into words again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from lamina.formats.document import encode_json
from lamina.lru import LruCache

Version = tuple[int, int]
KEPT = 16_384  # items; those of the lists that were asked for last


class Listed(Protocol):
    """An item of a list. Equal items look alike."""

    @property
    def id(self) -> object: ...


T = TypeVar("T", bound=Listed)


class KeptItems(Generic[T]):
    """The JSON of items by ID and API version. An item that is not equal to the one it was made of is made anew."""

    def __init__(self, render: Callable[[T, Version], dict[str, Any]]) -> None:
        self._render = render
        self._kept: LruCache[tuple[object, Version], tuple[T, bytes]] = LruCache(KEPT)

    def array(self, items: Iterable[T], version: Version) -> bytes:
        """Return a JSON array of the items, with a line end."""
        return b"[" + b",".join(self._item(item, version) for item in items) + b"]\n"

    def values(self, items: Iterable[T], version: Version) -> list[msgspec.Raw]:
        """Return each item as JSON that goes into a larger answer as it is."""
        return [msgspec.Raw(self._item(item, version)) for item in items]

    def _item(self, item: T, version: Version) -> bytes:
        key = item.id, version
        kept = self._kept.get(key)
        if kept is not None and (kept[0] is item or kept[0] == item):
            return kept[1]
        text = encode_json(self._render(item, version))
        self._kept.put(key, (item, text))
        return text
