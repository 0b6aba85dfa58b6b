"""Paths resolved inside a root, against the kernel."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "outside").write_text("inside")
    (root / "etc" / "absolute").symlink_to("/outside")
    (root / "etc" / "up").symlink_to("../../../outside")
    return root


def read(root: Path, path: str, **options: int) -> bytes:
    dirfd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = openat2(dirfd, path, os.O_RDONLY, **options)
    finally:
        os.close(dirfd)
    with open(fd, "rb") as file:
        assert not os.get_inheritable(fd)
        return file.read()


@pytest.mark.parametrize("path", ["outside", "/outside", "../outside", "etc/absolute", "etc/up"])
def test_no_path_leaves_the_root(root: Path, path: str) -> None:
    assert read(root, path) == b"inside"


def test_beneath_refuses_what_would_leave(root: Path) -> None:
    with pytest.raises(OSError) as caught:
        read(root, "etc/up", resolve=RESOLVE_BENEATH)
    assert caught.value.errno == errno.EXDEV


def test_symlinks_can_be_refused_and_the_error_names_the_path(root: Path) -> None:
    with pytest.raises(OSError) as caught:
        read(root, "etc/up", resolve=RESOLVE_NO_SYMLINKS)
    assert caught.value.errno == errno.ELOOP
    assert caught.value.filename == "etc/up"


def test_mode_counts_when_a_file_is_made(root: Path) -> None:
    dirfd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    os.close(openat2(dirfd, "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.close(dirfd)
    assert (root / "new").stat().st_mode & 0o777 == 0o600
