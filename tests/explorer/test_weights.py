"""Folders weigh what is in them, layer by layer, and the heaviest are opened."""

from __future__ import annotations

import pytest

from lamina.api.explorer_findings import Weight
from lamina.errors import InvalidInput
from lamina.explorer.explorer import Explorer
from support.gallery import Gallery


def lines(weight: Weight, folder: str = "") -> list[tuple[str, int, int]]:
    path = f"{folder}/{weight.name}" if weight.name else ""
    return [(path, weight.size, weight.hidden), *(line for child in weight.children for line in lines(child, path))]


def test_layers_are_weighed_together_and_alone(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"d/big": b"x" * 90, "d/e/small": b"x" * 9}, {"d/big": b"x" * 80, "f": b"1"}, names=["x"])
    whole = [("", 180, 90), ("/d", 179, 90), ("/d/big", 170, 90), ("/d/e", 9, 0), ("/d/e/small", 9, 0), ("/f", 1, 0)]
    assert lines(explorer.weights("x")) == whole
    assert lines(explorer.weights("x", layer=1)) == [("", 81, 0), ("/d", 80, 0), ("/d/big", 80, 0), ("/f", 1, 0)]
    with pytest.raises(InvalidInput):
        explorer.weights("x", layer=2)


def test_the_heaviest_folders_are_opened_first(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"heavy/file": b"x" * 90, "light/file": b"x" * 9}, names=["x"])
    assert [path for path, _, _ in lines(explorer.weights("x", most=4))] == ["", "/heavy", "/heavy/file", "/light"]


def test_light_files_and_deep_folders_are_not_named(gallery: Gallery, explorer: Explorer) -> None:
    deep = "/".join("d" * 200)
    gallery.image({f"{deep}/file": b"x" * 5000, "light": b"1"}, names=["x"])
    paths = [path for path, _, _ in lines(explorer.weights("x", most=10**9))]
    assert "/light" not in paths
    assert len(paths) == 52


def test_an_empty_image_weighs_nothing(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image(names=["x"])
    assert lines(explorer.weights("x")) == [("", 0, 0)]
