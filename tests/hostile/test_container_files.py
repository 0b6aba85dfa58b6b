"""Containers whose files and symlinks are against the engine, and change while it looks."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.runtime import users
from support.hostile import OFF, Answer, Target, archive, folder, link, special
from support.processes import processes_naming

pytestmark = pytest.mark.root

SWAP = (
    "mkdir /a /b; ln -s {host} /b/d; touch /ready; while :; do mkdir /a/d; rmdir /a/d; cp -P /b/d /a/d; rm /a/d; done"
)
IS_SEVEN = ("grep", "-q", "^Uid:.7", "/proc/self/status")  # id(1) would read the files of users
SWAP_PART = (
    "mkdir /v/a; ln -s {host} /l; touch /ready; while :; do mv /v/a /v/d; mv /v/d /v/a; cp -P /l /v/d; rm /v/d; done"
)
UNTIL_READY = ("sh", "-c", "until test -e /ready; do :; done")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("of the host")
    return tmp_path


@pytest.fixture
def swapping(target: Target, secret: Path) -> Iterator[str]:
    """A running container that swaps a directory for a symlink to a folder of the host, over and over."""
    with target.running(SWAP.format(host=secret)) as id:
        target.cli("exec", id, *UNTIL_READY)
        yield id


def test_cp_never_follows_a_symlink_that_is_swapped_in(target: Target, swapping: str) -> None:
    for _ in range(100):
        answer = target.ask("GET", f"/containers/{swapping}/archive?path=/a/d")
        assert answer.status in (200, 400, 404)
        assert b"of the host" not in answer.body


def test_paths_that_cannot_be_opened_are_the_callers_fault(target: Target) -> None:
    with target.running("ln -s /loop /loop; touch /ready; exec sleep 300") as id:
        target.cli("exec", id, *UNTIL_READY)
        for path in ("/loop/x", "/" + "a" * 300, "/a%00b"):
            answer = target.ask("GET", f"/containers/{id}/archive?path={path}")
            assert (answer.status, bool(answer.message)) == (400, True)


@pytest.fixture
def volume(target: Target) -> Iterator[str]:
    target.cli("volume", "create", "parted")
    yield "parted"
    target.remove(*target.cli.text("ps", "-aq", "--filter", "volume=parted").split())
    target.cli("volume", "rm", "-f", "parted")


def _of_part(target: Target, subpath: str, *command: str) -> str:
    mount = {"Type": "volume", "Source": "parted", "Target": "/m", "VolumeOptions": {"Subpath": subpath}}
    return target.create(*command, host={"Mounts": [mount]})


@pytest.mark.parametrize("subpath", ["../..", "inner/../../..", "/inner"])
def test_a_subpath_that_leads_out_is_refused_at_once(target: Target, volume: str, subpath: str) -> None:
    mount = {"Type": "volume", "Source": volume, "Target": "/m", "VolumeOptions": {"Subpath": subpath}}
    answer = target.ask("POST", "/containers/create", {"Image": "bb", "HostConfig": {"Mounts": [mount]}})
    assert (answer.status, "path concatenation escapes the base directory" in answer.message) == (400, True)


@pytest.mark.parametrize("subpath", ["out", "inner/../out", "missing", "loop"])
def test_a_subpath_never_leaves_its_volume(target: Target, volume: str, subpath: str) -> None:
    made = "mkdir -p /v/inner; ln -sfn / /v/out; ln -sfn loop /v/loop"
    target.cli("run", "--rm", *OFF, "-v", f"{volume}:/v", "bb", "sh", "-c", made)
    id = _of_part(target, subpath, "ls", "/m")
    answer = target.start(id)
    target.remove(id)
    assert answer.status == 400
    assert "cannot mount" in answer.message


def test_a_part_is_a_folder_a_file_or_a_link_inside(target: Target, volume: str) -> None:
    made = "mkdir -p /v/in/deep; echo one > /v/in/deep/f; cp /v/in/deep/f /v/top; ln -s in/deep /v/link"
    target.cli("run", "--rm", *OFF, "-v", f"{volume}:/v", "bb", "sh", "-c", made)
    for subpath, path in (("in/deep", "/m/f"), ("link/", "/m/f"), ("in/deep/f", "/m"), ("top", "/m")):
        id = _of_part(target, subpath, "sh", "-c", f"echo two >> {path}; cat {path}")
        assert target.start(id).status == 204
        assert target.output(id).startswith("one\n")
        copied = target.ask("GET", f"/containers/{id}/archive?path={path}")
        assert b"two\n" in copied.body, "cp sees the part, not the volume's top"
        target.remove(id)
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/parts/" in line]


def test_a_part_that_is_swapped_for_a_link_is_never_mounted(target: Target, volume: str, secret: Path) -> None:
    with target.running(SWAP_PART.format(host=secret), "-v", f"{volume}:/v") as swapping:
        target.cli("exec", swapping, *UNTIL_READY)
        statuses = set()
        for _ in range(100):
            id = _of_part(target, "d", "ls", "/m")
            answer = target.start(id)
            statuses.add(answer.status)
            if answer.status == 204:
                assert target.output(id) == ""
            else:  # it was a link, or no more there, when it was opened or mounted
                assert answer.message.startswith("cannot mount")
            target.remove(id)
            if statuses == {204, 400}:
                return
        raise AssertionError(f"only {statuses} in a hundred tries")


def test_passwd_files_with_odd_numbers_are_read() -> None:
    assert users.resolve("x", b"x:x:7:8::/home\n", b"g:x:\xc2\xb2:x\n").user.uid == 7
    for row in (b"x:x:" + b"9" * 5000 + b":0::/\n", b"x:x:\xc2\xb2:0::/\n"):
        with pytest.raises(InvalidInput):
            users.resolve("x", row, b"")


@pytest.mark.parametrize("made", ["mkfifo {0}; exec 3<>{0}", "mknod {0} c 1 5", "mkdir {0}", "ln -s {0} {0}", "true"])
def test_what_is_no_file_of_users_makes_nobody_wait(target: Target, made: str) -> None:
    odd = "; ".join(f"rm {path}; " + made.format(path) for path in ("/etc/passwd", "/etc/group"))
    with target.running(f"{odd}; touch /ready; exec sleep 300") as id:
        target.cli("exec", "-u", "7", id, *UNTIL_READY)
        target.cli("exec", "-u", "7:8", id, *IS_SEVEN)
        named = target.cli("exec", "-u", "nobody", id, "true", check=False)
        assert (named.returncode, b"unable to find user nobody" in named.stderr) == (1, True)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_images_whose_users_are_no_files_run_and_build(target: Target, kind: bytes) -> None:
    places = ("etc/passwd", "etc/group")
    target.image("odd", members=[special(place, kind, 1, 5) for place in places], without=places)
    target.cli("run", "--rm", *OFF, "-u", "7", "odd", *IS_SEVEN)
    assert "Successfully built" in target.build(f"FROM odd\nUSER 7\nRUN {' '.join(IS_SEVEN)}\n")
    assert "unable to find user nobody" in target.cli.fails(
        "run", "--rm", *OFF, "-u", "nobody", "odd", "true", code=125
    )


def test_a_huge_file_of_users_is_not_read_to_its_end(target: Target) -> None:
    with target.running("truncate -s 900G /etc/passwd; touch /ready; exec sleep 300") as id:
        target.cli("exec", id, *UNTIL_READY)
        target.cli("exec", "-u", "7", id, *IS_SEVEN)


@pytest.mark.parametrize("owner", ["9" * 5000, "nobody", "x"])
def test_files_of_users_with_endless_numbers_build(target: Target, owner: str) -> None:
    odd = f"nobody:x:{'9' * 5000}:0::/:\n" + f"{'x' * 100_000}\n"
    said = target.build(f"FROM scratch\nCOPY passwd /etc/\nCOPY --chown={owner} passwd /\n", passwd=odd.encode())
    assert "errorDetail" in said
    assert "internal error" not in said


def _exec_as(target: Target, id: str, user: str) -> Answer:
    return target.ask("POST", f"/containers/{id}/exec", {"Cmd": ["touch", "/ran"], "User": user})


def test_an_exec_as_nobody_in_particular_is_refused_before_it_runs(either: Target) -> None:
    user, group = "no matching entries in passwd file", "no matching entries in group file"
    with either.running("exec sleep 300") as id:
        for name, words in (
            ("ghost", f"unable to find user ghost: {user}"),
            ("ghost:0", f"unable to find user ghost: {user}"),
            ("0:ghost", f"unable to find group ghost: {group}"),
        ):
            answer = _exec_as(either, id, name)
            assert (answer.status, answer.message) == (400, words)
        assert _exec_as(either, id, "4711:4712").status == 201
        assert either.cli("exec", id, "rm", "/etc/passwd", "/etc/group").returncode == 0
        assert _exec_as(either, id, "root").status == 400
        assert _exec_as(either, id, "0:root").status == 400
        assert either.cli.text("exec", "-u", "4711:4712", id, "sh", "-c", "echo $(id -u):$(id -g)") == "4711:4712\n"
        assert either.cli("exec", id, "test", "-e", "/ran", check=False).returncode == 1


def test_a_run_as_nobody_in_particular_is_refused(either: Target) -> None:
    id = either.create("true", User="ghost")
    answer = either.start(id)
    either.remove(id)
    assert answer.status == 400
    assert "unable to find user ghost: no matching entries in passwd file" in answer.message


def test_files_of_users_that_would_hold_the_engine_up_are_not_read(target: Target) -> None:
    for place in ("/proc/kmsg", "/dev/zero", "/fifo", "/proc/self/root/dev/tty"):
        with target.running(f"mkfifo /fifo; ln -sf {place} /etc/passwd; touch /ready; exec sleep 300") as id:
            target.cli("exec", "-u", "0", id, *UNTIL_READY)
            assert (_exec_as(target, id, "root").status, _exec_as(target, id, "7").status) == (400, 201)


def test_exports_commits_and_copies_in_never_follow_a_symlink_that_is_swapped_in(
    target: Target, swapping: str, secret: Path
) -> None:
    """CVE-2018-15664: the container swaps the names while a host process that may do everything walks them."""
    tar = archive({"new": b"from a client"})
    for _ in range(8):
        assert b"of the host" not in target.ask("GET", f"/containers/{swapping}/export").body
        assert target.ask("POST", f"/commit?container={swapping}&repo=swapped&pause=0").status == 201
        assert b"of the host" not in target.ask("GET", "/images/swapped/get").body
        for _ in range(20):
            put = target.ask("PUT", f"/containers/{swapping}/archive?path=/a/d", tar, "application/x-tar")
            assert put.status in (200, 400, 404)
    assert [path.name for path in secret.iterdir()] == ["secret"]


def test_no_process_of_the_host_runs_code_of_a_container(target: Target, swapping: str) -> None:
    """CVE-2019-14271: libraries of the container stay files to those that copy for it."""
    for path in ("/etc", "/bin", "/a"):
        assert target.ask("GET", f"/containers/{swapping}/archive?path={path}").status in (200, 404)
    assert target.cli("exec", "-u", "root", swapping, "true").returncode == 0
    assert target.ask("GET", f"/containers/{swapping}/export").status == 200
    engine = [line.partition(":")[0] for line in processes_naming(str(target.daemon.folder))]
    assert engine
    for pid in engine:
        mapped = [line.split(None, 5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
        run = {fields[5] for fields in mapped if "x" in fields[1] and len(fields) == 6}
        assert not [path for path in run if path.startswith(str(target.daemon.folder))]


@pytest.mark.parametrize("way", ["{host}", "/../../..{host}", "/proc/1/root{host}"])
def test_a_copy_mounts_volumes_inside_wherever_a_container_has_led_their_place(
    target: Target, volume: str, secret: Path, way: str
) -> None:
    """What is mounted for a copy lies below the root, and a missing place is made there."""
    (secret / "vol").mkdir()
    before = sorted(secret.rglob("*"))
    led = f"mv /a /away; ln -s {way.format(host=secret)} /a; touch /ready; exec sleep 300"
    with target.running(led, "-v", f"{volume}:/a/vol") as id:
        target.cli("exec", id, *UNTIL_READY)
        for path in ("/a/", "/a/vol", "/", "/away"):
            answer = target.ask("GET", f"/containers/{id}/archive?path={path}")
            assert answer.status in (200, 400, 404)
            assert b"of the host" not in answer.body
        put = target.ask("PUT", f"/containers/{id}/archive?path=/a/vol", archive({"put": b"x"}), "application/x-tar")
        assert put.status in (200, 400, 404)
    assert sorted(secret.rglob("*")) == before
    assert str(secret) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("subpath", ["out", "out/etc", "sub/up", "loop"])
def test_a_part_of_a_mounted_image_never_leaves_it(target: Target, subpath: str) -> None:
    members = [folder("sub"), link("out", "/"), link("sub/up", "../.."), link("loop", "loop")]
    target.image("parted", members=members)
    mount = {"Type": "image", "Source": "parted", "Target": "/m", "ImageOptions": {"Subpath": subpath}}
    id = target.create("ls", "/m", host={"Mounts": [mount]})
    answer = target.start(id)
    target.remove(id)
    assert (answer.status, "cannot mount" in answer.message) == (400, True)
