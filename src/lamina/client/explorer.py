"""Looking into a daemon's images. Only lamina's daemon can."""

from __future__ import annotations

from typing import IO, Any, TypeVar

import msgspec

from lamina.api.explorer import Blame, FoundFile, ImageDifference, ImageReport, LayerSummary, ListedFile, Search
from lamina.cancellation import NEVER, Cancellation
from lamina.client.references import image_path
from lamina.client.transport import Transport
from lamina.types import explorer

Value = TypeVar("Value")


class Explorer(explorer.Explorer):
    """The verbs of `lamina.types.Explorer` on a daemon's images."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def layers(self, reference: str) -> tuple[LayerSummary, ...]:
        return self._ask(tuple[LayerSummary, ...], reference, "layers")

    def report(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageReport:
        return self._ask(ImageReport, reference, "report", cancellation=cancellation)

    def files(self, reference: str, path: str = "/", *, layer: int | None = None) -> tuple[ListedFile, ...]:
        return self._ask(tuple[ListedFile, ...], reference, "files", {"path": path, "layer": layer})

    def find(
        self, reference: str, search: Search, *, layer: int | None = None, cancellation: Cancellation = NEVER
    ) -> tuple[FoundFile, ...]:
        query = {"layer": layer, "search": msgspec.json.encode(search).decode()}
        return self._ask(tuple[FoundFile, ...], reference, "find", query, cancellation=cancellation)

    def read(
        self,
        reference: str,
        path: str,
        sink: IO[bytes],
        *,
        layer: int | None = None,
        cancellation: Cancellation = NEVER,
    ) -> None:
        query = {"path": path, "layer": layer}
        target = f"{image_path(reference)}/explorer/file"
        self._transport.call("GET", target, query, cancellation=cancellation).pour(sink)

    def blame(self, reference: str, path: str, *, cancellation: Cancellation = NEVER) -> Blame:
        return self._ask(Blame, reference, "blame", {"path": path}, cancellation=cancellation)

    def compare(self, before: str, after: str, *, cancellation: Cancellation = NEVER) -> ImageDifference:
        return self._ask(ImageDifference, before, "compare", {"with": after}, cancellation=cancellation)

    def _ask(
        self,
        kind: type[Value],
        reference: str,
        question: str,
        query: dict[str, Any] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Value:
        path = f"{image_path(reference)}/explorer/{question}"
        return msgspec.convert(self._transport.json("GET", path, query, cancellation=cancellation), type=kind)
