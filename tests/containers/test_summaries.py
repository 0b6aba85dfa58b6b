"""What lists show of containers is kept until it changes, and is never what it was before."""

from __future__ import annotations

from typing import Any

import pytest

from containers.conftest import IMAGE, Rooms
from lamina.api.containers import HostConfig
from lamina.containers.inspect import ContainerSummary
from lamina.daemon.render.container import listed
from lamina.daemon.render.kept_items import KeptItems

pytestmark = pytest.mark.root


def summaries(rooms: Rooms) -> dict[str, ContainerSummary]:
    return {item.name: item for item in rooms.containers.list(all=True)}


def test_a_summary_is_made_anew_only_for_what_changed(rooms: Rooms) -> None:
    changed = rooms.create("true", name="changed")
    rooms.create("true", name="other")
    first, second = summaries(rooms), summaries(rooms)
    assert all(second[name] is item for name, item in first.items())
    rooms.containers.rename(changed, "renamed")
    third = summaries(rooms)
    assert third["other"] is first["other"]
    assert set(third) == {"renamed", "other"}


def test_a_summary_follows_the_names_of_its_image(rooms: Rooms) -> None:
    rooms.create("true", name="cc")
    assert summaries(rooms)["cc"].image == IMAGE
    rooms.images.remove(IMAGE, force=True)
    assert summaries(rooms)["cc"].image.startswith("sha256:")


def test_a_summary_follows_the_state_and_the_networks(rooms: Rooms) -> None:
    network = rooms.networks.create("moved").id
    id = rooms.create("sleep 1000", name="cc", host=HostConfig(network_mode="moved"))
    assert summaries(rooms)["cc"].networks["moved"].network_id == network
    rooms.networks.remove("moved")
    again = rooms.networks.create("moved").id
    assert summaries(rooms)["cc"].networks["moved"].network_id == again
    assert summaries(rooms)["cc"].status == "Created"
    rooms.containers.start(id)
    running = summaries(rooms)["cc"]
    assert running.status.startswith("Up ")
    assert running.networks["moved"].ip_address
    rooms.containers.kill(id)
    rooms.containers.wait(id, timeout=20)
    assert summaries(rooms)["cc"].state == "exited"
    assert not summaries(rooms)["cc"].networks["moved"].ip_address


def test_sizes_are_looked_at_each_time(rooms: Rooms) -> None:
    id = rooms.run("echo 12345 > /file", name="cc")
    rooms.containers.wait(id, timeout=20)
    image = rooms.images.get(IMAGE).size
    for item in (rooms.containers.list(all=True, size=True)[0] for _ in range(2)):
        assert item.size_rw is not None
        assert item.size_rw >= 6
        assert item.size_root_fs == item.size_rw + image
    assert summaries(rooms)["cc"].size_rw is None


def test_an_item_is_put_into_words_once_for_each_version(rooms: Rooms) -> None:
    made: list[tuple[str, tuple[int, int]]] = []

    def render(item: ContainerSummary, version: tuple[int, int]) -> dict[str, Any]:
        made.append((item.name, version))
        return listed(item, version)

    kept = KeptItems(render)
    id = rooms.create("true", name="aa")
    rooms.create("true", name="bb")
    texts = [kept.array(rooms.containers.list(all=True), (1, 41)) for _ in range(3)]
    assert len(set(texts)) == 1
    assert sorted(made) == [("aa", (1, 41)), ("bb", (1, 41))]
    assert b"ImageManifestDescriptor" in kept.array(rooms.containers.list(all=True), (1, 48))
    assert len(made) == 4
    rooms.containers.rename(id, "cc")
    assert b'"/cc"' in kept.array(rooms.containers.list(all=True), (1, 41))
    assert made[4:] == [("cc", (1, 41))]
