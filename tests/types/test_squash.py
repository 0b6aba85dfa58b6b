"""Images with fewer layers, by an engine and by a client."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamina
from lamina.types import BuildRequest, InvalidInput, Library, MemoryContext, NotFound
from support.daemons import lamina_daemon

pytestmark = pytest.mark.root
DOCKERFILE = "FROM scratch\nCOPY a /\nCOPY a /b\nCOPY a /c\n"


def squashed(library: Library) -> list[tuple[str, int]]:
    library.builds.build(MemoryContext(DOCKERFILE, {"a": b"1"}), BuildRequest(tags=("many",)))
    library.builds.build(MemoryContext("FROM many\nCOPY a /d\nCOPY a /e\n", {"a": b"1"}), BuildRequest(tags=("more",)))
    seen = []
    for how, base in (("all", ""), ("every=2", ""), ("from=base", "many")):
        image = library.builds.squash("more", how, base=base, tags=("few",))
        assert library.images.get("few").id == image.id
        seen.append((image.id, len(image.diff_ids)))
    with pytest.raises(InvalidInput, match="does not begin with the layers"):
        library.builds.squash("many", "from=base", base="more")
    with pytest.raises(InvalidInput, match="cannot be squashed"):
        library.builds.squash("many", "somehow")
    with pytest.raises(NotFound):
        library.builds.squash("none")
    return seen


def test_an_engine_and_a_client_squash_alike(tmp_path: Path) -> None:
    with lamina_daemon() as daemon, lamina.connect(daemon.host) as client:
        with lamina.Engine(tmp_path / "root", tmp_path / "run") as engine:
            seen = squashed(engine)
            assert squashed(client) == seen
    assert [layers for _, layers in seen] == [1, 3, 4]
