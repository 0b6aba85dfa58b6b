"""Mounts that are detached at once and ended in the background."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.linux.mounts import mount, mountinfo, umount2
from lamina.snapshots.unmounting import Unmounting

pytestmark = pytest.mark.root


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a mounted tmpfs, which its own unmounting shows to be free at the end."""
    mount("tmpfs", tmp_path, "tmpfs")
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    yield tmp_path
    umount2(tmp_path)  # raises EBUSY while an overlay stands on it


def stack(folder: Path) -> Path:
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    mount("overlay", folder / "merged", "overlay", data=options)
    return folder / "merged"


def is_mounted(target: Path) -> bool:
    return any(point.target == str(target) for point in mountinfo())


def test_nobody_sees_a_detached_mount_and_its_files_stay(folder: Path) -> None:
    unmounting = Unmounting()
    merged = stack(folder)
    (merged / "file").write_bytes(b"written")
    unmounting.detach("one", merged)
    assert not is_mounted(merged)
    unmounting.wait("one")
    assert (folder / "upper/file").read_bytes() == b"written"
    assert (stack(folder) / "file").read_bytes() == b"written"
    unmounting.detach("one", merged)
    unmounting.close()


def test_closing_frees_the_file_system_below(folder: Path) -> None:
    unmounting = Unmounting()
    for number in range(8):
        (stack(folder) / f"file{number}").write_bytes(b"x" * 100_000)
        unmounting.detach(str(number), folder / "merged")
    unmounting.wait_for_all()
    unmounting.close()
    unmounting.close()


def test_what_is_detached_after_closing_ends_at_once(folder: Path) -> None:
    unmounting = Unmounting()
    unmounting.close()
    merged = stack(folder)
    unmounting.detach("late", merged)
    assert not is_mounted(merged)
    unmounting.wait("late")


def test_nothing_is_waited_for_where_nothing_is_mounted(folder: Path) -> None:
    unmounting = Unmounting()
    unmounting.detach("one", folder / "missing")
    unmounting.detach("two", folder / "lower")
    unmounting.wait("one")
    unmounting.close()
