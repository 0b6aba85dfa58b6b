"""Outputs of builds that try to leave the folder that they were asked for, or to bring more than plain files."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.api.build import BuildOutput
from lamina.errors import LaminaError
from lamina.layers.unpack import unpack_as_own
from lamina.linux.output_files import OutputFiles

_DEEP = "d" * 247  # with sixteen of it a path is longer than realpath(3) looks


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, target)


def take(folder: Path, members: list[tarfile.TarInfo]) -> None:
    """Take an output of these members; each file holds one word."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for info in members:
            info.size = len(b"changed") if info.isreg() else 0
            archive.addfile(info, io.BytesIO(b"changed"))
    with OutputFiles([BuildOutput("local", {"dest": str(folder)})], unpack_as_own) as files:
        files.take(0, raw.getvalue())
        files.take(0, None)


def long_way_out() -> list[tarfile.TarInfo]:
    """Return members that lead out by a path of links that is too long to be looked up by name (CVE-2025-4517)."""
    members, path = [], ""
    for letter in "abcdefghijklmnop":
        members.append(member(os.path.join(path, _DEEP), tarfile.DIRTYPE, mode=0o755))
        members.append(link(os.path.join(path, letter), _DEEP))
        path = os.path.join(path, _DEEP)
    end = f"{'/'.join('abcdefghijklmnop')}/{'l' * 254}"
    return [*members, link(end, "../" * 16), link("out", f"{end}/../file"), member("out")]


WAYS_OUT = {
    "a hard link": [member("out", tarfile.LNKTYPE, "../file"), member("out")],
    "a hard link over a link": [link("up", ".."), member("out", tarfile.LNKTYPE, "up/file"), member("out")],
    "a link to a file": [link("out", "../file"), member("out")],
    "a link to a folder": [link("out", "../folder"), member("out/file")],
    "a folder over a link": [link("out", "../folder"), member("out", tarfile.DIRTYPE, mode=0o777)],
    "a name with dots": [member("../file")],
    "an absolute name": [member("/file")],
    "a long way": long_way_out(),
}


@pytest.mark.parametrize("members", WAYS_OUT.values(), ids=WAYS_OUT.keys())
def test_no_output_leaves_its_folder(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir(mode=0o700)
    with suppress(LaminaError):
        take(tmp_path / "taken", members)
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "file").stat().st_nlink == 1
    assert os.listdir(tmp_path / "folder") == []
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


def test_a_link_in_the_users_folder_leads_no_output_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path / "file")
    take(folder, [member("out")])
    assert (tmp_path / "file").read_text() == "mine"
    assert (folder / "out").read_text() == "changed"


def test_outputs_bring_no_set_id_programs_and_no_devices(tmp_path: Path) -> None:
    program = member("program", mode=0o6777)
    program.pax_headers = {"SCHILY.xattr.user.note": "x"}
    devices = [
        member("disk", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("again", tarfile.LNKTYPE, "disk"),
    ]
    take(tmp_path, [program, *devices, member("temporary", tarfile.DIRTYPE, mode=0o1777)])
    assert sorted(os.listdir(tmp_path)) == ["program", "temporary"]
    assert stat.S_IMODE((tmp_path / "program").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "temporary").stat().st_mode) == 0o755
    assert os.listxattr(tmp_path / "program") == []
    assert (tmp_path / "program").stat().st_uid == os.geteuid()
