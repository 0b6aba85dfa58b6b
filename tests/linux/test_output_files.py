"""Outputs that become files on this machine."""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.api.build import BuildOutput, BuildRequest, outputs_of, without_destinations
from lamina.client import builds as client
from lamina.engine import builds as engine
from lamina.errors import InvalidInput
from lamina.linux.output_files import OutputFiles, Unpack
from support.tars import tar

UNPACKERS = pytest.mark.parametrize("unpack", [engine._unpack, client._unpack], ids=["engine", "client"])


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


@UNPACKERS
def test_a_folder_keeps_what_it_has_and_its_files_are_the_callers(tmp_path: Path, unpack: Unpack) -> None:
    (tmp_path / "mine").write_text("mine")
    with OutputFiles([BuildOutput("local", {"dest": str(tmp_path)})], unpack) as files:
        files.take(0, tar({"d/f": b"1"}))
        files.take(0, None)
    assert sorted(os.listdir(tmp_path)) == ["d", "mine"]
    assert (tmp_path / "d/f").stat().st_uid == os.geteuid()


@UNPACKERS
def test_links_in_an_image_do_not_lead_out_of_the_folder(tmp_path: Path, unpack: Unpack) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        inside = tarfile.TarInfo("link/evil")
        inside.size = 1
        archive.addfile(inside, io.BytesIO(b"x"))
    with OutputFiles([BuildOutput("local", {"dest": str(folder)})], unpack) as files:
        files.take(0, raw.getvalue())
        with suppress(InvalidInput):  # the client refuses the file, the engine puts it in place of the link
            files.take(0, None)
    assert os.listdir(outside) == []


def test_a_daemon_cannot_write_where_it_was_not_asked_to(tmp_path: Path) -> None:
    with OutputFiles([BuildOutput("image")], nothing) as files:
        for number in (0, 1, -1):
            with pytest.raises(InvalidInput, match="no output"):
                files.take(number, b"x")
