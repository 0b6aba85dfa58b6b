"""Files as a tar stream, and directories as build contexts."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.client.context import BuildContext
from lamina.client.context_tar import directory_context, single_context
from lamina.client.pack import Packed, pack
from lamina.errors import Conflict, InvalidInput, NotFound


def read_back(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: member for member in archive.getmembers()}


def members(context: BuildContext) -> dict[str, tarfile.TarInfo]:
    assert context.chunks is not None
    return read_back(b"".join(context.chunks))


def names(context: BuildContext) -> set[str]:
    return set(members(context))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "a.txt", "b.md", "sub/c.md", "sub/deep/d.txt", "docs/e.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_directory_goes_whole(folder: Path) -> None:
    (folder / "link").symlink_to("a.txt")
    (folder / "a.txt").chmod(0o640)
    os.mkfifo(folder / "pipe")
    context = directory_context(str(folder))
    found = members(context)
    assert context.dockerfile == "Dockerfile"
    assert set(found) == {
        "Dockerfile", "a.txt", "b.md", "docs", "docs/e.md", "link", "pipe", "sub", "sub/c.md", "sub/deep",
        "sub/deep/d.txt",
    }  # fmt: skip
    assert (found["a.txt"].mode, found["a.txt"].uid, found["a.txt"].mtime) == (
        0o640, 0, int((folder / "a.txt").stat().st_mtime),
    )  # fmt: skip
    assert found["link"].linkname == "a.txt"
    assert found["pipe"].isfifo()


def test_the_ignore_file_decides_but_for_what_the_build_needs(folder: Path) -> None:
    (folder / ".dockerignore").write_text("# all but\n*\n!sub/deep\n!docs/e.md\ndocs/nothing\n")
    assert names(directory_context(str(folder))) == {
        ".dockerignore",
        "Dockerfile",
        "docs/e.md",
        "sub/deep",
        "sub/deep/d.txt",
    }
    (folder / "Dockerfile.dockerignore").write_text("**/*.md\n")
    assert "b.md" not in names(directory_context(str(folder)))
    assert "a.txt" in names(directory_context(str(folder)))


def test_a_dockerfile_from_elsewhere_travels_hidden(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "Dockerfile.other"
    outside.write_text("FROM scratch\n")
    context = directory_context(str(folder), str(outside))
    assert context.dockerfile.startswith(".dockerfile.")
    assert context.chunks is not None
    with tarfile.open(fileobj=io.BytesIO(b"".join(context.chunks))) as archive:
        read = archive.extractfile(".dockerignore")
        assert read is not None
        assert context.dockerfile in read.read().decode().splitlines()
    inside = directory_context(str(folder), str(folder / "sub" / "c.md"))
    assert inside.dockerfile == "sub/c.md"


def test_a_dockerfile_alone() -> None:
    context = single_context(b"FROM scratch\n")
    assert names(context) == {"Dockerfile"}


def test_what_is_missing_or_broken_is_said(folder: Path) -> None:
    with pytest.raises(NotFound, match="directory"):
        directory_context(str(folder / "none"))
    with pytest.raises(NotFound, match="Dockerfile"):
        directory_context(str(folder), str(folder / "none"))
    (folder / ".dockerignore").write_text("[a\n")
    with pytest.raises(InvalidInput, match="line 1"):
        directory_context(str(folder))


def test_a_file_that_changes_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 1_000_000)
    chunks = pack([Packed("log", str(tmp_path / "log"))])
    next(chunks)
    os.truncate(tmp_path / "log", 10)
    with pytest.raises(Conflict, match="changed"):
        list(chunks)


file_names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80)


@settings(max_examples=60)
@given(st.lists(file_names.filter(lambda name: name not in (".", "..")), min_size=1))
def test_any_name_survives(parts: list[str]) -> None:
    name = "/".join(parts)
    tar = b"".join(pack([Packed(name, data=b"content")]))
    assert {found.name: found.size for found in read_back(tar).values()} == {name: 7}


def test_big_numbers_and_old_times_survive(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    os.utime(tmp_path / "f", (-1000, -1000))
    tar = b"".join(pack([Packed("f", str(tmp_path / "f"), owner=(3_000_000, 2**33))]))
    member = read_back(tar)["f"]
    assert (member.uid, member.gid, member.mtime) == (3_000_000, 2**33, -1000)
