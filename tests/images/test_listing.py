"""Which images are shown, their sizes and history, and what a prune takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lamina.errors import InvalidInput, NotFound
from lamina.formats.times import whole_seconds
from lamina.images.image import ImageUser
from lamina.images.record import IMAGES
from lamina.store.transaction import ReadTransaction
from support.gallery import Gallery


@pytest.fixture
def shelf(gallery: Gallery) -> Gallery:
    """Three generations: a base, an intermediate step, an application on it; and one without a name."""
    base = gallery.image({"a": b"123"}, names=["base:1"], created="2024-01-01T00:00:00Z", labels={"kind": "base"})
    step = gallery.image({"b": b"12"}, parent=base, created="2024-01-02T00:00:00Z")
    gallery.image(
        {"c": b"1"},
        parent=step,
        names=["example.com/team/app:v1"],
        created="2024-01-03T00:00:00Z",
        labels={"kind": "app", "x": ""},
    )
    gallery.image({"d": b"1234"}, created="2024-01-04T00:00:00Z")
    return gallery


APP = "example.com/team/app:v1"


def test_newest_first_without_what_only_carries_others(shelf: Gallery) -> None:
    assert shelf.names() == ["<none>", APP, "base:1"]
    assert shelf.names(all_images=True) == ["<none>", APP, "<none>", "base:1"]


def test_dangling(shelf: Gallery) -> None:
    assert shelf.names(dangling=["true"]) == ["<none>"]
    assert shelf.names(dangling=["false"]) == [APP, "base:1"]


def test_labels(shelf: Gallery) -> None:
    assert shelf.names(label=["kind"]) == [APP, "base:1"]
    assert shelf.names(label=["kind=app", "x"]) == [APP]
    assert shelf.names(label=["kind=none"]) == []


def test_before_since_and_until(shelf: Gallery) -> None:
    assert shelf.names(before=[APP]) == ["base:1"]
    assert shelf.names(since=["base:1"]) == ["<none>", APP]
    assert shelf.names(since=["base:1"], before=[shelf.images.list()[0].image.id.short]) == [APP]
    assert shelf.names(until=["2024-01-01T12:00:00Z"]) == ["base:1"]
    assert shelf.names(until=["1h"]) == shelf.names()
    with pytest.raises(NotFound):
        shelf.names(before=["nothing"])


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("base", ["base:1"]),
        ("base:1", ["base:1"]),
        ("base:2", []),
        ("b*", ["base:1"]),
        ("docker.io/library/base", ["base:1"]),
        ("*/*/*", [APP, "base:1"]),
        ("example.com/team/*:v?", [APP]),
    ],
)
def test_references(shelf: Gallery, pattern: str, names: list[str]) -> None:
    assert shelf.names(reference=[pattern]) == names


def test_only_names_that_fit_are_shown(shelf: Gallery) -> None:
    shelf.images.tag("base:1", "also:1")
    (listed,) = shelf.images.list(filters={"reference": ["also"]})
    assert [name.familiar() for name in listed.references] == ["also:1"]


@pytest.mark.parametrize(
    "filters", [{"colour": ["red"]}, {"dangling": ["maybe"]}, {"reference": ["[a"]}, {"until": ["soon"]}]
)
def test_bad_filters(shelf: Gallery, filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInput):
        shelf.images.list(filters=filters)


def test_sizes_and_users(shelf: Gallery) -> None:
    app = shelf.images.get(APP)
    shelf.users[app.id] = [ImageUser("c", True)] * 2
    by_name = {item.image.id: item for item in shelf.images.list(shared_size=True)}
    assert app.size == 6
    assert app.layer_sizes == (3, 2, 1)
    assert by_name[app.id].shared_size == 5, "the last layer is its own"
    assert by_name[app.id].containers == 2
    usage = shelf.images.usage()
    assert usage.layers_size == 3 + 2 + 1 + 4
    assert {item.image.id for item in usage.images} == set(by_name)


def test_history(shelf: Gallery) -> None:
    base, app = shelf.images.get("base:1"), shelf.images.get(APP)
    steps = shelf.images.history(APP)
    assert [step.id for step in steps] == [str(app.id), str(app.parent), str(base.id)]
    assert [step.size for step in steps] == [1, 2, 3]
    assert [name.familiar() for name in steps[2].references] == ["base:1"]
    assert steps[0].created == "2024-01-03T00:00:00Z"


def test_history_made_elsewhere(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, {"b": b"12"}, created="1970-01-01T00:00:00Z")
    steps = gallery.images.history(image.id)
    assert [step.id for step in steps] == [str(image.id), "<missing>"]
    assert image.created == image.made, "nobody should read 56 years ago"
    assert {step.created for step in steps} == {whole_seconds(image.made)}


def test_prune_takes_what_is_dangling(shelf: Gallery) -> None:
    leftover = shelf.store.blobs.put(b"of an interrupted pull")
    pruned = shelf.images.prune()
    assert shelf.names() == [APP, "base:1"]
    assert pruned.reclaimed == 4
    assert not shelf.store.blobs.has(leftover)
    assert shelf.events()[-1][0] == "prune"


def test_prune_of_all_spares_what_containers_use(shelf: Gallery) -> None:
    base = shelf.images.get("base:1")
    shelf.users[base.id] = [ImageUser("c", False)]
    shelf.images.prune({"dangling": ["false"]})
    assert shelf.names(all_images=True) == ["base:1"]


def test_prune_by_label_and_age(shelf: Gallery) -> None:
    assert shelf.images.prune({"dangling": ["false"], "label": ["kind=none"]}).removed == ()
    assert shelf.images.prune({"until": ["2020-01-01T00:00:00Z"]}).removed == ()
    shelf.images.prune({"dangling": ["false"], "label!": ["kind=base"]})
    assert shelf.names(all_images=True) == ["base:1"]
    with pytest.raises(InvalidInput):
        shelf.images.prune({"reference": ["x"]})


def test_an_image_is_read_again_only_after_a_change(shelf: Gallery) -> None:
    first = {image.id: image for image in (item.image for item in shelf.images.list(all=True))}
    named = shelf.images.get(APP).id
    assert all(item.image is first[item.id] for item in shelf.images.list(all=True))
    shelf.images.tag(APP, "again:1")
    after = {item.id: item.image for item in shelf.images.list(all=True)}
    assert [id for id, image in after.items() if image is not first[id]] == [named]
    assert "again:1" in after[named].tags
    assert shelf.images.get("again:1") is after[named]


def test_a_list_is_made_anew_only_for_what_changed(shelf: Gallery) -> None:
    first = {item.id: item for item in shelf.images.list()}
    assert all(item is first[item.id] for item in shelf.images.list())
    base = shelf.images.get("base:1").id
    shelf.users[base] = [ImageUser("c", False)]
    second = {item.id: item for item in shelf.images.list()}
    assert [id for id, item in second.items() if item is not first[id]] == [base]
    assert second[base].containers == 1
    assert first[base].containers == 0
    shelf.images.remove(APP)
    assert APP not in shelf.names()


def test_a_whole_list_is_not_what_a_filtered_one_left(shelf: Gallery) -> None:
    assert shelf.names(label=["kind=base"]) == ["base:1"]
    assert shelf.names() == ["<none>", APP, "base:1"]
    shelf.images.list().clear()
    assert shelf.names() == ["<none>", APP, "base:1"]
    assert [item.shared_size for item in shelf.images.list()] == [None] * 3
    assert None not in [item.shared_size for item in shelf.images.list(shared_size=True)]


def test_the_records_of_images_are_read_once_until_one_changes(shelf: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    read = ReadTransaction.items

    def items(self: ReadTransaction, bucket: str, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        reads.append(bucket)
        return read(self, bucket, prefix)

    monkeypatch.setattr(ReadTransaction, "items", items)
    shelf.names()
    assert IMAGES in reads
    del reads[:]
    shelf.names()
    shelf.names(all_images=True, label=["kind"])
    shelf.images.usage()
    assert reads == []
    shelf.images.tag(APP, "again:1")
    assert any("again:1" in item.tags for item in shelf.images.list())
    assert IMAGES in reads
