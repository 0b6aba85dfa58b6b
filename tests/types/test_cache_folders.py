"""Caches in folders, by an engine and by a client: written by one side, and used by the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import lamina
from lamina.errors import InvalidInput, LaminaError, Unsupported
from lamina.linux.layout_folder import LayoutFolder
from lamina.progress import Message, Output
from lamina.types import BuildRequest, BuildResult, CacheOption, Library, MemoryContext
from support.build_caches import FILES, TEXT
from support.daemons import lamina_daemon

pytestmark = pytest.mark.root


class Side:
    """An engine or a client, and what its last build said."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.said = ""

    def build(self, **options: Any) -> BuildResult:
        self.said = ""
        return self.library.builds.build(MemoryContext(TEXT, FILES), BuildRequest(**options), report=self._hear)

    @property
    def cached(self) -> int:
        return self.said.count("Using cache")

    def _hear(self, message: Message) -> None:
        if isinstance(message, Output):
            self.said += message.text


@pytest.fixture(params=["engine", "client"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """Two libraries of one kind that share nothing."""
    with ExitStack() as stack:

        def library(name: str) -> Library:
            if request.param == "engine":
                return stack.enter_context(lamina.Engine(tmp_path / name, tmp_path / f"run-{name}"))
            return stack.enter_context(lamina.connect(stack.enter_context(lamina_daemon()).host))

        yield Side(library("a")), Side(library("b"))


def to(folder: Path, **more: str) -> tuple[CacheOption, ...]:
    return (CacheOption("local", {"dest": str(folder), "mode": "max", **more}),)


def of(folder: Path, **more: str) -> tuple[CacheOption, ...]:
    return (CacheOption("local", {"src": str(folder), **more}),)


def test_another_engine_goes_on_from_a_folder(sides: tuple[Side, Side], tmp_path: Path) -> None:
    first, second = sides
    folder = tmp_path / "cache"
    image = first.build(cache_exports=to(folder)).image
    assert "exported 5 steps with" in first.said
    again = second.build(cache_imports=of(folder))
    assert (again.image.id, second.cached) == (image.id, 5)
    before = {path: path.stat().st_mtime_ns for path in (folder / "blobs").rglob("*") if path.is_file()}
    second.build(cache_exports=to(folder, tag="again"))
    after = {path: path.stat().st_mtime_ns for path in (folder / "blobs").rglob("*") if path.is_file()}
    assert after == before, "what is there is not written again"
    layout = LayoutFolder(folder)
    assert len({entry and entry.digest for entry in map(layout.tagged, ("latest", "again", "none"))}) == 2


def test_a_tag_of_a_folder_is_one_cache(sides: tuple[Side, Side], tmp_path: Path) -> None:
    first, second = sides
    first.build(cache_exports=(*to(tmp_path, tag="all"), *to(tmp_path, tag="few", mode="min")))
    second.build(cache_imports=of(tmp_path, tag="none"), target="tools")
    assert "it has no tag none" in second.said
    assert second.cached == 0
    second.build(cache_imports=of(tmp_path, tag="few"))
    assert second.cached == 3 + 2, "the steps of the last stage, and those of `tools` that were built just now"


def test_a_layer_that_was_changed_is_not_used(sides: tuple[Side, Side], tmp_path: Path) -> None:
    first, second = sides
    image = first.build(cache_exports=to(tmp_path, compression="uncompressed")).image
    for diff_id in image.diff_ids:
        path = tmp_path / "blobs/sha256" / diff_id.partition(":")[2]
        path.write_bytes(path.read_bytes().replace(b"alpha", b"ALPHA").replace(b"hammer", b"HAMMER"))
    assert second.build(cache_imports=of(tmp_path)).image.id == image.id
    assert "does not give the layer of this step" in second.said


def test_a_cache_that_is_not_whole_is_told(sides: tuple[Side, Side], tmp_path: Path) -> None:
    first, second = sides
    first.build(cache_exports=to(tmp_path))
    shutil.rmtree(tmp_path / "blobs")
    second.build(cache_imports=of(tmp_path))
    assert f"The cache {tmp_path} is not used" in second.said
    assert second.cached == 0


def test_errors_of_an_export_may_be_ignored(sides: tuple[Side, Side], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    first, _ = sides
    with pytest.raises((LaminaError, OSError)):
        first.build(cache_exports=to(tmp_path / "file"))


def test_options_are_checked_before_the_build(sides: tuple[Side, Side], tmp_path: Path) -> None:
    for options, kind, words in (
        (to(tmp_path, mode="some"), InvalidInput, "no mode 'some'"),
        (to(tmp_path, colour="red"), InvalidInput, "has no option colour"),
        (to(tmp_path, **{"oci-mediatypes": "false", "image-manifest": "true"}), InvalidInput, "OCI's media types"),
        (to(tmp_path, **{"oci-mediatypes": "false", "compression": "zstd"}), InvalidInput, "OCI's media types"),
        (to(tmp_path, compression="lz4"), Unsupported, "cannot be compressed by lz4"),
        ((CacheOption("local", {}),), InvalidInput, "needs a dest"),
        *(((CacheOption(kind, {}),), Unsupported, f"the type '{kind}' is not supported") for kind in ("gha", "s3")),
    ):
        with pytest.raises(kind, match=words):
            sides[0].build(cache_exports=options)
        assert "Step" not in sides[0].said
