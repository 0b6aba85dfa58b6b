"""Paths of members, and the names that stand for deletions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType, Mark, classify, clean_path, opaque_entry, whiteout_entry


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("/", ""),
        ("//", ""),
        ("a", "a"),
        ("./a/b", "a/b"),
        ("/a/b", "a/b"),
        ("a//b/", "a/b"),
        ("a/./b/.", "a/b"),
        ("a/../b", "b"),
        ("a/..", ""),
        ("/..", ""),
        ("/../../a", "a"),
        ("..a/b..", "..a/b.."),
        ("a.", "a."),
        ("...", "..."),
    ],
)
def test_paths_of_archives_are_made_relative_and_plain(raw: str, clean: str) -> None:
    assert clean_path(raw) == clean


@pytest.mark.parametrize("raw", ["..", "../a", "./../a", "a/../../b", "a\0b"])
def test_paths_that_lead_outside_are_refused(raw: str) -> None:
    with pytest.raises(InvalidInput):
        clean_path(raw)


@given(st.text(alphabet="ab./", max_size=12))
def test_a_clean_path_is_inside_and_stays_as_it_is(raw: str) -> None:
    try:
        path = clean_path(raw)
    except InvalidInput:
        assert ".." in raw
        return
    assert clean_path(path) == path
    assert path == "" or not {"", ".", ".."} & set(path.split("/"))


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("a", (Mark.NONE, "a")),
        (".wh.a", (Mark.WHITEOUT, "a")),
        ("d/.wh.a", (Mark.WHITEOUT, "d/a")),
        ("d/.wh..wh..opq", (Mark.OPAQUE, "d")),
        (".wh..wh..opq", (Mark.OPAQUE, "")),
        (".wh..wh.plnk", (Mark.IGNORED, ".wh..wh.plnk")),
        ("d/.wh..hidden", (Mark.WHITEOUT, "d/.hidden")),
        (".wh.d/a", (Mark.NONE, ".wh.d/a")),
        ("a.wh.b", (Mark.NONE, "a.wh.b")),
    ],
)
def test_names_that_stand_for_deletions(path: str, meaning: tuple[Mark, str]) -> None:
    assert classify(path) == meaning


@pytest.mark.parametrize("path", [".wh.", "d/.wh..", "d/.wh..."])
def test_whiteouts_of_nothing_or_of_directories_above_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        classify(path)


def test_deletions_are_told_by_what_classify_understands() -> None:
    assert classify(whiteout_entry("d/a").path) == (Mark.WHITEOUT, "d/a")
    assert classify(opaque_entry("d").path) == (Mark.OPAQUE, "d")
    assert classify(opaque_entry("").path) == (Mark.OPAQUE, "")


def test_an_entry_knows_its_names_and_what_it_stores() -> None:
    entry = Entry("a/b/c", EntryType.REGULAR, size=1000, sparse=((0, 10), (500, 20)))
    assert (entry.name, entry.parent, entry.stored_size) == ("c", "a/b", 30)
    assert (Entry("a", EntryType.REGULAR, size=7).parent, Entry("", EntryType.DIRECTORY).name) == ("", "")
