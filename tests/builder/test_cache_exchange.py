"""`--cache-from` over the border: what dockerd built is a cache here, and what is built here is one for dockerd.

Inline caches are too: dockerd 20.10 has an early BuildKit, whose keys of a COPY are today's.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lamina.api.build import BuildOutput, BuildRequest, CacheOption
from lamina.api.memory_context import MemoryContext
from lamina.client import connect
from lamina.errors import Unsupported
from support.build_caches import FILES as CONTENT
from support.build_caches import ONE, Builder, builders, cache
from support.buildkit import build_with_docker
from support.context import File, write_context
from support.daemons import dockerd
from support.registries import Running
from support.registry_fixtures import registry, start
from support.workshop import Workshop

__all__ = ["builders", "registry", "start"]

pytestmark = [pytest.mark.root, pytest.mark.peer]
FILES: dict[str, File | str] = {"a.txt": "alpha\n", "dir/one": "1", "dir/run": File("2", mode=0o755)}
TEXT = 'FROM scratch\nARG A=1\nENV B=2\nWORKDIR /w\nCOPY a.txt dir/one /m/\nCOPY dir /d/\nADD a.txt .\nCMD ["x"]\n'
STEPS = 7


def test_both_ways(workshop: Workshop) -> None:
    with dockerd() as peer:
        folder = workshop.context(TEXT, FILES)
        peer.docker("build", "-t", "theirs", str(folder))
        workshop.images.load(io.BytesIO(peer.docker("save", "theirs").stdout))
        workshop.build(TEXT, FILES, BuildRequest(cache_from=("theirs",)))
        assert workshop.said.count("Using cache") == STEPS

        changed = {**FILES, "a.txt": "beta\n"}
        workshop.build(TEXT, changed, BuildRequest(tags=("ours",)))
        archive = io.BytesIO()
        workshop.images.save(["ours"], archive)
        peer.docker("load", stdin=archive.getvalue())
        said = peer.text("build", "--cache-from", "ours", str(folder))
        assert said.count("Using cache") == STEPS


def test_a_daemon_that_would_ignore_a_cache_is_not_asked() -> None:
    option = (CacheOption("registry", {"ref": "localhost:1/cache"}),)
    with dockerd() as peer, connect(peer.host) as client:
        for request in (BuildRequest(cache_exports=option), BuildRequest(cache_imports=option)):
            with pytest.raises(Unsupported, match="knows no --cache-to"):
                client.builds.build(MemoryContext(ONE, CONTENT), request)


def test_inline_caches_count_on_both_sides(builders: list[Builder], registry: Running, tmp_path: Path) -> None:
    theirs, ours = (f"{registry.address}/{name}:1" for name in ("theirs", "ours"))
    inline = {"BUILDKIT_INLINE_CACHE": "1"}
    write_context(tmp_path, {"a.txt": "alpha\n", "Dockerfile": ONE})
    with dockerd() as peer:
        build_with_docker(peer, "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-t", theirs, str(tmp_path))
        peer.docker("push", theirs)
        builders[0].build(ONE, build_args=inline, cache_imports=cache(registry, "theirs:1"))
        assert builders[0].cached == 1

        push = (BuildOutput("image", {"push": "true"}),)
        image = builders[0].build(ONE, tags=(ours,), outputs=push, build_args=inline).image
        done = build_with_docker(peer, "--cache-from", ours, "-t", "again", str(tmp_path))
        assert b"CACHED" in done.stderr
        assert peer.text("image", "inspect", "--format", "{{len .RootFS.Layers}}", "again") == str(len(image.layers))
