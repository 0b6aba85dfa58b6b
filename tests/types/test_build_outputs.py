"""A build with outputs, by an engine and by a client: the same images, files and attestations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lamina
from lamina.types import BuildOutput, BuildRequest, Library, MemoryContext
from support.daemons import lamina_daemon

pytestmark = pytest.mark.root


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[dict[str, Library]]:
    with lamina_daemon() as daemon, lamina.connect(daemon.host) as client:
        with lamina.Engine(tmp_path / "data", tmp_path / "exec") as engine:
            yield {"engine": engine, "client": client}


def test_builds_for_several_platforms_are_the_same(libraries: dict[str, Library], tmp_path: Path) -> None:
    seen = []
    for side, library in libraries.items():
        request = BuildRequest(
            tags=("many",),
            platform="linux/amd64,linux/arm64",
            attestations={"sbom": "true"},
            outputs=(BuildOutput("image"), BuildOutput("local", {"dest": str(tmp_path / side)})),
        )
        dockerfile = "FROM scratch\nARG TARGETARCH\nCOPY a /for-$TARGETARCH\n"
        built = library.builds.build(MemoryContext(dockerfile, {"a": b"1"}), request)
        image = library.images.get("many")
        assert built.image.id == image.id
        assert image.digests == (f"many@{built.metadata['containerimage.digest']}",)
        (told,) = library.images.attestations("many", platform="linux/arm64", statements=True)
        files = sorted(str(path.relative_to(tmp_path / side)) for path in (tmp_path / side).rglob("for-*"))
        seen.append((image.id, told.predicate_type, told.statement["subject"], files))
        library.images.remove("many")
    assert seen[0] == seen[1]
