"""The directories behind `RUN --mount=type=cache`: who may have one at the same time, and what a prune leaves alone."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from lamina.builder.run.cache_mounts import CacheMounts


@pytest.fixture
def caches(tmp_path: Path) -> CacheMounts:
    return CacheMounts(tmp_path / "caches")


def take(caches: CacheMounts, sharing: str, closing: ExitStack, name: str = "/root/.cache") -> Path | None:
    return caches.take(name, sharing, (0, 0), 0o750, closing)


def test_it_stays_until_it_is_pruned(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        assert path is not None
        assert path.stat().st_mode & 0o777 == 0o750
        (path / "kept").write_bytes(b"12345")
    with ExitStack() as closing:
        assert take(caches, "locked", closing) == path
        assert (path / "kept").exists()
    pruned = caches.prune()
    assert ([digest.encoded for digest in pruned.digests], pruned.bytes) == ([path.name], 5)
    assert not caches.root.exists()
    assert caches.prune().digests == ()


def test_a_prune_leaves_what_is_in_use(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        with ExitStack() as soon:
            take(caches, "shared", soon, "/other")
        assert path is not None
        assert len(caches.prune().digests) == 1
        assert path.exists()


def test_a_prune_keeps_the_newest_that_fit(caches: CacheMounts) -> None:
    for age, name in enumerate(("new", "old")):
        with ExitStack() as closing:
            path = take(caches, "shared", closing, name)
            assert path is not None
            (path / "data").write_bytes(bytes(1000))
            os.utime(path, (1000 - age, 1000 - age))
    assert len(caches.prune(2_000_000).digests) == 0
    assert len(caches.prune(1500).digests) == 1
    with ExitStack() as closing:
        newest = take(caches, "shared", closing, "new")
        assert newest is not None
        assert (newest / "data").exists()
    assert len(caches.prune().digests) == 1


def test_sharing(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        assert take(caches, "shared", closing) == take(caches, "", closing)
        assert take(caches, "private", closing) is None


def test_locked_waits_and_then_has_what_is_there_now(caches: CacheMounts) -> None:
    """Also when it was pruned while it waited: never a directory that has no name any more."""
    found: list[bool] = []

    def use() -> None:
        with ExitStack() as closing:
            path = take(caches, "locked", closing)
            found.append(path is not None and path.exists())

    with ExitStack() as closing:
        path = take(caches, "locked", closing)
        waiting = threading.Thread(target=use)
        waiting.start()
        assert path is not None
        path.rename(path.with_name(".old-pruned"))
    waiting.join(20)
    assert found == [True]
