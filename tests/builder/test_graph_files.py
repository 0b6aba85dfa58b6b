"""Graphs of files: what their actions make, and what of it is found again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Edge, Vertex
from lamina.builder.ops.graph_build import GraphRooms
from lamina.errors import Forbidden, InvalidInput, NotFound, TooLarge, Unsupported
from lamina.events import EventBus
from lamina.images.images import Images
from lamina.store.store import Store
from support.context import File
from support.graphs import GraphShop, files, listed, local

US = graph.NamedOwner(name="us", place=0)
MKDIR = graph.MakeDirectory
MKFILE = graph.MakeFile


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[GraphShop]:
    with Store.open(tmp_path / "root") as store:
        yield GraphShop(GraphRooms(store, tmp_path), Images(store, EventBus()), tmp_path)


def base() -> Vertex:
    """/d with the files f and g, a link to it, and accounts."""
    return files(
        "base",
        [
            MKDIR(path="/d", mode=0o700, output=None),
            MKFILE(base=0, path="/d/f", content=b"one", mode=0o640, user=5, group=6),
            MKFILE(base=1, path="/d/g", content=b"two"),
            graph.MakeLink(base=2, path="/l", target="d"),
            MKDIR(base=3, path="/etc/", parents=True),
            MKFILE(base=4, path="/etc/passwd", content=b"me:x:7:8::/:\n"),
            MKFILE(base=5, path="/etc/group", content=b"us:x:9:\n", output=0),
        ],
    )


def on_base(*actions: graph.Action) -> Vertex:
    return files("change", actions, base())


def test_files_are_made_changed_and_removed(shop: GraphShop) -> None:
    changed = on_base(
        graph.Remove(base=0, path="/l/f"),
        MKFILE(base=1, path="/l/h", content=b"three", mode=0o600, user=graph.NamedOwner(name="me", place=0)),
        MKDIR(
            base=2, path="/a/b", parents=True, mode=0o711, user=1, group=graph.NamedOwner(name="us", place=0), output=0
        ),
    )
    assert shop.files(changed) == {
        "a": "directory 711 1:9",
        "a/b": "directory 711 1:9",
        "d": "directory 700 0:0",
        "d/g": "regular 644 0:0 two",
        "d/h": "regular 600 7:8 three",
        "etc": "directory 755 0:0",
        "etc/group": "regular 644 0:0 us:x:9:",
        "etc/passwd": "regular 644 0:0 me:x:7:8::/:",
        "l": "symlink 777 0:0 d",
    }


def test_a_directory_in_place_of_a_removed_one_shows_nothing_of_it(shop: GraphShop) -> None:
    again = on_base(graph.Remove(base=0, path="/d"), MKDIR(base=1, path="/d", mode=0o750, output=0))
    made = shop.files(again)
    assert made["d"] == "directory 750 0:0"
    assert not {path for path in made if path.startswith("d/")}


def test_wildcards_name_what_is_removed(shop: GraphShop) -> None:
    made = shop.files(on_base(graph.Remove(base=0, path="/d/*", wildcard=True, output=0)))
    assert "d" in made
    assert not {"d/f", "d/g"} & made.keys()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (MKFILE(base=0, path="/no/file", output=0), "no such file or directory"),
        (MKFILE(base=0, path="/d", output=0), "is a directory"),
        (MKDIR(base=0, path="/no/folder", output=0), "no such file or directory"),
        (graph.Remove(base=0, path="/nothing", output=0), "no such file or directory"),
        (graph.Remove(base=0, path="/", output=0), "root"),
        (graph.MakeLink(base=0, path="/d/f", target="x", output=0), "file exists"),
        (graph.Copy(base=0, source=0, path="/nothing", destination="/x", output=0), "not found"),
        (graph.Copy(base=0, source=0, path="/n*", wildcard=True, destination="/x", output=0), "not found"),
        (graph.Copy(base=0, source=0, path="/d", destination="/no/x", output=0), "no such file or directory"),
        (MKFILE(base=0, path="/x", user=graph.NamedOwner(name="nobody", place=0), output=0), "nobody"),
    ],
)
def test_what_cannot_be_is_refused_in_words(shop: GraphShop, action: graph.Action, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        shop.files(on_base(action))


def copied(shop: GraphShop, **choices: Any) -> dict[str, str]:
    """What a copy of the folder `context` onto the base makes, without what was there."""
    action = graph.Copy(base=0, source=1, output=0, **choices)
    made = shop.files(files("copy", [action], base(), local("context")))
    return {path: told for path, told in made.items() if path not in ("d/f", "d/g", "d", "l") and "etc" not in path}


FILES: dict[str, File | str] = {"a": File("alpha", mode=0o640), "sub/b": "beta", "sub/deep/c": "gamma"}


def test_a_copy_takes_contents_or_the_directory(shop: GraphShop) -> None:
    shop.offer("context", FILES)
    contents = copied(shop, path="/sub", destination="/d", contents=True)
    assert contents == {
        "d/b": "regular 644 0:0 beta",
        "d/deep": "directory 755 0:0",
        "d/deep/c": "regular 644 0:0 gamma",
    }
    whole = copied(shop, path="/sub", destination="/d")
    assert set(whole) == {"d/sub", "d/sub/b", "d/sub/deep", "d/sub/deep/c"}


def test_a_copy_chooses_renames_and_dresses(shop: GraphShop) -> None:
    shop.offer("context", FILES)
    assert copied(shop, path="/a", destination="/new/name", make_destination=True, mode="u+x", user=3, group=4) == {
        "new": "directory 755 3:4",
        "new/name": "regular 740 3:4 alpha",
    }
    assert set(
        copied(shop, path="/", destination="/x/", contents=True, make_destination=True, include=("sub/*/c",))
    ) == {
        "x",
        "x/sub",
        "x/sub/deep",
        "x/sub/deep/c",
    }
    assert set(copied(shop, path="/", destination="/", contents=True, exclude=("**/c", "a"))) == {
        "sub",
        "sub/b",
        "sub/deep",
    }


def test_a_link_leads_to_no_place_outside(shop: GraphShop) -> None:
    shop.offer("context", {"real": "inside"})
    (shop.folder / "outside").write_text("secret")
    (shop.folder / "context" / "link").symlink_to("../../../../outside")
    with pytest.raises(InvalidInput, match="not found"):
        copied(shop, path="/link", destination="/x", follow=True)
    assert copied(shop, path="/link", destination="/x") == {"x": "symlink 777 0:0 ../../../../outside"}


def test_a_result_of_an_action_is_copied_from_and_gone_on_from(shop: GraphShop) -> None:
    forked = files(
        "fork",
        [
            MKFILE(path="/f", content=b"1"),
            MKFILE(base=0, path="/g", content=b"2", output=0),
            graph.Copy(base=0, source=1, path="/g", destination="/copy", output=1),
        ],
    )
    assert set(shop.files(Edge(forked, 0))) == {"f", "g"}
    assert set(shop.files(Edge(forked, 1))) == {"f", "copy"}


@pytest.mark.parametrize("path", ["/none", "/none/below", "/a/below"])
def test_a_file_that_is_not_there_is_told_whatever_is_missing(shop: GraphShop, path: str) -> None:
    shop.offer("context", FILES)
    with pytest.raises(InvalidInput, match="not found"):
        copied(shop, path=path, destination="/x")


def copy_of_all(name: str = "copy") -> Vertex:
    action = graph.Copy(base=0, source=1, path="/sub", destination="/d", contents=True, output=0)
    return files(name, [action], base(), local("context"))


def test_times_and_unused_files_do_not_decide(shop: GraphShop) -> None:
    shop.offer("context", FILES)
    shop.files(copy_of_all())
    assert "copy" in shop.ran
    os.utime(shop.folder / "context" / "sub" / "b", (1, 1))
    shop.offer("context", {"a": "another alpha"})
    shop.files(copy_of_all())
    assert shop.cached == ["base", "copy"]


@pytest.mark.parametrize("change", ["bytes", "mode", "name"])
def test_what_reaches_the_result_decides(shop: GraphShop, change: str) -> None:
    shop.offer("context", FILES)
    shop.files(copy_of_all())
    path = shop.folder / "context" / "sub" / "b"
    match change:
        case "bytes":
            path.write_text("BETA")
        case "mode":
            path.chmod(0o600)
        case _:
            path.rename(path.with_name("c"))
    shop.files(copy_of_all())
    assert "copy" in shop.ran


def test_a_vertex_may_ask_to_run_again(shop: GraphShop) -> None:
    vertex = files("new", [MKFILE(path="/f", output=0)], ignore_cache=True)
    for _ in range(2):
        shop.files(vertex)
        assert shop.ran == ["new"]


def test_results_are_found_after_a_restart_and_go_with_a_prune(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with Store.open(root) as store:
        shop = GraphShop(GraphRooms(store, tmp_path), Images(store, EventBus()), tmp_path)
        first = shop.files(base())
    with Store.open(root) as store:
        shop = GraphShop(GraphRooms(store, tmp_path), Images(store, EventBus()), tmp_path)
        store.collect()
        assert shop.files(base()) == first
        assert shop.cached == ["base"]
        (record,) = shop.rooms.records.objects()
        assert (record.description, record.reclaimable) == ("base", True)
        assert record.size > 0
        assert shop.rooms.records.remove(record.id)
        assert not shop.rooms.records.remove(record.id)
        shop.files(base())
        assert shop.ran == ["base"]


def test_a_build_keeps_what_a_prune_would_take(shop: GraphShop) -> None:
    with shop.build() as build:
        result = build.result(Edge(base()))
        for record in shop.rooms.records.objects():
            shop.rooms.records.remove(record.id)
        shop.rooms.store.collect()
        assert listed(result)["d/f"] == "regular 640 5:6 one"


def test_the_same_vertex_of_two_builds_runs_once(shop: GraphShop) -> None:
    with shop.build() as one:
        one.result(Edge(base()))
        with shop.build() as other:
            other.result(Edge(base()))
            assert shop.cached == ["base"]


def test_merging_and_comparing(shop: GraphShop) -> None:
    shop.offer("context", FILES)
    upper = copy_of_all()
    difference = Vertex.of(graph.Difference(lower=0, upper=1), [Edge(base()), Edge(upper)])
    assert set(shop.files(difference)) == {"d", "d/b", "d/deep", "d/deep/c"}
    merged = Vertex.of(graph.Merge(), [Edge(files("x", [MKFILE(path="/x", output=0)])), Edge(difference)])
    assert set(shop.files(merged)) == {"x", "d", "d/b", "d/deep", "d/deep/c"}


def test_the_difference_of_unrelated_files(shop: GraphShop) -> None:
    lower = files("lower", [MKFILE(path="/a", content=b"same"), MKFILE(base=0, path="/b", content=b"old", output=0)])
    upper = files("upper", [MKFILE(path="/a", content=b"same"), MKFILE(base=0, path="/c", content=b"new", output=0)])
    difference = Vertex.of(graph.Difference(lower=0, upper=1), [Edge(lower), Edge(upper)])
    assert set(shop.files(difference)) == {"c"}
    whole = Vertex.of(graph.Merge(), [Edge(lower), Edge(difference)])
    assert set(shop.files(whole)) == {"a", "c"}


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("local://nothing", NotFound),
        ("ftp://x", Unsupported),
        ("nothing", InvalidInput),
        ("docker-image://no", NotFound),
    ],
)
def test_sources_that_are_not_there(shop: GraphShop, identifier: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        shop.files(Vertex.of(graph.Source(identifier=identifier)))


def test_a_command_that_is_not_allowed_is_refused_before_anything_runs(shop: GraphShop) -> None:
    mounts = (graph.Mount(target="/", input=0, output=0),)
    demands: list[dict[str, Any]] = [{"insecure": True}, {"network": "host"}]
    for choices in demands:
        command = graph.Exec(arguments=("true",), mounts=mounts, **choices)
        with pytest.raises(Forbidden, match="is not allowed"):
            shop.files(Vertex.of(command, [Edge(base())]))
        assert shop.ran == []


@pytest.mark.parametrize(
    "action",
    [
        MKFILE(path="/a\0b", output=0),
        MKDIR(path="/a\0b/c", parents=True, output=0),
        graph.MakeLink(path="/l", target="a\0b", output=0),
        MKDIR(path="/a" * 50_000, parents=True, output=0),
        MKFILE(path="/" + "n" * 256, output=0),
        graph.Copy(path="/", destination="/a\0b", contents=True, make_destination=True, output=0),
        graph.Copy(path="/", destination="/d", contents=True, mode="9", make_destination=True, output=0),
    ],
)
def test_paths_and_modes_that_cannot_be_are_refused(shop: GraphShop, action: graph.Action) -> None:
    with pytest.raises(InvalidInput):
        shop.files(files("change", [action]))


def test_a_path_may_be_as_deep_as_it_is_long(shop: GraphShop) -> None:
    deep = "/a" * 2000
    made = files("deep", [MKDIR(path=deep, parents=True, output=0)])
    assert deep[1:] in shop.files(made)
    gone = files("gone", [MKDIR(path=deep, parents=True), graph.Remove(base=0, path="/a", output=0)])
    assert shop.files(gone) == {}


def test_a_stack_of_layers_has_a_bound(shop: GraphShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamina.builder.ops.result.MOST_LAYERS", 3)
    below = files("below", [MKFILE(path="/0", output=0)])
    for number in range(1, 3):
        below = files(str(number), [MKFILE(base=0, path=f"/{number}", output=0)], below)
    assert len(shop.files(below)) == 3
    with pytest.raises(TooLarge, match="more than 3 layers"):
        shop.files(files("3", [MKFILE(base=0, path="/3", output=0)], below))
