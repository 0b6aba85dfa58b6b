"""Tests of the rooms, run in the machine: what they say of limits holds on its kernel, too.

They take many minutes, so they run by hand: LAMINA_MACHINE_TESTS names them (docs/development.md).
"""

from __future__ import annotations

import os
import sys

import pytest

from support.guest import Guest

from .conftest import REPOSITORY

pytestmark = [pytest.mark.peer, pytest.mark.slow]

TESTS = os.environ.get("LAMINA_MACHINE_TESTS", "").split()
SECONDS = 3600


@pytest.mark.skipif(not TESTS, reason="LAMINA_MACHINE_TESTS is not set")
@pytest.mark.timeout(SECONDS + 300)
def test_they_pass_in_the_machine_too(guest: Guest, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--basetemp=/disk/pytest", *TESTS]
    there = f"cd {REPOSITORY} && LAMINA_TEST_BRIDGE=none exec {' '.join(command)}"
    done = guest.run("sh", "-c", there, seconds=SECONDS, check=False)
    with capsys.disabled():
        print(done.output)
    assert done.status == 0
