"""The thread that keeps first moves into cgroups quick."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lamina.runtime.cgroups.layout import detect
from lamina.runtime.warmth import Warmth, own_cgroup
from support.waiting import eventually


def test_the_own_cgroup_is_found(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cgroup.procs").touch()
    table = tmp_path / "table"
    table.write_text("4:memory:/elsewhere\n3:pids:/mine\n0::/\n")
    assert own_cgroup((f"pids={tmp_path}",), str(table)) == str(tmp_path / "mine/cgroup.procs")
    assert own_cgroup((f"cpu={tmp_path}",), str(table)) is None
    assert own_cgroup((), "/gone") is None


def movers() -> int:
    return sum(thread.name == "lamina-warmth" for thread in threading.enumerate())


@pytest.mark.root
def test_moving_ends_with_the_last_start_and_stays_where_the_process_is() -> None:
    before = Path("/proc/self/cgroup").read_text()
    warmth = Warmth(detect().hierarchies)
    with warmth.starting():
        with warmth.starting():
            assert movers() == 1
        assert movers() == 1
    eventually(lambda: movers() == 0)
    assert Path("/proc/self/cgroup").read_text() == before


def test_nothing_moves_for_long_where_nothing_starts() -> None:
    warmth = Warmth(detect().hierarchies)
    warmth.expect()
    warmth.expect()
    eventually(lambda: movers() == 0)


def test_nothing_moves_without_a_cgroup() -> None:
    warmth = Warmth(())
    with warmth.starting():
        eventually(lambda: movers() == 0)
