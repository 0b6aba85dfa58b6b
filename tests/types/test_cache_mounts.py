"""Cache mounts as objects, by an engine and by a client."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import lamina
from lamina.errors import InvalidInput, NotFound
from lamina.types import BuildRequest, Library, MemoryContext
from support.daemons import lamina_daemon
from support.tars import tar

pytestmark = pytest.mark.root
MOUNTS = {"type": ["exec.cachemount"]}
DOCKERFILE = """FROM base
RUN --mount=type=cache,target=/cache cat /cache/first > /seen && echo second > /cache/second
"""


@pytest.fixture(params=["engine", "client"])
def library(request: pytest.FixtureRequest, tmp_path: Path, busybox_tar: Path) -> Iterator[Library]:
    with ExitStack() as stack:
        made: Library
        if request.param == "engine":
            made = stack.enter_context(lamina.Engine(tmp_path / "root", tmp_path / "run"))
        else:
            made = stack.enter_context(lamina.connect(stack.enter_context(lamina_daemon()).host))
        with busybox_tar.open("rb") as source:
            made.images.import_tar(source, "base")
        yield made


def test_steps_see_what_was_imported(library: Library) -> None:
    imported = library.builds.import_mount("/cache", io.BytesIO(tar({"first": b"first"})))
    assert library.builds.usage(MOUNTS) == (imported,)
    library.builds.build(MemoryContext(DOCKERFILE), BuildRequest(tags=("seen",)))
    packed = io.BytesIO()
    library.builds.export_mount(imported.id, packed)
    assert b"second\n" in packed.getvalue()
    library.builds.remove_mount("/cache")
    assert library.builds.usage(MOUNTS) == ()


def test_what_cannot_be_is_refused(library: Library) -> None:
    for verb in (library.builds.remove_mount, lambda name: library.builds.export_mount(name, io.BytesIO())):
        with pytest.raises(NotFound, match="no cache mount /none"):
            verb("/none")
    with pytest.raises(InvalidInput):
        library.builds.import_mount("", io.BytesIO(tar({})))
    with pytest.raises(InvalidInput):
        library.builds.import_mount("x", io.BytesIO(b"no tar at all" * 100))
    assert library.builds.usage(MOUNTS) == ()
