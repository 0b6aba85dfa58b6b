"""Builds by engines that share nothing but a registry: their caches as they lie in it, and those of strangers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import BuildRequest, CacheOption
from lamina.api.memory_context import MemoryContext
from lamina.builder.builder import BuildResult
from lamina.builder.cache_exchange.cache_document import MEDIA_TYPE
from lamina.cancellation import NEVER
from lamina.distribution import RegistryClient
from lamina.distribution.layer_push import BytesSource
from lamina.distribution.upload import upload
from lamina.engine import Engine
from lamina.formats.descriptor import Descriptor
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.progress import Message, Output, ignore
from support.registries import Raw, Running

TEXT = """
FROM scratch AS tools
COPY tool /bin/tool
WORKDIR /tools/data
FROM scratch
COPY a.txt /
ENV A=1
COPY --from=tools /bin/tool /tool
WORKDIR /w
"""
ONE = "FROM scratch\nCOPY a.txt /\n"
FILES = {"a.txt": b"alpha\n", "tool": b"hammer\n"}


@dataclass
class Builder:
    """An engine, and what its last build said."""

    engine: Engine
    said: str = ""

    def build(self, text: str = TEXT, files: dict[str, bytes] | None = None, **options: Any) -> BuildResult:
        self.said = ""
        context = MemoryContext(text, FILES if files is None else files)
        result = self.engine.builds.build(context, BuildRequest(**options), report=self._hear)
        assert isinstance(result, BuildResult)
        return result

    @property
    def cached(self) -> int:
        return self.said.count("Using cache")

    def _hear(self, message: Message) -> None:
        if isinstance(message, Output):
            self.said += message.text


@pytest.fixture
def builders(tmp_path: Path) -> Iterator[list[Builder]]:
    """Two engines."""
    with ExitStack() as stack:
        engines = [stack.enter_context(Engine(tmp_path / name, tmp_path / f"run-{name}")) for name in "ab"]
        yield [Builder(engine) for engine in engines]


def cache(registry: Running, name: str = "cache:1", **attributes: str) -> tuple[CacheOption, ...]:
    """A place for a cache at a registry."""
    return (CacheOption("registry", {"ref": f"{registry.address}/{name}", **attributes}),)


def fetched(raw: Raw, name: str = "cache", tag: str = "1") -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest of a cache and its document."""
    manifest = json.loads(raw("GET", f"/v2/{name}/manifests/{tag}").body)
    return manifest, json.loads(raw("GET", f"/v2/{name}/blobs/{manifest['config']['digest']}").body)


def put_cache(
    client: RegistryClient,
    registry: Running,
    document: bytes,
    layers: list[tuple[Descriptor, bytes]],
    *,
    index: bool = False,
) -> None:
    """Push a cache as a stranger would."""
    repository = client.repository(Reference.parse(f"{registry.address}/cache:1"))
    config = Descriptor.of(MEDIA_TYPE, document)
    for blob, content in [(config, document), *layers]:
        upload(repository, BytesSource(content, blob.digest), ignore, NEVER)
    blobs = [blob for blob, _ in layers]
    repository.put_manifest(Index.build([*blobs, config]) if index else Manifest.build(config, blobs), "1")
