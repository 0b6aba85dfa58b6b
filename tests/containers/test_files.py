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
    for path in ("/./", "./", "/.", "."):
        assert list(fetched(rooms, container, path))[:2] == [".", "./.dockerenv"]
    with pytest.raises(NotFound, match=f"Could not find the file /nothing in container {container}"):
        fetched(rooms, container, "/nothing")
    for path in ("/d/f/x", "/d/f/"):
        with pytest.raises(InvalidInput, match=f"{path}: not a directory"):
            fetched(rooms, container, path)


def test_looking(rooms: Rooms, container: str) -> None:
    link = rooms.containers.stat_path(container, "/link")
    assert (link.name, link.link_target) == ("link", "/d")
    assert link.mode & 1 << 27
    assert rooms.containers.stat_path(container, "/link/").mode == go_mode(0o40755)
    assert rooms.containers.stat_path(container, "/d/f").size == 4
    with pytest.raises(NotFound):  # stays inside: the target does not exist there
        rooms.containers.stat_path(container, "/out/")


def test_listing_a_folder(rooms: Rooms, container: str) -> None:
    def listing(path: str) -> list[tuple[str, str, bool]]:
        return [
            (entry.name, entry.state.type, entry.is_directory) for entry in rooms.containers.folder(container, path)
        ]

    rooms.containers.put_archive(container, "/vol", archive(inside=b"v"))
    assert listing("/d") == listing("/link") == [("e", "directory", True), ("f", "regular", False)]
    assert listing("vol/") == [("inside", "regular", False)]
    links = [entry for entry in rooms.containers.folder(container, "/") if entry.name in ("link", "out")]
    assert [(entry.state.target, entry.is_directory) for entry in links] == [
        ("/d", True),
        ("/../../../usr/lib", False),  # it stays inside, where there is none
    ]
    with pytest.raises(NotFound):
        listing("/out")
    with pytest.raises(InvalidInput, match="not a directory"):
        listing("/d/f")


def test_writing(rooms: Rooms, container: str) -> None:
    rooms.containers.put_archive(container, "/link", archive(new=b"data"))
    assert fetched(rooms, container, "/d/new") == {"new": b"data"}
    rooms.containers.put_archive(container, "/vol", archive(inside=b"v"))
    assert (rooms.volumes.path("vol") / "inside").read_bytes() == b"v"
    with pytest.raises(InvalidInput):
        rooms.containers.put_archive(container, "/d/f", archive(x=b""))
    name = rooms.containers.get(container).name
    with pytest.raises(NotFound, match=f"Could not find the file /nowhere in container {name}"):
        rooms.containers.put_archive(name, "/nowhere", archive(x=b""))
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


def test_what_is_mounted_below_a_folder_goes_with_it(rooms: Rooms, tmp_path: Path) -> None:
    """As in dockerd, which mounts a container's volumes for a copy."""
    bound = tmp_path / "bound"
    bound.mkdir()
    (bound / "of-host").write_bytes(b"h")
    binds = ("outer:/top/vol", f"{bound}:/top/vol/bind:ro", "inner:/top/vol/deep/inner")
    id = rooms.create("true", host=HostConfig(network_mode="none", binds=binds))
    (rooms.volumes.path("inner") / "f").write_bytes(b"i")
    before = Path("/proc/self/mountinfo").read_text()

    files = fetched(rooms, id, "/top")
    assert {path: text for path, text in files.items() if text} == {
        "top/vol/bind/of-host": b"h",
        "top/vol/deep/inner/f": b"i",
    }
    rooms.containers.put_archive(id, "/top", archive(**{"vol/deep/inner/new": b"n", "vol/other": b"o"}))
    assert (rooms.volumes.path("inner") / "new").read_bytes() == b"n"
    assert (rooms.volumes.path("outer") / "other").read_bytes() == b"o"
    with pytest.raises(Forbidden, match="Read-only file system"):
        rooms.containers.put_archive(id, "/top", archive(**{"vol/bind/new": b"n"}))
    assert Path("/proc/self/mountinfo").read_text() == before


def test_owners_are_those_of_the_tar_unless_the_container_names_a_user(rooms: Rooms) -> None:
    owned = io.BytesIO()
    with tarfile.open(fileobj=owned, mode="w") as tar_file:
        member = tarfile.TarInfo("owned")
        member.uid, member.gid = 12, 34
        tar_file.addfile(member)
    for user, owner in (("", (12, 34)), ("1000:50", (1000, 50))):
        id = rooms.create("true", user=user)
        for copy_owner, expected in ((False, (12, 34)), (True, owner)):
            owned.seek(0)
            rooms.containers.put_archive(id, "/tmp", owned, copy_owner=copy_owner)
            sink = io.BytesIO()
            rooms.containers.get_archive(id, "/tmp/owned", sink)
            sink.seek(0)
            with tarfile.open(fileobj=sink) as tar_file:
                member = tar_file.getmembers()[0]
            assert (member.uid, member.gid) == expected


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
