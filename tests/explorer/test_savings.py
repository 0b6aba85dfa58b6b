"""What an image could do without is found, with the instruction to blame and what to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from lamina.explorer import savings
from lamina.explorer.explorer import Explorer
from lamina.explorer.package_caches import CACHES, cache_of
from lamina.layers.index.tree import LayerTree
from lamina.layers.tree import Node
from support.gallery import Gallery


def test_hidden_files_are_told_with_both_layers(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"big": b"x" * 9000, "keep": b"k"}, {".wh.big": b""}, names=["x"])
    (saving,) = explorer.savings("x")
    assert (saving.kind, saving.layer, saving.hidden_by, saving.bytes, saving.files) == ("hidden", 0, 1, 9000, 1)
    assert saving.paths == ("/big",)
    assert saving.created_by == "STEP 0"
    assert "Layer 1 replaces or removes" in saving.advice


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("var/lib/apt/lists/deb.debian.org_InRelease", "rm -rf /var/lib/apt/lists"),
        ("var/cache/apt/archives/x.deb", "apt-get clean"),
        ("var/cache/apk/APKINDEX.1.tar.gz", "apk add --no-cache"),
        ("var/cache/dnf/x.solv", "dnf clean all"),
        ("root/.cache/pip/http/a", "pip install --no-cache-dir"),
        ("home/me/.cache/pip/http/a", "pip install --no-cache-dir"),
        ("root/.npm/_cacache/index", "npm cache clean"),
        ("root/.cache/go-build/aa/x", "--mount=type=cache"),
        ("usr/local/cargo/registry/cache/x", "--mount=type=cache"),
        ("tmp/left", "Remove it in the RUN"),
    ],
)
def test_a_package_cache_is_named_with_its_remedy(gallery: Gallery, explorer: Explorer, path: str, advice: str) -> None:
    gallery.image({"a": b"1"}, {path: b"y" * 100}, names=["x"])
    (saving,) = explorer.savings("x")
    assert (saving.kind, saving.layer, saving.bytes, saving.paths) == ("cache", 1, 100, (f"/{path}",))
    assert advice in saving.advice


@pytest.mark.parametrize("path", ["var/lib/dpkg/status", "etc/apt/sources.list", "srv/tmp/x", "root/.npmrc", "tmp"])
def test_what_the_image_needs_is_no_cache(path: str) -> None:
    assert cache_of(path) is None


def test_each_cache_has_a_sentence_of_advice() -> None:
    assert all(cache.advice[0].isupper() and cache.advice.endswith(".") for cache in CACHES)


def test_copies_are_found_once_and_by_content_alone(gallery: Gallery, explorer: Explorer) -> None:
    one, two = b"1" * 5000, b"2" * 5000
    gallery.image({"a": one, "same-size": two, "small": b"s", "small-too": b"s"}, {"b": one, "c": one}, names=["x"])
    (saving,) = explorer.savings("x")
    assert (saving.kind, saving.layer, saving.files, saving.bytes) == ("duplicate", 1, 2, 10_000)
    assert saving.paths == ("/b", "/c")


def test_each_folder_is_listed_twice_at_most(
    gallery: Gallery, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.image({"a/b/c": b"1" * 5000, "tmp/x": b"1" * 5000}, {"a/b/d": b"1" * 5000}, names=["x"])
    listings: Counter[tuple[int, str]] = Counter()
    children = LayerTree.children

    def counted(tree: LayerTree, path: str) -> Iterable[Node]:
        listings[id(tree), path] += 1
        return children(tree, path)

    monkeypatch.setattr(LayerTree, "children", counted)
    assert {saving.kind for saving in explorer.savings("x")} == {"cache", "duplicate"}
    assert len(listings) >= 5
    assert max(listings.values()) <= 2


def test_files_remembered_for_copies_are_bounded(
    gallery: Gallery, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.image(dict.fromkeys("abcd", b"1" * 5000), names=["x"])
    monkeypatch.setattr(savings, "_COMPARED", 3)
    (saving,) = explorer.savings("x")
    assert saving.paths == ("/b", "/c")


def test_reading_for_copies_is_bounded(gallery: Gallery, explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.image({"a": b"1" * 5000, "b": b"1" * 5000}, names=["x"])
    monkeypatch.setattr(savings, "_HASHED", 9_999)
    assert explorer.savings("x") == ()
