"""Builds, prunes and removals of the same images at the same time: none disturbs another, and nothing is left over."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.engine import Engine
from lamina.errors import Conflict, NotFound

SECONDS = 2.0
DOCKERFILE = "FROM scratch\nCOPY one /a/\nENV A=b\nFROM scratch\nCOPY --from=0 /a /b\nCOPY two /b/\nCOPY {last} /b/\n"
TAGS = ["one", "two", "three"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data", tmp_path / "run") as engine:
        yield engine


def context(folder: Path, last: str) -> Path:
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / name).write_text(name)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(last=last))
    return folder


def test_builds_prunes_and_removals(engine: Engine, tmp_path: Path) -> None:
    contexts = [context(tmp_path / last, last) for last in ("three", "Dockerfile")]
    ending = threading.Event()
    failures: list[Exception] = []
    done: list[str] = []

    def again_and_again(name: str, work: Callable[[random.Random], object]) -> None:
        chance = random.Random(name)
        try:
            while not ending.is_set():
                with suppress(Conflict):  # another prune runs
                    work(chance)
                done.append(name)
                ending.wait(0 if name.startswith("build") else chance.uniform(0, 0.05))
        except Exception as error:  # whatever it is, the test tells of it
            failures.append(error)

    def build(chance: random.Random) -> None:
        options = BuildRequest(tags=(chance.choice(TAGS),), no_cache=chance.random() < 0.3)
        assert len(engine.builds.build(chance.choice(contexts), options).image.layers) == 3

    def remove(chance: random.Random) -> None:
        with suppress(NotFound):
            engine.images.remove(chance.choice(TAGS), force=True)

    def prune(chance: random.Random) -> None:
        everything = {"dangling": ["false"]}
        verbs: list[Callable[[], object]] = [engine.images.prune, lambda: engine.images.prune(everything)]
        chance.choice([*verbs, lambda: engine.builds.prune(all=True), engine.store.sync])()

    works = {"build 1": build, "build 2": build, "build 3": build, "remove": remove, "prune": prune}
    threads = [threading.Thread(target=again_and_again, args=item) for item in works.items()]
    for thread in threads:
        thread.start()
    ending.wait(SECONDS)
    ending.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(done) == set(works)
    assert list(engine.store.verify()) == []
    engine.images.prune({"dangling": ["false"]})
    assert engine.images.list(all=True) == []
    assert [path for place in ("blobs", "layers", "ingest") for path in (engine.root / place).rglob("*.*")] == []
