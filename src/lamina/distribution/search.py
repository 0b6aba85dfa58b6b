"""Searching a registry: Docker Hub's and others' search API, and the catalog where a registry has no search."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.settings import HUB
from lamina.errors import InvalidInput, NotFound, Unsupported
from lamina.formats.document import decode_object, objects
from lamina.formats.reference import DEFAULT_DOMAIN

SEARCH_HOST = "index.docker.io"
MAX_RESULTS = 100
CATALOG_READ = 10_000  # names of a catalog that are looked through at most


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One repository that a search found."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(client: RegistryClient, term: str, limit: int = 25) -> list[SearchResult]:
    """Return repositories that match `term`, which may begin with a registry: `registry.example/term`.

    Raise InvalidInput for a limit beyond 1..100, and the kinds of `answer_errors`.
    """
    if not 1 <= limit <= MAX_RESULTS:
        raise InvalidInput(f"Limit {limit} is outside the range of [1, {MAX_RESULTS}]")
    first, slash, rest = term.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    domain, words = (first, rest) if named else (DEFAULT_DOMAIN, term)
    try:
        return _by_search(client, domain, words, limit)
    except (NotFound, Unsupported):
        matching = (name for name in client.catalog(domain, limit=CATALOG_READ) if words in name)
        return [SearchResult(f"{domain}/{name}") for name in islice(matching, limit)]


def _by_search(client: RegistryClient, domain: str, words: str, limit: int) -> list[SearchResult]:
    transport = client.registry(domain)
    path = f"/v1/search?{urlencode({'q': words, 'n': limit})}"
    url = f"https://{SEARCH_HOST}{path}" if domain in (DEFAULT_DOMAIN, HUB) else path
    _, raw = transport.document("GET", url)
    results = objects(decode_object(raw, "search result"), "results", "search result")
    return [_result(result) for result in results][:limit]


def _result(result: dict[str, Any]) -> SearchResult:
    stars = result.get("star_count")
    return SearchResult(
        str(result.get("name") or ""),
        str(result.get("description") or ""),
        stars if isinstance(stars, int) else 0,
        result.get("is_official") is True,
        result.get("is_automated") is True,
    )
