"""Directories are listed at each layer, with what the layer did."""

from __future__ import annotations

import io

import pytest

from lamina.api.explorer import Search
from lamina.errors import InvalidInput, NotFound, TooLarge
from lamina.explorer import listing
from lamina.explorer.explorer import Explorer
from support.gallery import Gallery


def test_each_layer_shows_what_it_did(gallery: Gallery, explorer: Explorer) -> None:
    layers = [{"a/f": b"1", "b/f": b"1", "c": b"1"}, {"a/f": b"2", "d": b"", ".wh.c": b""}, {"a/g": b""}]
    gallery.image(*layers, names=["x"])

    def shown(path: str, layer: int | None = None) -> list[tuple[str, int, str]]:
        return [(file.name, file.layer, file.change) for file in explorer.files("x", path, layer=layer)]

    assert shown("/", 0) == [("a", 0, "added"), ("b", 0, "added"), ("c", 0, "added")]
    assert shown("/", 1) == [("a", 1, "modified"), ("b", 0, ""), ("c", 0, "removed"), ("d", 1, "added")]
    assert shown("/") == [("a", 2, "modified"), ("b", 0, ""), ("d", 1, "")]
    assert shown("/a") == [("f", 1, ""), ("g", 2, "added")]
    assert shown("a/", 1) == [("f", 1, "modified")]


def test_what_is_not_there_is_refused(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"f": b"1"}, names=["x"])
    for path in ("/f", "/g", "/.."):
        with pytest.raises(NotFound):
            explorer.files("x", path)
    for layer in (-1, 1):
        with pytest.raises(InvalidInput, match="no layer"):
            explorer.files("x", "/", layer=layer)


def test_files_are_found_by_path_change_and_size(gallery: Gallery, explorer: Explorer) -> None:
    below = {"a/Big": b"x" * 20, "a/b/f": b"1", "gone/f": b""}
    gallery.image(below, {"a/b/f": b"22", "new": b"3" * 30, ".wh.gone": b""}, names=["x"])

    def found(search: Search, layer: int | None = None) -> list[str]:
        return [file.path for file in explorer.find("x", search, layer=layer)]

    assert found(Search()) == ["/a", "/a/Big", "/a/b", "/a/b/f", "/gone", "/new"]
    assert found(Search(), layer=0) == ["/a", "/a/Big", "/a/b", "/a/b/f", "/gone", "/gone/f"]
    assert found(Search(text="BIG")) == ["/a/Big"]
    assert found(Search(smallest=20)) == ["/a/Big", "/new"]
    assert found(Search(changes=("added", "removed"))) == ["/gone", "/new"]
    assert found(Search(limit=2)) == ["/a", "/a/Big"]
    with pytest.raises(InvalidInput):
        explorer.find("x", Search(), layer=9)


def test_a_file_is_read_as_each_layer_has_it(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a/f": b"one"}, {"a/f": b"two" * 700_000}, {"a/.wh.f": b""}, names=["x"])
    for layer, content in ((0, b"one"), (1, b"two" * 700_000)):
        sink = io.BytesIO()
        explorer.read("x", "/a/f", sink, layer=layer)
        assert sink.getvalue() == content
    for path, layer in (("/a/f", 2), ("/a", 1), ("/a/f/..", 1)):
        with pytest.raises(NotFound):
            explorer.read("x", path, io.BytesIO(), layer=layer)


def test_a_directory_of_very_many_files_is_not_listed(
    gallery: Gallery, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST", 2)
    gallery.image({"a/1": b"", "a/2": b"", "b/1": b"", "b/2": b"", "b/3": b""}, names=["x"])
    assert len(explorer.files("x", "a")) == 2
    with pytest.raises(TooLarge, match="more than 2 files"):
        explorer.files("x", "b")
