"""Volumes as their users see them: directories with names, options, users and an end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.store.store import Store
from lamina.volumes.volume import Volume, volume_mount
from lamina.volumes.volumes import Volumes

EVERY = {"all": ["true"]}


@pytest.fixture
def store(data_root: Path) -> Iterator[Store]:
    with Store.open(data_root) as store:
        yield store


@pytest.fixture
def volumes(store: Store, data_root: Path) -> Volumes:
    return Volumes.open(store, data_root / "volumes")


def test_a_named_volume_is_a_directory_that_stays(volumes: Volumes, store: Store, data_root: Path) -> None:
    volumes.create("data", labels={"for": "tests"})
    (volumes.path("data") / "file").write_text("kept")

    again = Volumes.open(store, data_root / "volumes")

    assert again.get("data").labels == {"for": "tests"}
    assert (again.path("data") / "file").read_text() == "kept"


def test_creating_twice_gives_the_same_volume(volumes: Volumes) -> None:
    assert volumes.create("data", labels={"a": "1"}) == volumes.create("data", labels={"b": "2"})


def test_without_a_name_a_volume_is_anonymous(volumes: Volumes) -> None:
    volume = volumes.create()

    assert len(volume.name) == 64
    assert volume.anonymous
    assert not volumes.create("named").anonymous


@pytest.mark.parametrize("name", ["..", "a/b", "x", "-flag", "naïve", "a b"])
def test_bad_names_are_refused(volumes: Volumes, name: str) -> None:
    with pytest.raises(InvalidInput):
        volumes.create(name)


def test_a_volume_in_use_stays_and_the_message_names_its_users(store: Store, data_root: Path) -> None:
    volumes = Volumes.open(store, data_root / "volumes", users=lambda name: ["c0ffee"])
    volumes.create("data")

    with pytest.raises(Conflict, match="c0ffee"):
        volumes.remove("data")
    assert volumes.prune(EVERY) == ((), 0)
    assert volumes.get("data")


def test_a_removed_volume_is_gone_with_its_files(volumes: Volumes) -> None:
    volumes.create("data")
    path = volumes.path("data")

    volumes.remove("data")

    assert not path.parent.exists()
    with pytest.raises(NotFound):
        volumes.remove("data")
    volumes.remove("data", force=True)


def test_prune_counts_bytes_and_spares_what_it_is_told_to(volumes: Volumes) -> None:
    volumes.create("kept", labels={"keep": "yes"})
    (volumes.path(volumes.create("gone").name) / "file").write_bytes(b"x" * 1000)

    names, freed = volumes.prune({**EVERY, "label!": ["keep"]})

    assert list(names) == ["gone"]
    assert freed == 1000
    assert [volume.name for volume in volumes.list()] == ["kept"]


def test_half_made_volumes_are_swept_at_the_start(volumes: Volumes, store: Store, data_root: Path) -> None:
    (data_root / "volumes/half/_data").mkdir(parents=True)

    Volumes.open(store, data_root / "volumes")

    assert not (data_root / "volumes/half").exists()


@pytest.mark.root
def test_a_tmpfs_volume_is_mounted_while_it_has_users(volumes: Volumes) -> None:
    volumes.create("memory", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m,noexec"})

    path = volumes.mount("memory", "one")
    volumes.mount("memory", "two")
    assert os.path.ismount(path)
    volumes.unmount("memory", "one")
    assert os.path.ismount(path)
    volumes.unmount("memory", "two")
    volumes.unmount("memory", "two")
    assert not os.path.ismount(path)


@pytest.mark.root
def test_removing_a_bind_volume_spares_what_it_shows(volumes: Volumes, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "precious").write_text("mine")
    volumes.create("bound", driver_opts={"type": "none", "device": str(source), "o": "bind"})

    path = volumes.mount("bound", "container")
    assert (path / "precious").read_text() == "mine"
    volumes.remove("bound")

    assert (source / "precious").read_text() == "mine"


@pytest.mark.root
@pytest.mark.parametrize(("word", "flag"), [("ro", os.ST_RDONLY), ("noexec", os.ST_NOEXEC)])
def test_a_bind_volume_has_the_flags_of_its_options(volumes: Volumes, tmp_path: Path, word: str, flag: int) -> None:
    volumes.create("bound", driver_opts={"type": "none", "device": str(tmp_path), "o": f"bind,{word}"})

    path = volumes.mount("bound", "container")

    try:
        assert os.statvfs(path).f_flag & flag
        assert not os.statvfs(tmp_path).f_flag & flag
    finally:
        volumes.unmount("bound", "container")


@pytest.mark.root
def test_a_bind_volume_keeps_the_flags_of_its_source(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create("memory", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "nosuid"})
    source = volumes.mount("memory", "container")
    volumes.create("bound", driver_opts={"type": "none", "device": str(source), "o": "bind,ro"})

    path = volumes.mount("bound", "container")

    try:
        assert os.statvfs(path).f_flag & os.ST_NOSUID
    finally:
        volumes.unmount("bound", "container")
        volumes.unmount("memory", "container")


@pytest.mark.parametrize("options", [{"size": "1g"}, {"colour": "red"}, {"type": "tmpfs"}, {"device": "/x"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        volume_mount(options)


def test_other_options_for_a_name_in_use_conflict(volumes: Volumes) -> None:
    volumes.create("data", driver_opts={"type": "tmpfs", "device": "tmpfs"})

    with pytest.raises(Conflict):
        volumes.create("data", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    assert isinstance(volumes.create("data"), Volume)


def test_a_volume_may_be_made_again_while_it_is_removed(volumes: Volumes) -> None:
    volumes.create("data")
    for number in range(1000):
        (volumes.path("data") / str(number)).touch()

    with ThreadPoolExecutor(1) as thread:
        removing = thread.submit(volumes.remove, "data")
        while volumes.list():
            pass
        volumes.create("data")
        removing.result()

    assert list(volumes.path("data").iterdir()) == []


def test_what_is_promised_to_a_container_in_the_making_stays(volumes: Volumes) -> None:
    volumes.create("old")
    volumes.promise("old", "c0ffee")
    fresh = volumes.create_promised("c0ffee", None, {}, {}).name
    assert volumes.prune(EVERY).removed == ()
    with pytest.raises(Conflict, match="c0ffee"):
        volumes.remove("old")
    volumes.settle("c0ffee")
    volumes.settle("c0ffee")
    assert set(volumes.prune(EVERY).removed) == {"old", fresh}
    with pytest.raises(NotFound):
        volumes.promise("old", "c0ffee")


def test_what_is_removed_while_it_is_listed_takes_nothing(volumes: Volumes) -> None:
    volume = volumes.create("data")
    (volumes.path("data") / "file").write_bytes(bytes(5000))
    assert volumes.usage(volume) >= 5000
    path = volumes.mountpoint(volume)
    volumes.remove("data")
    assert (volumes.usage(volume), volumes.mountpoint(volume)) == (0, path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foo": "x"}, 'create odd: invalid option: "foo"'),
        ({"type": "tmpfs"}, 'create odd: missing required option: "device"'),
        ({"device": "/x"}, 'create odd: missing required option: "type"'),
    ],
)
def test_options_that_cannot_be_mounted_are_named(volumes: Volumes, options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        volumes.create("odd", driver_opts=options)
    with pytest.raises(InvalidInput, match="volume name is too short"):
        volumes.create("x")
    assert volumes.create("plain", driver_opts={"type": "", "device": "", "o": ""}).name == "plain"
