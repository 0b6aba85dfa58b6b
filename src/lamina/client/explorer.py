"""Looking into a daemon's images and containers, and into registries through it. Only lamina's daemon can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, TypeVar

import msgspec

from lamina.api.explorer import Blame, FoundFile, ImageDifference, ImageReport, LayerSummary, ListedFile, Search
from lamina.api.explorer_findings import ImageSources, InstalledPackage, Saving, Secret, Sharing, Weight
from lamina.cancellation import NEVER, Cancellation
from lamina.client.messages import auth_of, encode_auth
from lamina.client.references import image_path
from lamina.client.transport import Transport, encode_name
from lamina.credentials import Credentials
from lamina.errors import InvalidInput
from lamina.types import explorer

Value = TypeVar("Value")
_FOLDERS = {"container": "containers", "registry": "distribution"}


class Explorer(explorer.Explorer):
    """The verbs of `lamina.types.Explorer` on a daemon's images."""

    def __init__(self, transport: Transport, credentials: Mapping[str, Credentials] | None = None) -> None:
        self._transport = transport
        self._credentials = dict(credentials or {})

    def with_credentials(self, credentials: Mapping[str, Credentials]) -> Explorer:
        return Explorer(self._transport, credentials)

    def layers(self, reference: str) -> tuple[LayerSummary, ...]:
        return self._ask(tuple[LayerSummary, ...], reference, "layers")

    def sources(self, reference: str, *, cancellation: Cancellation = NEVER) -> ImageSources:
        return self._ask(ImageSources, reference, "sources", cancellation=cancellation)

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
        target = f"{_path(reference)}/explorer/file"
        headers = self._headers()
        self._transport.call("GET", target, query, headers=headers, cancellation=cancellation).pour(sink)

    def blame(self, reference: str, path: str, *, cancellation: Cancellation = NEVER) -> Blame:
        return self._ask(Blame, reference, "blame", {"path": path}, cancellation=cancellation)

    def compare(self, before: str, after: str, *, cancellation: Cancellation = NEVER) -> ImageDifference:
        return self._ask(ImageDifference, before, "compare", {"with": after}, cancellation=cancellation)

    def weights(
        self, reference: str, *, layer: int | None = None, most: int = 400, cancellation: Cancellation = NEVER
    ) -> Weight:
        return self._ask(Weight, reference, "weights", {"layer": layer, "most": most}, cancellation=cancellation)

    def savings(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[Saving, ...]:
        return self._ask(tuple[Saving, ...], reference, "savings", cancellation=cancellation)

    def packages(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[InstalledPackage, ...]:
        return self._ask(tuple[InstalledPackage, ...], reference, "packages", cancellation=cancellation)

    def secrets(self, reference: str, *, cancellation: Cancellation = NEVER) -> tuple[Secret, ...]:
        return self._ask(tuple[Secret, ...], reference, "secrets", cancellation=cancellation)

    def sharing(self, reference: str, other: str, *, cancellation: Cancellation = NEVER) -> Sharing:
        return self._ask(Sharing, reference, "sharing", {"with": other}, cancellation=cancellation)

    def _ask(
        self,
        kind: type[Value],
        reference: str,
        question: str,
        query: dict[str, Any] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Value:
        path = f"{_path(reference)}/explorer/{question}"
        answer = self._transport.json("GET", path, query, headers=self._headers(), cancellation=cancellation)
        return msgspec.convert(answer, type=kind)

    def _headers(self) -> dict[str, str]:
        auths = {name: auth_of(name, credentials) for name, credentials in self._credentials.items()}
        return {"X-Registry-Config": encode_auth(auths)} if auths else {}


def _path(reference: str) -> str:
    """Return the path of what is looked into. Raise InvalidInput for a reference with another scheme."""
    scheme, separator, name = reference.partition("://")
    if not separator:
        return image_path(reference)
    if scheme not in _FOLDERS:
        raise InvalidInput(f"{scheme}:// names nothing that can be looked into", reference=reference)
    return f"/{_FOLDERS[scheme]}/{encode_name(name, safe='/:@')}"
