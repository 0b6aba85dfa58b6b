"""`cp`, `export`, `diff`: files in and out, whether the container runs or not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lamina.api.containers import HostConfig
from lamina.containers.archive import go_mode
from lamina.errors import Forbidden, InvalidInput, NotFound
from support.tars import tar
from support.waiting import eventually

from .conftest import Rooms

pytestmark = pytest.mark.root

SCRIPT = "mkdir -p /d/e; echo one > /d/f; ln -s /d /link; ln -s /../../../usr/lib /out; echo ready; sleep 100"


def fetched(rooms: Rooms, id: str, path: str) -> dict[str, bytes | None]:
    sink = io.BytesIO()
    rooms.containers.get_archive(id, path, sink)
    sink.seek(0)
    with tarfile.open(fileobj=sink) as tar:
        files = [(m.name, tar.extractfile(m) if m.isreg() else None) for m in tar]
        return {name: file.read() if file else None for name, file in files}


def archive(**files: bytes) -> io.BytesIO:
    return io.BytesIO(tar(files))


@pytest.fixture(params=["running", "ended"])
def container(rooms: Rooms, request: pytest.FixtureRequest) -> str:
    id = rooms.run(SCRIPT, host=HostConfig(network_mode="none", binds=("vol:/vol",)))
    eventually(lambda: list(rooms.containers.logs(id)))
    if request.param == "ended":
        rooms.containers.stop(id, timeout=0)
    return id


def test_reading(rooms: Rooms, container: str) -> None:
    assert fetched(rooms, container, "/d") == {"d": None, "d/e": None, "d/f": b"one\n"}
    assert fetched(rooms, container, "d/f") == {"f": b"one\n"}
    assert fetched(rooms, container, "/link/f") == {"f": b"one\n"}
    assert fetched(rooms, container, "/link") == {"link": None}
    assert list(fetched(rooms, container, "/d/.")) == [".", "./e", "./f"]
    assert "/bin/busybox" in fetched(rooms, container, "/")
    for missing in ("/nothing", "/d/f/x"):
        with pytest.raises(NotFound):
            fetched(rooms, container, missing)


def test_looking(rooms: Rooms, container: str) -> None:
    link = rooms.containers.stat_path(container, "/link")
    assert (link.name, link.link_target) == ("link", "/d")
    assert link.mode & 1 << 27
    assert rooms.containers.stat_path(container, "/link/").mode == go_mode(0o40755)
    assert rooms.containers.stat_path(container, "/d/f").size == 4
    with pytest.raises(NotFound):  # stays inside: the target does not exist there
        rooms.containers.stat_path(container, "/out/")


def test_writing(rooms: Rooms, container: str) -> None:
    rooms.containers.put_archive(container, "/link", archive(new=b"data"))
    assert fetched(rooms, container, "/d/new") == {"new": b"data"}
    rooms.containers.put_archive(container, "/vol", archive(inside=b"v"))
    assert (rooms.volumes.path("vol") / "inside").read_bytes() == b"v"
    with pytest.raises(InvalidInput):
        rooms.containers.put_archive(container, "/d/f", archive(x=b""))
    name = rooms.containers.get(container).name
    with pytest.raises(NotFound, match=f"Could not find the file /nowhere/ in container {name}"):
        rooms.containers.put_archive(container, "/nowhere", archive(x=b""))
    assert any(change.path == "/d/new" or change.path == "d/new" for change in rooms.containers.changes(container))


def test_links_lead_where_the_container_sees_them_lead(rooms: Rooms, container: str) -> None:
    """Into a volume and out of it, through directories that are links themselves, or to nothing."""
    links = {"to-vol": "/vol", "around": "to-vol/out/../d", "loop": "loop", "nowhere": "to-vol/none/x"}
    rooms.containers.put_archive(container, "/", io.BytesIO(tar({}, **links)))
    rooms.containers.put_archive(container, "/vol", io.BytesIO(tar({"f": b"v"}, out="/d", up="../d/f")))
    assert fetched(rooms, container, "/to-vol/f") == {"f": b"v"}
    assert fetched(rooms, container, "/to-vol/out/f") == {"f": b"one\n"}
    assert fetched(rooms, container, "/around/f") == {"f": b"one\n"}
    targets = {"/to-vol/up": "/d/f", "/to-vol": "/vol", "/nowhere": "/vol/none/x", "/to-vol/out": "/d"}
    for path, target in targets.items():
        assert rooms.containers.stat_path(container, path).link_target == target
    rooms.containers.put_archive(container, "/to-vol/", archive(new=b"n"))
    assert (rooms.volumes.path("vol") / "new").read_bytes() == b"n"
    for path in ("/loop", "/loop/"):
        with pytest.raises(InvalidInput, match="too many levels"):
            rooms.containers.stat_path(container, path)
    with pytest.raises(InvalidInput, match="not a directory"):
        rooms.containers.stat_path(container, "/d/f/")


def test_export_leaves_mounts_out(rooms: Rooms, container: str, tmp_path: Path) -> None:
    with (tmp_path / "x.tar").open("wb", buffering=0) as file:
        rooms.containers.export(container, file)
    with tarfile.open(tmp_path / "x.tar") as tar:
        names = tar.getnames()
    assert "d/f" in names
    assert "bin/busybox" in names
    assert not any(name.startswith("proc/") for name in names)


def test_read_only(rooms: Rooms, tmp_path: Path) -> None:
    id = rooms.create("true", host=HostConfig(network_mode="none", readonly_rootfs=True, binds=(f"{tmp_path}:/h:ro",)))
    for path in ("/tmp", "/h"):
        with pytest.raises(Forbidden):
            rooms.containers.put_archive(id, path, archive(x=b""))
    assert not (tmp_path / "x").exists()


def test_mount_points_are_no_changes(rooms: Rooms) -> None:
    id = rooms.run("true")
    rooms.containers.wait(id, timeout=10)
    assert list(rooms.containers.changes(id)) == []
    assert b"localhost" in (fetched(rooms, id, "/etc/hosts")["hosts"] or b"")
    other = rooms.run("ls -a / /etc")
    text = rooms.output(other)
    assert ".dockerenv" in text
    assert "mtab" in text
