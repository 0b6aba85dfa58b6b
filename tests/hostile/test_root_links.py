"""Images whose places of devices and mounts lead, by symlinks, to folders that the image and the host both have.

The runtime programs make what they mount on and what is in /dev by path. A link whose target exists in the image is
followed by them there, and by the next step on the host.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hostile import OFF, Target, folder, folders, link, special, swapping, tar_of, written

pytestmark = pytest.mark.root

UP = "../" * 20
NAMES = ("ptmx", "null", "console", "zeroed", "fd", "hosts", "file")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A folder of the host, which must stay as it is."""
    folder = tmp_path / "host"
    for below in ("", "etc", "sub", "sub/deep", "pts", "shm"):
        (folder / below).mkdir()
        for name in NAMES:
            (folder / below / name).write_text("of the host")
    before = written(folder)
    yield folder
    assert written(folder) == before


@pytest.fixture(params=["absolute", "relative"])
def way(request: pytest.FixtureRequest, host: Path) -> str:
    """A symlink's text that leads to that folder, from wherever it is read."""
    return str(host) if request.param == "absolute" else f"{UP}{host}".replace("//", "/")


def _twice(host: Path, *links: tarfile.TarInfo) -> list[tarfile.TarInfo]:
    """The links, and in the image too the folders that they lead to on the host."""
    return [*folders(host / "sub/deep", host / "etc", host / "pts", host / "shm"), *links]


@pytest.mark.parametrize("place", ["dev", "proc", "sys"])
def test_a_linked_place_of_the_kernels_files_is_replaced(either: Target, host: Path, way: str, place: str) -> None:
    either.image("linked", members=_twice(host, link(place, way)), without=[place])
    look = f"test ! -L /{place} && test -d /{place} && test -c /dev/null && test -r /proc/self/stat && echo whole"
    for options in ((), ("-t", "--device", "/dev/zero:/dev/zeroed"), ("--privileged",)):
        assert "whole" in either.cli.text("run", "--rm", *OFF, *options, "linked", "sh", "-c", look)


@pytest.mark.parametrize("place", ["dev", "proc", "sys", "etc"])
def test_a_linked_place_in_a_build(either: Target, host: Path, way: str, place: str) -> None:
    step = "RUN test ! -L /dev && test -c /dev/null && test -e /proc/self && grep localhost /etc/hosts\n"
    for name, members in (("linked", _twice(host, link(place, way))), ("only-linked", [link(place, way)])):
        either.image(name, members=members, without=[place])
        assert "Successfully built" in either.build(f"FROM {name}\n{step}{step}")


def test_a_device_outside_dev_is_made_inside(either: Target, host: Path, way: str) -> None:
    either.image("linked", members=_twice(host, link("link", way)))
    for place in ("/link/sub/new", "/link/sub/deep/ptmx2"):
        said = either.cli.text(
            "run", "--rm", *OFF, "--device", f"/dev/zero:{place}", "linked", "sh", "-c", f"head -c3 {place} | wc -c"
        )
        assert said.split() == ["3"]
    taken = either.cli(
        "run", "--rm", *OFF, "--device", "/dev/zero:/bin/busybox", "linked", "true", check=False
    ).stderr.decode()
    assert "cannot make the device /bin/busybox" in taken


def test_a_linked_place_that_came_later_is_refused(either: Target, host: Path) -> None:
    """A client puts a link into a container that has not started, in place of a directory that is empty there."""
    either.image("linked", members=_twice(host))
    for name in ("dev", "proc", "sys"):
        id = either.create("true", image="linked")
        put = either.ask("PUT", f"/containers/{id}/archive?path=/", tar_of(link(name, host)), "application/x-tar")
        assert put.status == 200
        answer = either.start(id)
        assert (answer.status, f"/{name} of the container is not a directory" in answer.message) == (400, True)
        either.remove(id)


@pytest.mark.parametrize("kind", ["folder", "file", "tmpfs"])
def test_names_that_change_in_a_volume_while_something_is_mounted_in_it(
    either: Target, host: Path, tmp_path: Path, kind: str
) -> None:
    """CVE-2021-30465, CVE-2024-45310: whoever shares the volume swaps a folder and a link to the host all the time."""
    volume = tmp_path / "volume"
    (volume / "place").mkdir(parents=True)
    (volume / "link").symlink_to(host)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mounted")
    place = "/volume/place/new"
    mount = ("--tmpfs", place) if kind == "tmpfs" else ("-v", f"{tmp_path / kind}:{place}")
    with swapping(volume / "place", volume / "link"):
        for _ in range(8):
            look = either.cli("run", "--rm", *OFF, "-v", f"{volume}:/volume", *mount, "bb", "mount", check=False)
            assert look.returncode == 0 or b"cannot mount" in look.stderr


def test_links_that_a_container_made_lead_nowhere_at_its_next_start(either: Target, host: Path) -> None:
    either.image("linked", members=_twice(host))
    script = f"grep -q localhost /etc/hosts && test ! -e /done || exit 3; mv /etc /was; ln -s {host} /etc; touch /done"
    id = either.create("sh", "-c", script, image="linked")
    for code in (0, 3):
        assert either.start(id).status == 204
        assert either.ask("POST", f"/containers/{id}/wait").json["StatusCode"] == code
    either.remove(id)


@pytest.mark.parametrize("kind", ["folder", "file", "tmpfs"])
def test_a_mount_behind_a_link_of_the_image_lies_where_the_link_leads_inside(
    either: Target, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/name").write_text("mounted")
    (tmp_path / "file").write_text("mounted")
    place = "/var/run/deep/place"
    mount = ("--tmpfs", place) if kind == "tmpfs" else ("-v", f"{tmp_path / kind}:{place}")
    members = [folder("var"), folder("run"), link("var/run", "/run")]
    for without in (["var", "run"], ["var"]):
        either.image("linked", members=members[: 1 + len(without)] + members[2:], without=["var", "run"])
        said = either.cli.text("run", "--rm", *OFF, *mount, "linked", "grep", "-c", "/run/deep/place ", "/proc/mounts")
        assert said.split() == ["1"]


@pytest.mark.parametrize("place", ["/dev", "/dev/pts", "/proc", "/sys", "/proc/self", "/dev/shm/sub", "/links/sys"])
def test_what_others_write_is_not_mounted_where_the_runtime_opens_paths(either: Target, place: str) -> None:
    either.image("linked", members=[link("links", "/")])
    shared = ("-v", "others:/dev/shm") if place.startswith("/dev/shm/") else ()
    error = either.cli.fails("run", "--rm", *OFF, *shared, "-v", f"more:{place}", "linked", "true", code=125)
    assert f"cannot mount {'over' if place.count('/') < 2 or 'pts' in place or 'links' in place else 'at'}" in error
    either.cli.text("volume", "rm", "-f", "others", "more")


def test_the_hosts_own_places_can_still_be_mounted(either: Target) -> None:
    for place in ("/dev", "/sys", "/proc", "/dev/pts"):
        assert either.cli.text("run", "--rm", *OFF, "-v", f"{place}:{place}", "bb", "echo", "well") == "well\n"


@pytest.mark.parametrize("found", ["directory", "link", "fifo"])
def test_files_of_the_engine_are_only_mounted_on_files(either: Target, host: Path, found: str) -> None:
    hosts = {
        "directory": folder("etc/hosts"),
        "link": link("etc/hosts", host / "hosts"),
        "fifo": special("etc/hosts", tarfile.FIFOTYPE),
    }[found]
    either.image("odd", members=[*_twice(host), hosts], without=["etc/hosts"])
    done = either.cli("run", "--rm", *OFF, "odd", "grep", "-c", "localhost", "/etc/hosts", check=False)
    if found == "directory":
        assert (done.returncode, b"/etc/hosts" in done.stderr) == (125, True)
    else:
        assert done.returncode == 0
    built = either.build("FROM odd\nRUN grep -c localhost /etc/hosts\n")
    assert ("/etc/hosts" in built and "errorDetail" in built) if found == "directory" else "Successfully" in built


def test_mounts_of_a_build_behind_links_of_the_image_stay_inside(either: Target, host: Path, way: str) -> None:
    either.image("linked", members=_twice(host, link("link", way)))
    kinds = ("type=tmpfs,target=/link/sub/t", "type=cache,target=/link/new", "type=bind,source=x,target=/link/file")
    flags = " ".join(f"--mount={kind}" for kind in kinds)
    built = either.build(f"FROM linked\nRUN {flags} touch /link/new/made /link/sub/t/made && cat /link/file\n", x=b"in")
    assert "Successfully built" in built
    assert "of the host" not in built


def test_a_terminal_that_a_container_replaced_is_none_of_the_hosts(either: Target, host: Path) -> None:
    """With `exec -t` the runtime program opens /dev/ptmx of a container that may have put anything there."""
    for target in (host / "ptmx", "/dev/zero", "/proc/self/fd/5", "/dev/pts/../fd/0"):
        with either.running(f"ln -sf {target} /dev/ptmx; touch /ready; exec sleep 300") as id:
            either.cli("exec", id, "sh", "-c", "until test -e /ready; do :; done")
            begun = either.ask("POST", f"/containers/{id}/exec", {"Cmd": ["true"], "Tty": True})
            answer = either.ask("POST", f"/exec/{begun.json['Id']}/start", {"Detach": True, "Tty": True})
            assert answer.status in (200, 500), answer.body
            assert either.ask("GET", f"/containers/{id}/json").json["State"]["Running"]
