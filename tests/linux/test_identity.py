"""Reading files as somebody else, against the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.linux.processes import Caller, acting_as


@pytest.mark.root
@pytest.mark.parametrize("number", [1234, 2**31 + 5, 2**32 - 2])
def test_a_caller_reads_what_is_theirs_and_nothing_else(tmp_path: Path, number: int) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    for name, owner, group in (("user", number, 0), ("group", 0, number), ("other", 0, 77), ("root", 0, 0)):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o440)
        os.chown(tmp_path / name, owner, group)

    with acting_as(Caller(number, number, (77,))):
        read = [(tmp_path / name).read_text() for name in ("user", "group", "other")]
        with pytest.raises(PermissionError):
            (tmp_path / "root").read_text()

    assert read == ["user", "group", "other"]
    assert (tmp_path / "root").read_text() == "root"
