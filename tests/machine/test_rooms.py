"""Tests of the rooms, run in the machine: what they say holds on its kernel, too.

LAMINA_MACHINE_TESTS names tests that take too many minutes for every run (docs/development.md).
"""

from __future__ import annotations

import os

import pytest

from support.guest import Guest

from .conftest import run_tests

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]

TESTS = os.environ.get("LAMINA_MACHINE_TESTS", "").split()
SECONDS = 3600


def test_ipvlan_carries_packets(guest: Guest) -> None:
    """The kernels of many machines that run CI lack ipvlan."""
    done = run_tests(guest, "tests/network/test_vlans.py", "-k", "ipvlan_containers", seconds=240)
    assert "3 passed" in done.output, done.output


@pytest.mark.skipif(not TESTS, reason="LAMINA_MACHINE_TESTS is not set")
@pytest.mark.timeout(SECONDS + 300)
def test_chosen_tests_pass(guest: Guest, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_tests(guest, *TESTS, seconds=SECONDS)
    with capsys.disabled():
        print(done.output)
    assert done.status == 0
