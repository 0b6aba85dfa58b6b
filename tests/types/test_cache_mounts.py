"""Cache mounts as objects, by an engine and by a client."""

from __future__ import annotations

import io

import pytest

from lamina.errors import InvalidInput, NotFound
from lamina.types import BuildRequest, Library, MemoryContext
from support.tars import tar

pytestmark = pytest.mark.root
MOUNTS = {"type": ["exec.cachemount"]}
DOCKERFILE = """FROM base
RUN --mount=type=cache,target=/cache cat /cache/first > /seen && echo second > /cache/second
"""


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
