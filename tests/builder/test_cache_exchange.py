"""`--cache-from` over the border: what dockerd built is a cache here, and what is built here is one for dockerd."""

from __future__ import annotations

import io

import pytest

from lamina.api.build import BuildRequest
from support.context import File
from support.daemons import dockerd
from support.workshop import Workshop

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
