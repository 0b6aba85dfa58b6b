"""Binds, volumes, tmpfs: the rules, and what containers see."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.api.containers import (
    BindOptions,
    Config,
    DeviceRequest,
    DriverConfig,
    HostConfig,
    ImageOptions,
    MountSpec,
    TmpfsOptions,
    VolumeOptions,
)
from lamina.containers.mount_requests import MountRules
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.sandbox.spec import MountPoint
from support.tars import tar

from .conftest import IMAGE, Rooms


def resolved(config: Config | None = None, **host: Any) -> dict[str, MountPoint]:
    known = {"other": (MountPoint("volume", "/v", name="vol"), MountPoint("tmpfs", "/t"))}
    points = MountRules(lambda name: known[name], "/var/lib/lamina").resolve(config or Config(), HostConfig(**host))
    return {point.destination: point for point in points}


def test_binds() -> None:
    found = resolved(binds=("/h:/a", "/h:/b:ro,rslave", "vol:/c:nocopy", "/d", "/h/:/e/../f/"))
    assert (found["/a"].type, found["/a"].source, found["/a"].rw) == ("bind", "/h", True)
    assert found["/a"].propagation == "rprivate"
    assert (found["/b"].rw, found["/b"].propagation) == (False, "rslave")
    assert (found["/c"].type, found["/c"].name, found["/c"].copy) == ("volume", "vol", False)
    assert (found["/d"].anonymous, found["/f"].source) == (True, "/h")


def test_mounts_and_tmpfs() -> None:
    specs = (
        MountSpec("tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=5, mode=0o700)),
        MountSpec("volume", "v", "/v", read_only=True, volume_options=VolumeOptions(no_copy=True)),
        MountSpec("bind", "/etc", "/b", bind_options=BindOptions(non_recursive=True)),
    )
    found = resolved(mounts=specs, tmpfs={"/run": "rw,size=1k"})
    assert found["/t"].options == ("size=5", "mode=700")
    assert (found["/v"].rw, found["/v"].copy) == (False, False)
    assert found["/b"].recursive is False
    assert found["/run"].options == ("rw", "size=1k")


def test_precedence() -> None:
    config = Config(volumes={"/v": {}, "/w": {}})
    found = resolved(config, volumes_from=("other:ro",), binds=("/x:/w",))
    assert (found["/v"].name, found["/v"].rw) == ("vol", False)
    assert found["/w"].type == "bind"
    assert "/t" not in found


@pytest.mark.parametrize(
    "host",
    [
        {"binds": ("a:b:c:d",)},
        {"binds": ("/a:b",)},
        {"binds": ("/a:/b:what",)},
        {"binds": ("/a:/b:ro,rw",)},
        {"binds": ("./a:/b",)},
        {"binds": ("/a:/",)},
        {"binds": ("/a:/b", "/c:/b/")},
        {"mounts": (MountSpec("bind", "/not/there", "/b"),)},
        {"mounts": (MountSpec("magic", "", "/b"),)},
        {"mounts": (MountSpec("cluster", "x", "/b"),)},
        {"mounts": (MountSpec("image", "", "/b"),)},
        {"mounts": (MountSpec("image", "bb", "/b", image_options=ImageOptions(subpath="a/../..")),)},
        {"mounts": (MountSpec("bind", "/etc", "/b", volume_options=VolumeOptions()),)},
        {"mounts": (MountSpec("volume", "v", "/b", bind_options=BindOptions()),)},
        {"mounts": (MountSpec("tmpfs", "", "/b", image_options=ImageOptions()),)},
        {"mounts": (MountSpec("tmpfs", "", "/b", tmpfs_options=TmpfsOptions(options=(("suid",),))),)},
        {"tmpfs": {"/t": "size=1k,foo=1"}},
        {"tmpfs": {"/t": "size"}},
        {"volumes_from": ("other:what",)},
        {"volumes_from": ("other:nocopy",)},
    ],
)
def test_what_is_refused(host: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        resolved(**host)


@pytest.mark.root
def test_containers_see_them(rooms: Rooms, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host\n")
    made = tmp_path / "made/by/engine"
    host = HostConfig(
        network_mode="none",
        binds=(f"{tmp_path}:/h:ro", f"{made}:/m", "named:/etc"),
        tmpfs={"/scratch": "size=1m"},
    )
    script = "cat /h/file; touch /h/x || echo refused; echo data > /m/out; grep -c root: /etc/passwd; df /scratch"
    id = rooms.run(script, host=host, volumes={"/anonymous": {}})
    text = rooms.output(id)
    assert text.startswith("from the host\n")
    assert "\nrefused\n" in text
    assert "\n1\n" in text
    assert "\ntmpfs " in text
    assert (made / "out").read_text() == "data\n"
    assert (rooms.volumes.path("named") / "passwd").exists()
    names = {volume.name for volume in rooms.volumes.list()}
    assert len(names) == 2
    mounts = {m.destination: m for m in rooms.containers.get(id).mounts}
    assert mounts["/h"].rw is False
    assert mounts["/anonymous"].name in names
    rooms.containers.remove(id, volumes=True)
    assert [volume.name for volume in rooms.volumes.list()] == ["named"]
    again = rooms.run("cat /etc/passwd | wc -l", host=HostConfig(network_mode="none", binds=("named:/etc",)))
    assert rooms.output(again) == "2\n"


@pytest.mark.root
def test_the_first_use_keeps_owner_and_mode(rooms: Rooms) -> None:
    base = rooms.run("mkdir -m 1711 /data; echo x > /data/f; chown 7:8 /data /data/f")
    rooms.containers.wait(base, timeout=10)
    first = rooms.create("true", host=HostConfig(network_mode="none", binds=("fresh:/tmp",)))
    status = os.stat(rooms.volumes.path("fresh"))
    assert status.st_mode & 0o7777 == 0o1777
    rooms.containers.remove(first)


@pytest.mark.root
def test_read_only_root_and_volumes_from(rooms: Rooms) -> None:
    first = rooms.run("echo shared > /v/f", volumes={"/v": {}})
    rooms.containers.wait(first, timeout=10)
    host = HostConfig(network_mode="none", readonly_rootfs=True, volumes_from=(first,))
    id = rooms.run("cat /v/f; touch /x || echo no; touch /v/y && echo yes", host=host)
    lines = rooms.output(id).splitlines()
    assert [line for line in lines if line in ("shared", "no", "yes")] == ["shared", "no", "yes"]


@pytest.mark.root
def test_a_part_of_a_volume_stays_inside_it(rooms: Rooms) -> None:
    rooms.volumes.create("vol")
    place = rooms.volumes.path("vol")
    (place / "real").mkdir()
    (place / "real/f").write_text("part\n")
    (place / "link").symlink_to("/real")
    (place / "out").symlink_to("/etc")

    def using(subpath: str) -> str:
        spec = MountSpec("volume", "vol", "/v", volume_options=VolumeOptions(subpath=subpath))
        return rooms.create("cat /v/f", host=HostConfig(network_mode="none", mounts=(spec,)))

    id = using("real")
    rooms.containers.start(id)
    assert rooms.output(id) == "part\n"
    for way in ("link", "out", "../..", "none"):
        with pytest.raises(InvalidInput):
            rooms.containers.start(using(way))


@pytest.mark.root
def test_no_prune_takes_a_volume_from_a_container_in_the_making(rooms: Rooms) -> None:
    ending = threading.Event()

    def prune() -> None:
        while not ending.is_set():
            rooms.volumes.prune({"all": ["true"]})

    pruning = threading.Thread(target=prune)
    pruning.start()
    try:
        made = [rooms.create("true", volumes={"/v": {}}) for _ in range(15)]
    finally:
        ending.set()
        pruning.join()
    for id in made:
        (point,) = rooms.containers.get(id).record.mounts
        assert rooms.volumes.path(point.name).is_dir()


def _image_mount(subpath: str = "", target: str = "/i") -> HostConfig:
    options = ImageOptions(subpath=subpath)
    return HostConfig(network_mode="none", mounts=(MountSpec("image", IMAGE, target, image_options=options),))


@pytest.mark.root
def test_an_image_is_mounted_read_only(rooms: Rooms) -> None:
    """moby integration/volume/mount_test.go, TestRunMountImage."""
    text = rooms.output(
        rooms.run("head -c 5 /i/etc/passwd; touch /i/x 2>/dev/null || echo refused", host=_image_mount())
    )
    assert text == "root:refused\n"
    part = rooms.run("head -c 5 /i/passwd", host=_image_mount("etc"))
    assert rooms.output(part).startswith("root:")
    file = rooms.run("head -c 5 /etc/localtime", host=_image_mount("etc/passwd", "/etc/localtime"))
    assert rooms.output(file) == "root:"
    with pytest.raises(InvalidInput, match="No such file or directory"):
        rooms.run("true", host=_image_mount("nothing"))
    with pytest.raises(NotFound, match="No such image: none"):
        rooms.create("true", host=HostConfig(mounts=(MountSpec("image", "none", "/i"),)))


@pytest.mark.root
def test_a_mounted_image_stays_as_long_as_its_container(rooms: Rooms) -> None:
    rooms.containers.commit(rooms.create("true"), "other")
    image = rooms.images.get("other")
    host = HostConfig(network_mode="none", mounts=(MountSpec("image", "other", "/i"),))
    id = rooms.run("sleep 100", host=host)
    point = rooms.containers.get(id).mounts[0]
    assert (point.name, point.image, point.rw) == ("other", str(image.id), False)
    with pytest.raises(Conflict, match=f"container {id[:12]} is using its referenced image"):
        rooms.images.remove("other")
    sink = io.BytesIO()
    rooms.containers.get_archive(id, "/i/etc/passwd", sink)
    assert b"root:" in sink.getvalue()
    rooms.containers.remove(id, force=True)
    rooms.images.remove("other")
    assert rooms.snapshots.keys() == [left.id for left in rooms.containers.list(all=True)]


@pytest.mark.root
def test_a_mounted_image_outlives_the_engine(reopen: Callable[[], Rooms]) -> None:
    id = reopen().run("while :; do test -e /tmp/go && cat /i/etc/passwd && break; done", host=_image_mount())
    rooms = reopen()
    rooms.containers.put_archive(id, "/tmp", io.BytesIO(tar({"go": b""})))
    assert rooms.output(id).startswith("root:")
    rooms.containers.start(id)
    assert rooms.output(id).count("\nroot:") == 1


@pytest.mark.root
def test_a_driver_of_volumes_matters_where_there_is_a_volume(rooms: Rooms) -> None:
    rooms.create("true", host=HostConfig(network_mode="none", volume_driver="foo"))
    config = DriverConfig("foo")
    for host in (
        HostConfig(volume_driver="foo", binds=("fresh:/v",)),
        HostConfig(mounts=(MountSpec("volume", "fresh", "/v", volume_options=VolumeOptions(driver_config=config)),)),
    ):
        with pytest.raises(NotFound, match='create fresh: error looking up volume plugin foo: plugin "foo" not found'):
            rooms.create("true", host=host)
    assert rooms.volumes.list() == []


@pytest.mark.root
def test_devices_that_a_driver_picks_are_refused_at_the_start(rooms: Rooms) -> None:
    request = DeviceRequest(count=-1, capabilities=(("gpu",),))
    id = rooms.create("true", host=HostConfig(network_mode="none", device_requests=(request,)))
    with pytest.raises(InvalidInput, match=r'could not select device driver "" with capabilities: \[\[gpu\]\]'):
        rooms.containers.start(id)
    assert rooms.containers.get(id).state.status == "created"


@pytest.mark.root
def test_an_empty_part_of_a_volume_is_filled_like_a_volume(rooms: Rooms) -> None:
    """moby integration/volume/mount_test.go, "subdir with copy data"."""
    first = HostConfig(network_mode="none", binds=("parts:/v",))
    rooms.output(rooms.run("mkdir /v/bin /v/full; echo x > /v/full/own; echo y > /v/file", host=first))

    def seen(part: str, script: str) -> str:
        options = VolumeOptions(subpath=part)
        mount = MountSpec("volume", "parts", "/etc", volume_options=options)
        return rooms.output(rooms.run(script, host=HostConfig(network_mode="none", mounts=(mount,))))

    assert seen("bin", "head -c 5 /etc/passwd") == "root:"
    assert seen("full", "cat /etc/own; ls /etc/passwd 2>/dev/null").startswith("x\n")
    assert "passwd" not in os.listdir(rooms.volumes.path("parts") / "full")
