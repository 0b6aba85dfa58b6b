"""Images whose places of devices and mounts lead, by symlinks, to folders that the image and the host both have.

The runtime programs make what they mount on and what is in /dev by path. A link whose target exists in the image is
followed by them there, and by the next step on the host.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hostile import OFF, Target, folders, link, written

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
