"""Blame names the layers that brought, changed and removed a path."""

from __future__ import annotations

import io

import pytest

from lamina.api.explorer import Blame
from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, InvalidInput, NotFound
from lamina.explorer.explorer import Explorer
from support.gallery import Gallery
from support.tars import tar


def told(found: Blame) -> list[tuple[int, str]]:
    return [(touch.layer, touch.change) for touch in found.touches]


def test_a_path_is_followed_through_its_life(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image(
        {"a/f": b"1"}, {"other": b""}, {"a/f": b"1"}, {"a/f": b"22"}, {"a/.wh.f": b""}, {"a/f": b"3"}, names=["x"]
    )
    found = explorer.blame("x", "/a/f")
    assert told(found) == [(0, "added"), (2, "modified"), (3, "modified"), (4, "removed"), (5, "added")]
    assert [touch.created_by for touch in found.touches] == [f"STEP {n}" for n in (0, 2, 3, 4, 5)]
    assert [touch.same_content for touch in found.touches] == [False, True, False, False, False]
    assert [touch.state.size if touch.state else None for touch in found.touches] == [1, 1, 2, None, 1]


def test_what_happens_to_its_folder_happens_to_a_path(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a/f": b"1"}, {".wh.a": b""}, {"a/g": b""}, names=["removed"])
    gallery.image({"a/f": b"1"}, {"a/.wh..wh..opq": b"", "a/g": b""}, names=["hidden"])
    gallery.image({"a/f": b"1"}, {"a": b"a file"}, names=["replaced"])
    for image in ("removed", "hidden", "replaced"):
        assert told(explorer.blame(image, "a/f")) == [(0, "added"), (1, "removed")], image


def test_links_to_folders_are_followed_and_the_path_itself_is_not(gallery: Gallery, explorer: Explorer) -> None:
    gallery.images.import_tar(io.BytesIO(tar({"usr/bin/sh": b"#!"}, bin="usr/bin", loop="loop")), "x")
    assert explorer.blame("x", "/bin/sh").path == "/usr/bin/sh"
    (touch,) = explorer.blame("x", "/bin").touches
    assert touch.state is not None
    assert (touch.state.type, touch.state.target) == ("symlink", "usr/bin")
    with pytest.raises(InvalidInput):
        explorer.blame("x", "/loop/f")


def test_unknown_paths_and_images_are_not_found(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a/f": b"1"}, names=["x"])
    for image, path in (("x", "/a/g"), ("x", "/a/f/g"), ("x", "/../../etc/passwd"), ("y", "/a/f")):
        with pytest.raises(NotFound):
            explorer.blame(image, path)


def test_the_comparison_of_large_files_can_be_ended(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"f": b"1" * 100}, {"f": b"1" * 100}, names=["x"])
    cancellation = Cancellation()
    cancellation.cancel("enough")
    with pytest.raises(Cancelled):
        explorer.blame("x", "/f", cancellation=cancellation)
