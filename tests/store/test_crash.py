"""The promise of the store, tried: kill it at random moments, and all it reported done is there."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]
ROUNDS = 60


class Worker:
    """Does random work on a store for ever, and says on a pipe what it begins and what is done."""

    def __init__(self, root: Path, out: int, seed: int, add_layer: AddLayer) -> None:
        self._store = Store.open(root)
        self._out = out
        self._random = random.Random(seed)
        self._add_layer = add_layer
        self._names = 0

    def run(self) -> None:
        with self._store.read() as view:
            names = [key for key, _ in view.items("made")]
        while True:
            kind = self._random.randrange(10)
            if kind < 6 or not names:
                names.append(self._make())
            elif kind < 8:
                self._remove(names.pop(self._random.randrange(len(names))))
            elif kind == 8:
                self._store.collect()
            else:
                self._store.sync()

    def _say(self, word: str, name: str) -> None:
        os.write(self._out, f"{word} {name}\n".encode())

    def _make(self) -> str:
        self._names += 1
        name = f"{os.getpid()}-{self._names}"
        content = self._random.randbytes(self._random.choice([0, 100, 60_000]))
        self._say("begin", name)
        with self._store.lease():
            layer = self._add_layer(self._store, content[: self._random.choice([0, 50, 60_000])])
            blob = self._store.blobs.put(content)
            with self._store.transaction() as tx:
                tx.link(f"image:{name}", [layer.diff_id, blob])
                tx.put("made", name, f"{layer.diff_id} {blob}".encode())
        self._say("made", name)
        return name

    def _remove(self, name: str) -> None:
        self._say("begin", name)
        with self._store.transaction() as tx:
            tx.unlink(f"image:{name}")
            tx.delete("made", name)
        self._say("removed", name)


def run_until_killed(root: Path, seed: int, count: int, seconds: float, add_layer: AddLayer) -> list[list[str]]:
    """The lines that a worker said before it was killed: `seconds` after it said `count` of them.

    So a slow machine has it do no less.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            Worker(root, write, seed, add_layer).run()
        finally:
            os._exit(1)
    os.close(write)
    said = b""
    while said.count(b"\n") < count and (piece := os.read(read, 65536)):
        said += piece
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and select.select([read], [], [], left)[0]:
        if not (piece := os.read(read, 65536)):
            break
        said += piece
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    while piece := os.read(read, 65536):
        said += piece
    os.close(read)
    assert os.WIFSIGNALED(status), "the worker ended by itself"
    return [line.split() for line in said.decode().splitlines()]


def settle(expected: dict[str, bool | None], lines: list[list[str]]) -> None:
    """Follow what a worker said: True is there, False is gone, None may be either."""
    for word, name in lines:
        expected[name] = {"begin": None, "made": True, "removed": False}[word]


def check(root: Path, expected: dict[str, bool | None], files_below: Callable[[Path], set[str]]) -> None:
    with Store.open(root) as store:
        assert store.lost == ()
        assert list(store.verify()) == []
        with store.read() as view:
            assert view.broken_owners() == ()
            there = dict(view.items("made"))
            for name, state in expected.items():
                assert state is None or state == (name in there), f"{name} should be {state}"
                expected[name] = name in there
            for name, raw in there.items():
                digests = [Digest.parse(text) for text in raw.decode().split()]
                assert set(view.owned(f"image:{name}")) == set(digests)
        store.collect()
        needed = set()
        for raw in there.values():
            layer, blob = (Digest.parse(text) for text in raw.decode().split())
            needed |= {f"layers/sha256/{layer.encoded}.tar", f"layers/sha256/{layer.encoded}.erofs"}
            if not store.layers.has(blob):
                needed.add(f"blobs/sha256/{blob.encoded}")
        assert files_below(root) == needed, "something is left over, or gone"


@pytest.mark.timeout(120)
def test_a_store_that_is_killed_loses_nothing_it_reported(
    data_root: Path, add_layer: AddLayer, files_below: Callable[[Path], set[str]]
) -> None:
    expected: dict[str, bool | None] = {}
    moments = random.Random(2024)
    for seed in range(ROUNDS):
        count, seconds = moments.randrange(8), moments.uniform(0.001, 0.02)
        settle(expected, run_until_killed(data_root, seed, count, seconds, add_layer))
        check(data_root, expected, files_below)
    assert sum(state is True for state in expected.values()) > 10, "the worker did too little to prove anything"
