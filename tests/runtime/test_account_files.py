"""Files of users that a runtime program must not open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.runtime.spec import BindMount
from lamina.runtime.users import ACCOUNT_FILE_LIMIT, check_account_files, opens_account_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_text("root:x:0:0::/:\n")
    (tmp_path / "outside").write_text("")
    return tmp_path / "root"


@pytest.mark.parametrize(
    "target",
    ["passwd", "../etc/passwd", "/etc/group", "missing", "/../../missing", "/v/missing", "/devices/x"],
)
def test_files_and_links_to_files_or_nothing_are_fine(root: Path, target: str) -> None:
    check_account_files(root, ())
    (root / "etc/group").symlink_to(target)
    check_account_files(root, ())


@pytest.mark.parametrize(
    "target", ["/dev/zero", "/proc/self/fd/0", "../dev/stdin", "/kernel/zero", "/odd", "/odd/..//odd", "/sys", "/etc"]
)
def test_links_to_what_is_no_file_are_not(root: Path, target: str) -> None:
    (root / "kernel").symlink_to("/dev")
    os.mkfifo(root / "odd")
    (root / "etc/group").symlink_to(target)
    with pytest.raises(InvalidInput, match="/etc/group of the container is not a regular file"):
        check_account_files(root, ())


def test_what_is_mounted_there_counts(root: Path, tmp_path: Path) -> None:
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    check_account_files(root, (BindMount(str(tmp_path / "outside"), "/etc/passwd"),))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInput):
        check_account_files(root, (BindMount(str(tmp_path / "fifo"), "/etc/passwd"),))


def test_a_file_that_is_too_large_is_not_read(root: Path) -> None:
    os.truncate(root / "etc/passwd", ACCOUNT_FILE_LIMIT)
    check_account_files(root, ())
    os.truncate(root / "etc/passwd", ACCOUNT_FILE_LIMIT + 1)
    with pytest.raises(InvalidInput):
        check_account_files(root, ())


@pytest.mark.parametrize(
    ("version", "opens"),
    [
        ("runc version 1.1.5+ds1\ncommit: 1", True),
        ("runc version 1.2.0-rc.1", True),
        ("runc version unknown", True),
        ("runc version 1.3.0", False),
        ("runc version 1.10.0", False),
        ("crun version 1.8.1", False),
        ("", False),
    ],
)
def test_which_programs_open_them(version: str, opens: bool) -> None:
    assert opens_account_files(version) is opens
