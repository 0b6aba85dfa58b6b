"""The directories behind `RUN --mount=type=cache`: who may have one at the same time, and what a prune leaves alone."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from lamina.builder.run.cache_mounts import CacheMounts
from lamina.formats.digest import Digest


@pytest.fixture
def caches(tmp_path: Path) -> CacheMounts:
    return CacheMounts(tmp_path / "caches")


def take(caches: CacheMounts, sharing: str, closing: ExitStack, name: str = "/root/.cache") -> Path | None:
    return caches.take(name, sharing, (0, 0), 0o750, closing)


def test_it_stays_until_it_is_removed(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        assert path is not None
        assert path.stat().st_mode & 0o777 == 0o750
        (path / "kept").write_bytes(b"12345")
    with ExitStack() as closing:
        assert take(caches, "locked", closing) == path
        assert (path / "kept").exists()
    (cache,) = caches.objects()
    assert (cache.id, cache.description, cache.size, cache.in_use) == (f"sha256:{path.name}", "/root/.cache", 5, False)
    assert caches.remove(Digest.parse(cache.id))
    assert not caches.remove(Digest.parse(cache.id))
    assert list(caches.objects()) == []


def test_a_cache_in_use_is_not_removed(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        with ExitStack() as soon:
            take(caches, "shared", soon, "/other")
        assert path is not None
        removed = {cache.description: caches.remove(Digest.parse(cache.id)) for cache in caches.objects()}
        assert removed == {"/root/.cache": False, "/other": True}
        assert [cache.in_use for cache in caches.objects()] == [True]
        assert path.exists()


def test_what_a_crash_left_half_made_is_swept(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
    assert path is not None
    path.with_name(".new-half").mkdir()
    path.with_name(".old-half").mkdir()
    caches.sweep()
    assert list(caches.root.iterdir()) == [path]


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
