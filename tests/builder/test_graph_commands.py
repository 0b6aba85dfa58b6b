"""Graphs with commands, in real containers: their mounts, outputs and limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.api.containers import Ulimit
from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Description, Edge, Vertex
from lamina.builder.ops.graph_build import GraphRooms
from lamina.builder.run.container import ContainerRunner
from lamina.errors import Cancelled, CommandFailed, InvalidInput
from support.container_workshop import shop_with
from support.graphs import GraphShop, files, image

pytestmark = pytest.mark.root
ROOT = graph.Mount(target="/", input=0, output=0)


@pytest.fixture(scope="module", params=["erofs", "copy"])
def shop(
    tmp_path_factory: pytest.TempPathFactory, busybox_tar: Path, request: pytest.FixtureRequest
) -> Iterator[GraphShop]:
    with shop_with(tmp_path_factory.mktemp("graphs"), busybox_tar, request.param) as workshop:
        rooms = workshop.rooms
        runner = rooms.runner() if rooms.runner is not None else None
        assert isinstance(runner, ContainerRunner)
        folder = tmp_path_factory.mktemp("client")
        yield GraphShop(GraphRooms(rooms.store, rooms.temporary, lambda: runner), rooms.images, folder)


def command(script: str, *mounts: graph.Mount, inputs: tuple[Vertex, ...] = (), **choices: Any) -> Vertex:
    """A shell command on the image `base`, without a network. `inputs` begin at 1."""
    root = choices.pop("root", ROOT)
    operation = graph.Exec(
        arguments=("/bin/sh", "-ec", script), mounts=(root, *mounts), **{"network": "none", **choices}
    )
    edges = map(Edge, (image("base"), *inputs))
    return Vertex.of(operation, edges, description=Description(script))


def some(**contents: str) -> Vertex:
    """Files in the root, called alike."""
    names = list(contents)
    actions = [
        graph.MakeFile(
            base=number - 1 if number else None,
            path=f"/{name}",
            content=contents[name].encode(),
            output=0 if name == names[-1] else None,
        )
        for number, name in enumerate(names)
    ]
    return files("some", actions)


def changed(shop: GraphShop, vertex: Vertex | Edge) -> dict[str, str]:
    """The files of a result that are not the base's."""
    before = shop.files(image("base"))
    return {path: told for path, told in shop.files(vertex).items() if before.get(path) != told}


def test_what_a_command_changes_is_its_result(shop: GraphShop) -> None:
    vertex = command("echo $A $(pwd) $(id -u) > /out; echo said", environment=("A=b",), directory="/tmp/x", user="5")
    with pytest.raises(CommandFailed):
        shop.files(vertex)  # user 5 may not write there
    vertex = command("echo $A $(pwd) $(id -u) > /tmp/x/out; echo said", environment=("A=b",), directory="/tmp/x")
    assert changed(shop, vertex)["tmp/x/out"] == "regular 644 0:0 b /tmp/x 0"
    shop.files(vertex)
    assert vertex.description.name in shop.cached


def test_each_writable_mount_is_an_output(shop: GraphShop) -> None:
    second = graph.Mount(target="/data", input=1, output=1)
    vertex = command("echo new > /data/b; rm /data/a; echo x > /y", second, inputs=(some(a="old"),))
    assert shop.files(Edge(vertex, 1)) == {"b": "regular 644 0:0 new"}
    assert "y" in changed(shop, Edge(vertex, 0))
    assert not [path for path in changed(shop, Edge(vertex, 0)) if path.startswith("data/")]


def test_mounts_show_a_part_inside_of_others(shop: GraphShop) -> None:
    outer = graph.Mount(target="/m", input=1, read_only=True)
    inner = graph.Mount(target="/m/in", input=2, selector="/b", read_only=True)
    one = graph.Mount(target="/one", input=2, selector="/b", read_only=True)
    script = "cat /m/a /m/in /one > /out; ! echo > /m/a"
    made = changed(shop, command(script, outer, inner, one, inputs=(some(a="A"), some(b="B", c="C"))))
    assert made["out"] == "regular 644 0:0 ABB"
    assert not {"m", "one"} & made.keys()


def test_mounts_of_no_files_are_empty(shop: GraphShop) -> None:
    mounts = (graph.Mount(target="/empty", read_only=True), graph.Mount(target="/new", output=1))
    vertex = command("ls -A /empty > /out; ! touch /empty/x; touch /new/y", *mounts)
    assert changed(shop, vertex)["out"] == "regular 644 0:0"
    assert set(shop.files(Edge(vertex, 1))) == {"y"}


def test_a_mount_without_an_output_takes_what_is_lost(shop: GraphShop) -> None:
    mount = graph.Mount(target="/m", input=1)
    vertex = command("echo more >> /m/a; cat /m/a > /out", mount, inputs=(some(a="A"),))
    assert changed(shop, vertex)["out"] == "regular 644 0:0 Amore"


def test_only_the_selected_files_of_a_mount_decide(shop: GraphShop) -> None:
    def run(other: str) -> None:
        mount = graph.Mount(target="/m", input=1, selector="/a", read_only=True)
        shop.files(command("cat /m > /selected", mount, inputs=(some(a="same", b=other),)))

    run("one")
    assert "cat /m > /selected" in shop.ran
    run("two")
    assert "cat /m > /selected" in shop.cached


def test_a_cache_begins_as_its_input_and_outlives_the_build(shop: GraphShop) -> None:
    seeded = files(
        "seed",
        [
            graph.MakeDirectory(path="/c", mode=0o700, user=7, group=8),
            graph.MakeFile(base=0, path="/c/seed", content=b"s", output=0),
        ],
    )
    mount = graph.Mount(target="/cache", kind="cache", id="seeded", input=1, selector="/c")
    script = "stat -c '%a %u %g' /cache > /out; cat /cache/seed >> /out; echo x >> /cache/seed; : "
    first = changed(shop, command(script + "1", mount, inputs=(seeded,)))["out"]
    second = changed(shop, command(script + "2", mount, inputs=(seeded,)))["out"]
    assert (first, second) == ("regular 644 0:0 700 7 8\ns", "regular 644 0:0 700 7 8\nsx")


def test_tmpfs_secrets_and_limits(shop: GraphShop) -> None:
    shop.secrets["key"] = b"hidden"
    script = """
    mount | grep -c 'on /t type tmpfs' > /out
    cat /run/s >> /out; echo >> /out
    echo $KEY >> /out; stat -c '%a %u' /run/s >> /out
    ulimit -n >> /out; hostname >> /out; grep -c 9.8.7.6 /etc/hosts >> /out
    """
    vertex = command(
        script,
        graph.Mount(target="/t", kind="tmpfs", size=1 << 20),
        graph.Mount(target="/run/s", kind="secret", id="key", mode=0o440, uid=3),
        graph.Mount(target="/run/none", kind="secret", id="none", optional=True),
        secrets=(graph.SecretVariable(id="key", name="KEY"), graph.SecretVariable(id="no", name="N", optional=True)),
        ulimits=(Ulimit("nofile", 99, 88),),
        hostname="here",
        hosts=(("there", "9.8.7.6"),),
    )
    made = changed(shop, vertex)
    assert made["out"].removeprefix("regular 644 0:0 ").splitlines() == [
        "1",
        "hidden",
        "hidden",
        "440 3",
        "88",
        "here",
        "1",
    ]
    assert "run/s" not in made


def test_what_is_missing_is_refused_in_words(shop: GraphShop) -> None:
    with pytest.raises(InvalidInput, match="secret nothing: not found"):
        shop.files(command("true", graph.Mount(target="/s", kind="secret", id="nothing")))
    with pytest.raises(InvalidInput, match="no SSH key 'default'"):
        shop.files(command("true", graph.Mount(target="/s", kind="ssh")))
    with pytest.raises(InvalidInput, match="not found"):
        shop.files(command("true", graph.Mount(target="/m", input=1, selector="/no"), inputs=(some(a="A"),)))


def test_a_read_only_root_and_exit_codes(shop: GraphShop) -> None:
    root = graph.Mount(target="/", input=0, read_only=True)
    mount = graph.Mount(target="/out", output=0)
    vertex = command("echo x > /out/f; ! echo y > /z", mount, root=root)
    assert shop.files(vertex) == {"f": "regular 644 0:0 x"}
    assert shop.files(command("exit 7", exit_codes=(0, 7)))
    with pytest.raises(CommandFailed) as caught:
        shop.files(command("exit 8", exit_codes=(0, 7)))
    assert caught.value.facts["exit_code"] == 8


def test_commands_run_at_the_same_time_and_end_when_cancelled(shop: GraphShop) -> None:
    shared = graph.Mount(target="/meet", kind="cache", id="meeting")
    first = command("mkfifo /meet/p; cat /meet/p > /one", shared)
    second = command("until [ -p /meet/p ]; do :; done; echo met > /meet/p; touch /two", shared)
    both = Vertex.of(graph.Merge(), [Edge(first), Edge(second)])
    assert {"one", "two"} <= set(shop.files(both))

    begun = threading.Event()
    hanging = command("echo ready; sleep 1000")
    with shop.build() as build:
        shop.heard = lambda text: begun.set()

        def end() -> None:
            assert begun.wait(60)
            shop.cancellation.cancel("enough")

        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(Cancelled, match="enough"):
            build.result(Edge(hanging))
        ending.join()


def test_no_cgroup_lies_outside_of_their_file_system(shop: GraphShop, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    with pytest.raises(InvalidInput, match="cgroup parent"):
        shop.files(command("true", cgroup_parent=f"/../../../../..{outside}"))
    assert not outside.exists()
