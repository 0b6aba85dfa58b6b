"""Directories are listed at each layer, with what the layer did."""

from __future__ import annotations

import pytest

from lamina.errors import InvalidInput, NotFound
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
