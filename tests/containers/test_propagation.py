"""What is mounted below a bind, before and after its container starts: read-only trees, and propagation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.api.containers import BindOptions, Config, HostConfig, MountSpec, NetworkingConfig, VolumeOptions
from lamina.errors import InvalidInput, LaminaError
from lamina.linux.mounts import MNT_DETACH, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, mount, mountinfo, umount2
from support.programs import need

from .conftest import Rooms

pytestmark = pytest.mark.root


@pytest.fixture(params=["crun", "runc"])
def program(request: pytest.FixtureRequest) -> str:
    return need(str(request.param))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs with another one mounted at `below`, and a folder `later` to mount on; none shared."""
    top = tmp_path / "tree"
    top.mkdir()
    mount("tmpfs", top, "tmpfs")
    mount("none", top, flags=MS_PRIVATE)
    for name in ("below", "later"):
        (top / name).mkdir()
    mount("tmpfs", top / "below", "tmpfs")
    yield top
    mount("none", top, flags=MS_REC | MS_PRIVATE)
    umount2(top, MNT_DETACH)


def bind(tree: Path, *, read_only: bool = False, **options: Any) -> HostConfig:
    spec = MountSpec("bind", str(tree), "/h", read_only, bind_options=BindOptions(**options))
    return HostConfig(network_mode="none", mounts=(spec,))


WRITES = "(echo x > /h/top) 2>/dev/null && echo top; (echo x > /h/below/f) 2>/dev/null && echo below; true"


def written(rooms: Rooms, host: HostConfig, *, recursive_read_only: bool = True) -> list[str]:
    config = Config(image="bb", cmd=("sh", "-c", WRITES))
    created = rooms.containers.create_as(
        None, config, host, NetworkingConfig(), recursive_read_only=recursive_read_only
    )
    id = created.id
    rooms.containers.start(id)
    return rooms.output(id).split()


def test_a_read_only_bind_covers_what_is_mounted_below(rooms: Rooms, tree: Path) -> None:
    assert written(rooms, HostConfig(network_mode="none", binds=(f"{tree}:/h",))) == ["top", "below"]
    assert written(rooms, HostConfig(network_mode="none", binds=(f"{tree}:/h:ro",))) == []
    assert written(rooms, bind(tree, read_only=True)) == []
    assert written(rooms, bind(tree, read_only=True, read_only_force_recursive=True)) == []


def test_it_covers_them_wherever_the_runtime_program_mounts_it(rooms: Rooms, tree: Path) -> None:
    """Below /dev, and in a mount that propagates, the runtime program mounts; elsewhere the monitor does."""
    mount("none", tree, flags=MS_REC | MS_SHARED)
    for binds in ((f"{tree}:/dev/h:ro",), (f"{tree}:/o:rslave", f"{tree}:/o/later:ro")):
        place = binds[-1].split(":")[1]
        script = f"mount -o remount,rw {place}/below; (echo x > {place}/below/f) 2>/dev/null && echo written; true"
        id = rooms.run(script, host=HostConfig(network_mode="none", binds=binds))
        assert "written" not in rooms.output(id)
        assert not (tree / "below/f").exists()


def test_mounts_below_a_read_only_bind_stay_writable_where_that_is_asked_for(rooms: Rooms, tree: Path) -> None:
    assert written(rooms, bind(tree, read_only=True, read_only_non_recursive=True)) == ["below"]
    old = HostConfig(network_mode="none", binds=(f"{tree}:/h:ro",))
    assert written(rooms, old, recursive_read_only=False) == ["below"]


def test_a_bind_without_what_is_mounted_below(rooms: Rooms, tree: Path) -> None:
    (tree / "below/hidden").touch()
    host = bind(tree, non_recursive=True)
    id = rooms.create("ls /h/below; echo x > /h/below/f", host=host)
    rooms.containers.start(id)
    assert rooms.output(id) == ""
    assert not (tree / "below/f").exists()
    assert written(rooms, bind(tree, read_only=True, non_recursive=True)) == []


def test_a_read_only_volume_covers_what_is_mounted_below(rooms: Rooms, tree: Path) -> None:
    rooms.volumes.create("vol", driver_opts={"type": "none", "device": str(tree), "o": "rbind"})
    assert written(rooms, HostConfig(network_mode="none", binds=("vol:/h",))) == ["top", "below"]
    assert written(rooms, HostConfig(network_mode="none", binds=("vol:/h:ro",))) == []


def test_a_read_only_file_is_bound(rooms: Rooms, tree: Path) -> None:
    (tree / "file").write_text("of the host\n")
    host = HostConfig(network_mode="none", binds=(f"{tree}/file:/f:ro",))
    id = rooms.create("cat /f; echo x > /f", host=host)
    rooms.containers.start(id)
    assert rooms.output(id).startswith("of the host\n")
    assert (tree / "file").read_text() == "of the host\n"


def test_nothing_stays_mounted_and_the_source_keeps_its_mounts(rooms: Rooms, tree: Path) -> None:
    mount("none", tree, flags=MS_REC | MS_SHARED)
    for mode in ("ro", "ro,rslave", "ro,rshared"):
        assert written(rooms, HostConfig(network_mode="none", binds=(f"{tree}:/h:{mode}",))) == []
    rooms.volumes.create("vol", driver_opts={"type": "none", "device": str(tree), "o": "rbind"})
    id = rooms.create("true", host=HostConfig(network_mode="none", binds=("vol:/h",)))
    rooms.containers.start(id)
    rooms.containers.wait(id, timeout=10)
    rooms.containers.remove(id)
    rooms.volumes.remove("vol")
    assert os.path.ismount(tree / "below")
    containers = str(rooms.root / "containers")
    assert not [point for point in mountinfo() if point.target.startswith(containers)]


@pytest.mark.parametrize("options", ["", "ro,"])
@pytest.mark.parametrize(
    ("propagation", "appears", "returns"),
    [("rshared", True, True), ("shared", True, True), ("rslave", True, False), ("slave", True, False),
     ("rprivate", False, False)],
)  # fmt: skip
def test_mounts_of_the_host_and_of_the_container_propagate(
    rooms: Rooms, tree: Path, propagation: str, appears: bool, returns: bool, options: str
) -> None:
    mount("none", tree, flags=MS_REC | MS_SHARED)
    host = HostConfig(network_mode="none", privileged=True, binds=(f"{tree}:/h:{options}{propagation}",))
    id = rooms.run("exec sleep 300", host=host)
    inside = Path(f"/proc/{rooms.containers.get(id).state.pid}/root/h")
    mount("tmpfs", tree / "later", "tmpfs")
    (tree / "later/mark").touch()
    assert (inside / "later/mark").exists() is appears
    umount2(tree / "later", MNT_DETACH)
    program = ["nsenter", "-t", str(rooms.containers.get(id).state.pid), "-m", "mount", "-t", "tmpfs", "t", "/h/later"]
    subprocess.run(program, check=True)
    assert os.path.ismount(tree / "later") is returns
    rooms.containers.stop(id, timeout=0)
    if returns:
        umount2(tree / "later", MNT_DETACH)


@pytest.mark.parametrize(
    ("propagation", "shared", "words"),
    [
        ("rshared", False, "but it is not a shared mount"),
        ("rslave", False, "but it is not a shared or slave mount"),
        ("slave", False, "but it is not a shared or slave mount"),
    ],
)
def test_a_source_that_cannot_propagate_is_named(
    rooms: Rooms, tree: Path, propagation: str, shared: bool, words: str
) -> None:
    id = rooms.create("true", host=HostConfig(network_mode="none", binds=(f"{tree}/later:/h:{propagation}",)))
    with pytest.raises(InvalidInput) as raised:
        rooms.containers.start(id)
    assert raised.value.message == f"path {tree}/later is mounted on {tree} {words}"


def test_a_slave_of_the_host_can_be_a_master(rooms: Rooms, tree: Path) -> None:
    mount("none", tree, flags=MS_SHARED)
    mount("none", tree, flags=MS_SLAVE)
    id = rooms.create("true", host=HostConfig(network_mode="none", binds=(f"{tree}:/h:rshared",)))
    with pytest.raises(LaminaError):
        rooms.containers.start(id)


@pytest.fixture
def shared_root(data_root: Path) -> Iterator[Path]:
    """The data root on a shared mount, as on hosts with systemd."""
    mount("tmpfs", data_root, "tmpfs")
    mount("none", data_root, flags=MS_SHARED)
    yield data_root
    umount2(data_root, MNT_DETACH)


@pytest.mark.parametrize("place", ["", "..", "containers"])
def test_a_bind_of_the_data_root_is_a_slave(rooms: Rooms, place: str) -> None:
    source = os.path.normpath(rooms.root / place)
    id = rooms.create("true", host=HostConfig(network_mode="none", binds=(f"{source}:/h",)))
    assert rooms.containers.get(id).mounts[0].propagation == "rslave"
    rooms.containers.start(id)  # as a private mount where the source propagates nothing
    rooms.containers.wait(id, timeout=10)
    for mode in ("rslave", "rshared"):
        rooms.create("true", host=HostConfig(network_mode="none", binds=(f"{source}:/h:{mode}",)))
    for mode in ("private", "rprivate", "slave", "shared"):
        with pytest.raises(InvalidInput, match='must use either propagation mode "rslave" or "rshared"'):
            rooms.create("true", host=HostConfig(network_mode="none", binds=(f"{source}:/h:{mode}",)))


def test_a_container_that_sees_the_data_root_lets_go_of_mounts_with_the_host(shared_root: Path, rooms: Rooms) -> None:
    host = HostConfig(network_mode="none", binds=(f"{rooms.root}:/h",))
    id = rooms.run("exec sleep 300", host=host)
    inside = {point.target: point.tags for point in mountinfo(rooms.containers.get(id).state.pid)}
    assert [tag.partition(":")[0] for tag in inside["/h"]] == ["master"]


@pytest.mark.parametrize("subpath", ["..", "../..", "a/../../b", "/etc", "../vol"])
def test_a_subpath_that_leads_out_is_refused_when_the_container_is_made(rooms: Rooms, subpath: str) -> None:
    rooms.volumes.create("vol")
    spec = MountSpec("volume", "vol", "/v", volume_options=VolumeOptions(subpath=subpath))
    with pytest.raises(InvalidInput, match="path concatenation escapes the base directory"):
        rooms.create("true", host=HostConfig(network_mode="none", mounts=(spec,)))


def test_a_link_in_a_volume_that_leads_out_is_refused_at_the_start(rooms: Rooms) -> None:
    rooms.volumes.create("vol")
    (rooms.volumes.path("vol") / "out").symlink_to("../..")
    spec = MountSpec("volume", "vol", "/v", volume_options=VolumeOptions(subpath="out"))
    id = rooms.create("true", host=HostConfig(network_mode="none", mounts=(spec,)))
    with pytest.raises(InvalidInput, match="path concatenation escapes the base directory"):
        rooms.containers.start(id)
