"""Programs in memory that nobody can write to."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from lamina.linux.sealed import SealedPrograms


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return Path(shutil.copy2("/bin/true", tmp_path / "program"))


def run(descriptor: int) -> int:
    pid = os.fork()
    if pid == 0:
        os.execve(descriptor, ["true"], {})
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_copy_runs_and_cannot_be_written(program: Path) -> None:
    copy = SealedPrograms().copy(str(program))
    assert Path(f"/proc/self/fd/{copy}").read_bytes() == program.read_bytes()
    assert run(copy) == 0
    with pytest.raises(PermissionError):
        os.open(f"/proc/self/fd/{copy}", os.O_WRONLY | os.O_TRUNC)
    for change in (lambda fd: os.write(fd, b"x"), lambda fd: os.ftruncate(fd, 0)):
        with pytest.raises(OSError) as refusal:
            change(copy)
        assert refusal.value.errno == errno.EPERM
    os.close(copy)


def test_a_copy_is_made_once_and_again_when_the_file_changes(program: Path) -> None:
    programs = SealedPrograms()
    first = programs.copy(str(program))
    assert programs.copy(str(program)) == first
    with program.open("ab") as file:
        file.write(b"more")
    second = programs.copy(str(program))
    assert os.fstat(second).st_size == program.stat().st_size
    os.close(second)


def test_none_is_made_of_what_is_missing_or_large(tmp_path: Path) -> None:
    assert SealedPrograms().copy(str(tmp_path / "missing")) == -1
    with (tmp_path / "large").open("wb") as file:
        file.truncate(9 << 20)
    assert SealedPrograms().copy(str(tmp_path / "large")) == -1
