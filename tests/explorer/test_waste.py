"""Hidden files are found, each with the layer to blame, and dive's figures come out as dive has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.cancellation import Cancellation
from lamina.errors import Cancelled
from lamina.explorer.explorer import Explorer
from lamina.explorer.opened import open_image
from lamina.layers.entry import EntryType
from lamina.layers.tree import walk
from support.gallery import Gallery


def hidden(explorer: Explorer, image: str) -> list[tuple[str, int, int, int]]:
    return [(file.path, file.layer, file.hidden_by, file.size) for file in explorer.report(image).hidden]


def test_hidden_files_name_both_layers(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image(
        {"big": b"x" * 90, "d/one": b"x" * 30, "d/two": b"x" * 20, "kept": b"x"},
        {"big": b"y" * 80},
        {".wh.d": b""},
        {"d/one": b"x" * 10, ".wh.big": b""},
        names=["x"],
    )
    expected = [("/big", 0, 1, 90), ("/big", 1, 3, 80), ("/d/one", 0, 2, 30), ("/d/two", 0, 2, 20)]
    report = explorer.report("x")
    assert hidden(explorer, "x") == expected
    assert (report.hidden_files, report.hidden_bytes) == (4, 220)
    assert [layer.created_by for layer in report.layers] == ["STEP 0", "STEP 1", "STEP 2", "STEP 3"]


def test_opaque_folders_and_files_in_place_of_folders_hide(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"d/f": b"12", "e/g/h": b"123"}, {"d/.wh..wh..opq": b"", "d/n": b""}, {"e": b"4"}, names=["x"])
    assert hidden(explorer, "x") == [("/e/g/h", 0, 2, 3), ("/d/f", 0, 1, 2)]


def test_an_image_without_waste_is_efficient(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a": b"1"}, {"b": b"2"}, names=["x"])
    gallery.image(names=["empty"])
    for image in ("x", "empty"):
        efficiency = explorer.report(image).efficiency
        assert (efficiency.score, efficiency.wasted, efficiency.wasted_share) == (1.0, 0, 0.0)


def test_efficiency_follows_dives_rules(gallery: Gallery, explorer: Explorer) -> None:
    """A path that two layers have counts whole; a removed folder alone does not: dive counts so."""
    gallery.image({"f": b"x" * 100, "d/g": b"x" * 50}, {"f": b"x" * 20}, {".wh.d": b""}, names=["x"])
    efficiency = explorer.report("x").efficiency
    # Written: f 100 + 20, d/g 50, and d's removal 50. Needed: f 20, d/g 50, d's removal 50.
    assert efficiency.score == pytest.approx(120 / 220)
    assert efficiency.wasted == 120
    assert efficiency.wasted_share == pytest.approx(120 / 20)


def test_a_report_can_be_cancelled(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a": b"1"}, names=["x"])
    cancellation = Cancellation()
    cancellation.cancel("enough")
    with pytest.raises(Cancelled):
        explorer.report("x", cancellation=cancellation)


NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.tuples(PATHS, st.binary(max_size=5))
WHITEOUTS = st.tuples(PATHS, st.none())
MARKS = st.tuples(PATHS.map(lambda path: f"{path}/.wh..wh..opq"), st.just(b""))


def layer_of(changes: Sequence[tuple[str, bytes | None]]) -> Mapping[str, bytes]:
    """Files and whiteouts of one layer. None of them is below another file."""
    files: dict[str, bytes] = {}
    for path, content in changes:
        folder, _, name = path.rpartition("/")
        whiteout = f"{folder}/.wh.{name}".lstrip("/")
        member = path if content is not None else whiteout
        claimed = {member, path, whiteout}
        in_the_way = any(
            other in claimed or other.startswith(f"{path}/") or path.startswith(f"{other.replace('.wh.', '')}/")
            for other in files
        )
        if not in_the_way:
            files[member] = content or b""
    return files


def test_every_byte_is_visible_or_hidden(gallery: Gallery, explorer: Explorer) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.lists(FILES | WHITEOUTS | MARKS, max_size=6).map(layer_of), min_size=1, max_size=4))
    def check(layers: list[Mapping[str, bytes]]) -> None:
        image = gallery.image(*layers, names=["x"])
        report = explorer.report("x")
        with open_image(image) as opened:
            visible = {(node.path, node.source) for node in walk(opened.merged) if node.entry.type is EntryType.REGULAR}
            written = {
                (node.path, number): node.entry.size
                for number, tree in enumerate(opened.trees)
                for node in walk(tree)
                if node.entry.type is EntryType.REGULAR
            }
        lost = {key: size for key, size in written.items() if key not in visible}
        assert {(file.path[1:], file.layer) for file in report.hidden} == set(lost)
        assert (report.hidden_files, report.hidden_bytes) == (len(lost), sum(lost.values()))

    check()
