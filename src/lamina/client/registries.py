"""Registries as a daemon uses them: pull, push, search, login, and what a registry says of an image."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.client.image_documents import Image, RemoteImage, SearchResult
from lamina.client.images import Images, follow_import, import_query
from lamina.client.messages import auth_header, auth_of, messages
from lamina.client.references import image_path, split_name
from lamina.client.transport import Transport, encode_name
from lamina.light import TYPE_CHECKING
from lamina.progress import Report, ignore
from lamina.types import registries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from lamina.credentials import Credentials
    from lamina.formats.matching import Filters


class Registries(registries.Registries):
    """The verbs of `lamina.types.Registries` for a daemon's images."""

    def __init__(self, transport: Transport, images: Images) -> None:
        self._transport = transport
        self._images = images

    def pull(
        self,
        reference: str,
        *,
        platform: str = "",
        all_tags: bool = False,
        all_platforms: bool = False,
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        name, tag = split_name(reference)
        query: dict[str, object] = {"fromImage": name, "tag": None if all_tags else tag or "latest"}
        query |= {"platform": platform or None, "allPlatforms": all_platforms}
        headers = auth_header(reference, credentials)
        lines = self._transport.lines("POST", "/images/create", query, headers=headers, cancellation=cancellation)
        _follow(lines, report)
        if all_tags:
            return self._images.list(filters={"reference": [name]})
        return [self._images.get(reference)]

    def push(
        self,
        reference: str,
        *,
        all_tags: bool = False,
        platform: str = "",
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> None:
        name, tag = split_name(reference)
        query = {"tag": None if all_tags else tag or "latest", "platform": platform or None}
        path, headers = f"/images/{encode_name(name, safe='/:@')}/push", auth_header(reference, credentials)
        _follow(self._transport.lines("POST", path, query, headers=headers, cancellation=cancellation), report)

    def import_url(
        self,
        url: str,
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        query = import_query(url, reference, message, changes, platform)
        lines = self._transport.lines("POST", "/images/create", query, cancellation=cancellation)
        return self._images.get(follow_import(lines, report))

    def search(
        self, term: str, *, limit: int = 25, filters: Filters | None = None, credentials: Credentials | None = None
    ) -> Sequence[SearchResult]:
        query = {"term": term, "limit": limit, "filters": filters or None}
        answer = self._transport.json("GET", "/images/search", query, headers=auth_header(term, credentials))
        return [SearchResult(item) for item in answer]

    def inspect(self, reference: str, *, credentials: Credentials | None = None) -> RemoteImage:
        headers = auth_header(reference, credentials)
        return RemoteImage(self._transport.json("GET", _remote_path(reference, "json"), headers=headers))

    def repositories(self, server: str, *, limit: int = 1000, credentials: Credentials | None = None) -> Sequence[str]:
        path, headers = f"/registries/{encode_name(server)}/repositories", auth_header(f"{server}/x", credentials)
        names: Sequence[str] = self._transport.json("GET", path, {"limit": limit}, headers=headers)["Repositories"]
        return names

    def tags(self, reference: str, *, limit: int = 1000, credentials: Credentials | None = None) -> Sequence[str]:
        path, headers = _remote_path(reference, "tags"), auth_header(reference, credentials)
        tags: Sequence[str] = self._transport.json("GET", path, {"limit": limit}, headers=headers)["Tags"]
        return tags

    def manifest(self, reference: str, *, credentials: Credentials | None = None) -> bytes:
        headers = auth_header(reference, credentials)
        return self._transport.call("GET", _remote_path(reference, "manifest"), headers=headers).read()

    def login(self, server: str, credentials: Credentials) -> Credentials:
        from dataclasses import replace

        answer = self._transport.json("POST", "/auth", json_body=auth_of(server, credentials)) or {}
        token = str(answer.get("IdentityToken") or "")
        return replace(credentials, password="", identity_token=token) if token else credentials


def _remote_path(reference: str, what: str) -> str:
    return f"{image_path(reference).replace('/images/', '/distribution/', 1)}/{what}"


def _follow(lines: Iterator[Mapping[str, Any]], report: Report) -> None:
    for message in messages(lines):
        report(message)
