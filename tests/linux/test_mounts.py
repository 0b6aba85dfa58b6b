"""The mount API, renames and copies, against the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.linux.files import copy_range
from lamina.linux.mounts import (
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_RDONLY,
    mount_filesystem,
    mount_setattr,
    mountinfo,
    move_mount,
    open_tree,
    umount2,
)


@pytest.mark.root
def test_a_file_system_made_step_by_step_shows_in_mountinfo(tmp_path: Path) -> None:
    target = tmp_path / "odd name\twith\\signs"
    target.mkdir()
    mount_filesystem("tmpfs", [("size", "1m"), ("mode", "0711")], target, MOUNT_ATTR_NOEXEC)
    try:
        point = next(point for point in mountinfo() if point.target == str(target))
        assert point.fstype == "tmpfs"
        assert "noexec" in point.options.split(",")
        assert target.stat().st_mode & 0o777 == 0o711
        mount_setattr(target, attributes=MOUNT_ATTR_RDONLY, clear=MOUNT_ATTR_NOEXEC)
        options = next(point for point in mountinfo() if point.target == str(target)).options.split(",")
        assert "ro" in options
        assert "noexec" not in options
    finally:
        umount2(target)


@pytest.mark.root
def test_the_kernels_reason_is_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Unknown parameter 'nonsense'"):
        mount_filesystem("tmpfs", [("nonsense", "1")], tmp_path)


@pytest.mark.root
def test_a_tree_can_be_cloned_and_attached_elsewhere(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "file").touch()
    fd = open_tree(source)
    move_mount(fd, target)
    os.close(fd)
    assert (target / "file").exists()
    umount2(target)


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_ranges_are_copied_to_files_and_pipes(tmp_path: Path, kind: str) -> None:
    source = os.open(tmp_path / "source", os.O_RDWR | os.O_CREAT)
    os.write(source, bytes(range(256)) * 16)
    if kind == "file":
        reader = writer = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    else:
        reader, writer = os.pipe()
    assert copy_range(source, writer, 10, 100) == 100
    assert copy_range(source, writer, 4090, 100) == 6
    if kind == "file":
        os.lseek(reader, 0, os.SEEK_SET)
    assert os.read(reader, 200) == bytes(range(10, 110)) + bytes(range(250, 256))
    for fd in {source, reader, writer}:
        os.close(fd)
