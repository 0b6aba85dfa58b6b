"""A process that dies at any moment leaves nothing that the next one does not put in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.layers.entry import Entry, EntryType
from snapshots.bench import Bench

pytestmark = pytest.mark.root

ROUNDS = int(os.environ.get("LAMINA_SEEDS", "50")) // 5
WORKER = Path(__file__).with_name("crashing.py")


def die(bench: Bench, seconds: float, tars: list[str]) -> None:
    command = [sys.executable, str(WORKER), str(bench.home), bench.name, str(seconds), *tars]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGALRM, done.stderr


def test_death_at_any_moment(bench: Bench) -> None:
    layers = [bench.files(a=b"a", b__c=b"c"), bench.layer(lambda builder: builder.whiteout("a"))]
    layers.append(bench.layer(lambda builder: builder.add(Entry("d", EntryType.DIRECTORY, 0o700))))
    tars = [str(layer.tar) for layer in layers]
    kept = bench.driver.prepare("kept", layers)
    root = kept.mount()
    (root / "precious").write_bytes(b"precious")
    dice = random.Random(5)
    for _ in range(ROUNDS):
        die(bench, dice.uniform(0.001, 0.06), tars)
        driver = bench.reopen()
        driver.sweep(["kept"])
        assert driver.keys() == ["kept"]
        assert (root / "precious").read_bytes() == b"precious"
        home = bench.home / bench.name
        assert sorted(path.name for path in (home / "snapshots").iterdir()) == ["kept"]
        assert not [path for path in home.rglob(".*") if path.name.startswith((".new", ".old", ".links"))]
        again = driver.get("kept")
        assert again.mount() == root
        again.unmount()
    driver = bench.reopen()
    driver.sweep(["kept"], running=[])
    assert not mounts_below(bench.home)
    assert [change.path for change in driver.get("kept").changes()] == ["precious"]


def mounts_below(root: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(root) in line]
