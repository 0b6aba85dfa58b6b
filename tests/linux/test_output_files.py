"""Outputs that become files on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.api.build import BuildOutput, BuildRequest, outputs_of, without_destinations
from lamina.errors import InvalidInput
from lamina.layers.unpack import unpack_as_own
from lamina.linux.output_files import OutputFiles
from support.tars import tar


def nothing(tar: Path, folder: int) -> None:
    raise AssertionError("there is nothing to unpack")


def test_outputs_of_images_get_the_tags() -> None:
    asked = (BuildOutput("oci", {"dest": "x"}), BuildOutput("docker"), BuildOutput("local", {"dest": "d"}))
    outputs = outputs_of(BuildRequest(tags=("a", "b:2"), outputs=asked))
    assert [(output.type, output.attrs.get("name")) for output in outputs] == [
        ("oci", "a,b:2"),
        ("image", "a,b:2"),
        ("local", None),
    ]
    assert outputs_of(BuildRequest(tags=("a",))) == (BuildOutput("image", {"name": "a"}),)
    named = BuildOutput("image", {"name": "other"})
    assert outputs_of(BuildRequest(tags=("a",), outputs=(named,))) == (named,)


@pytest.mark.parametrize("type", ["local", "tar", "oci"])
def test_an_output_of_files_needs_a_place(type: str) -> None:
    with pytest.raises(InvalidInput, match=f"type={type} needs a dest"):
        outputs_of(BuildRequest(outputs=(BuildOutput(type),)))


def test_a_daemon_does_not_hear_of_places() -> None:
    outputs = (BuildOutput("local", {"dest": "/secret/place"}), BuildOutput("image", {"push": "true"}))
    assert without_destinations(outputs) == (BuildOutput("local", {"dest": "-"}), outputs[1])


def test_files_appear_when_they_are_whole(tmp_path: Path) -> None:
    target = tmp_path / "new/app.tar"
    with OutputFiles([BuildOutput("tar", {"dest": str(target)})], nothing) as files:
        files.take(0, b"12")
        files.take(0, b"34")
        assert not target.exists()
        files.take(0, None)
        assert target.read_bytes() == b"1234"
    assert os.listdir(target.parent) == ["app.tar"]


def test_what_is_not_whole_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_bytes(b"old")
    with OutputFiles([BuildOutput("tar", {"dest": str(tmp_path / "app.tar")})], nothing) as files:
        files.take(0, b"new")
    assert (tmp_path / "app.tar").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["app.tar"]


def test_a_folder_keeps_what_it_has_and_its_files_are_the_callers(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with OutputFiles([BuildOutput("local", {"dest": str(tmp_path)})], unpack_as_own) as files:
        files.take(0, tar({"d/f": b"1"}))
        files.take(0, None)
    assert sorted(os.listdir(tmp_path)) == ["d", "mine"]
    assert (tmp_path / "d/f").stat().st_uid == os.geteuid()


def test_a_daemon_cannot_write_where_it_was_not_asked_to(tmp_path: Path) -> None:
    with OutputFiles([BuildOutput("image")], nothing) as files:
        for number in (0, 1, -1):
            with pytest.raises(InvalidInput, match="no output"):
                files.take(number, b"x")
