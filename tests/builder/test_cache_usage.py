"""What the cache holds and why, and what a prune takes of it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.api.build_cache import CacheLimits, CacheObject, check_filters, matches, parse_expressions
from lamina.builder.cache.collector import Collector
from lamina.builder.cache.usage import CacheUsage
from lamina.builder.context.saved_files import SavedContexts
from lamina.builder.run.cache_mounts import CacheMounts
from lamina.engine import Engine
from lamina.engine.settings import EngineSettings
from lamina.errors import InvalidInput
from support.workshop import Workshop

TAGGED = BuildRequest(tags=("app",))
FREE = 1 << 40
UNIT = 1 << 16  # bytes, whole blocks of every file system


@pytest.fixture
def usage(workshop: Workshop, tmp_path: Path) -> CacheUsage:
    return CacheUsage(workshop.images, CacheMounts(tmp_path / "mounts"), SavedContexts(tmp_path / "saved"), tmp_path)


def mount(usage: CacheUsage, name: str, size: int, used: int) -> None:
    with ExitStack() as closing:
        path = usage.mounts.take(name, "shared", (0, 0), 0o755, closing)
        assert path is not None
        (path / "data").write_bytes(bytes(size))
    os.utime(usage.mounts.root.with_name("mounts-names") / path.name, (used, used))


def names(usage: CacheUsage) -> list[str]:
    return [each.description for each in usage.objects()]


def test_it_says_what_is_kept_and_for_whom(workshop: Workshop, usage: CacheUsage) -> None:
    workshop.build("FROM scratch\nCOPY a.txt /first\n", {"a.txt": "a" * 5000}, TAGGED)
    workshop.build("FROM scratch\nCOPY a.txt /second\nLABEL a=b\n", {})
    kept = {each.description: each.kept_for for each in usage.objects()}
    assert kept["COPY a.txt /first"] == "image app:latest"
    assert kept["COPY a.txt /second"].startswith("image "), "a build that ended with it: it has no name, but an ID"
    assert all(each.type == "regular" and each.size > 5000 for each in usage.objects())
    assert usage.prune({}, CacheLimits()).bytes == 0


def test_steps_of_builds_that_failed_are_pruned_with_their_bytes(workshop: Workshop, usage: CacheUsage) -> None:
    text = "FROM scratch\nCOPY a.txt /low\n"
    workshop.build(text, {"a.txt": "a" * 5000}, TAGGED)
    with pytest.raises(InvalidInput):
        workshop.build(f"{text}COPY a.txt /old\nLABEL a=b\nCOPY nowhere /x\n", {})
    (old,) = [each for each in usage.objects() if each.reclaimable]
    assert old.description == "COPY a.txt /old"

    def on_disk() -> int:
        layers = (workshop.folder / "root/layers").rglob("*")
        return sum(path.stat().st_size for path in layers if path.is_file())

    before = on_disk()
    pruned = usage.prune({}, CacheLimits())
    assert [str(digest) for digest in pruned.digests] == [old.id]
    assert pruned.bytes == before - on_disk() == old.size
    assert names(usage) == ["COPY a.txt /low"]


def test_the_least_recently_used_goes_first_until_the_limit_is_met(usage: CacheUsage) -> None:
    for used, name in enumerate(("old", "middle", "new"), 1000):
        mount(usage, name, UNIT, used)
    assert names(usage) == ["new", "middle", "old"]
    assert usage.prune({}, CacheLimits(max_used=5 * UNIT)).bytes == 0
    assert usage.prune({}, CacheLimits(max_used=5 * UNIT // 2)).bytes == UNIT
    assert names(usage) == ["new", "middle"]
    assert usage.prune({}, CacheLimits(reserved=3 * UNIT // 2)).bytes == UNIT
    assert names(usage) == ["new"]
    assert usage.prune({}, CacheLimits(min_free=1)).bytes == 0
    assert usage.prune({}, CacheLimits(min_free=FREE << 20, reserved=UNIT)).bytes == 0
    assert usage.prune({}, CacheLimits(min_free=FREE << 20)).bytes == UNIT
    assert names(usage) == []


def test_a_mount_in_use_stays(usage: CacheUsage) -> None:
    with ExitStack() as closing:
        assert usage.mounts.take("busy", "shared", (0, 0), 0o755, closing) is not None
        assert usage.prune({}, CacheLimits()).digests == ()
    assert len(usage.prune({}, CacheLimits()).digests) == 1


def test_what_a_step_uses_now_counts_for_the_limit(usage: CacheUsage) -> None:
    mount(usage, "idle", UNIT, 1000)
    with ExitStack() as closing:
        path = usage.mounts.take("busy", "shared", (0, 0), 0o755, closing)
        assert path is not None
        (path / "data").write_bytes(bytes(2 * UNIT))
        assert usage.prune({}, CacheLimits(max_used=3 * UNIT)).bytes == 0
        assert usage.prune({}, CacheLimits(max_used=5 * UNIT // 2)).bytes == UNIT
        assert names(usage) == ["busy"]


def test_filters_choose(usage: CacheUsage) -> None:
    mount(usage, "pip", 10, 1000)
    mount(usage, "apt", 10, 2000)
    first = next(each for each in usage.objects() if each.description == "pip")
    for filters, left in (
        ({"type": ["regular"]}, 2),
        ({"inuse": ["true"]}, 2),
        ({"label": ["a"]}, 2),
        ({"unused-for": ["999999h"]}, 2),
        ({"id": [first.id[:14]], "description": ["apt"]}, 2),
        ({"until": ["1500"]}, 1),
        ({"type": ["exec.cachemount"], "description": ["ap"]}, 0),
    ):
        usage.prune(filters, CacheLimits())
        assert len(names(usage)) == left, filters


def test_expressions_of_buildkit_are_filters() -> None:
    cache = CacheObject(id="sha256:abc", type="regular", description="RUN x")
    assert matches(cache, parse_expressions(("type==regular,id~=ab",)))
    assert not matches(cache, parse_expressions(("type==exec.cachemount",)))
    assert not matches(cache, parse_expressions(("inuse",)))
    for wrong in ("a b==c", "colour==red", "until=tomorrow"):
        with pytest.raises(InvalidInput):
            parse_expressions((wrong,))
    with pytest.raises(InvalidInput, match="invalid filter 'colour'"):
        check_filters({"colour": ["red"]})


@pytest.mark.parametrize(
    ("limits", "keep"),
    [
        (CacheLimits(), 0),
        (CacheLimits(reserved=30), 30),
        (CacheLimits(max_used=60), 60),
        (CacheLimits(max_used=20, reserved=30), 30),
        (CacheLimits(min_free=70), 80),
        (CacheLimits(min_free=500), 0),
        (CacheLimits(min_free=500, reserved=10), 10),
        (CacheLimits(min_free=10), 100),
    ],
)
def test_what_may_stay(limits: CacheLimits, keep: int) -> None:
    assert limits.to_keep(total=100, free=50) == keep


def test_the_cap_holds_after_builds_but_is_looked_at_once_a_minute(usage: CacheUsage) -> None:
    now = 100.0
    collector = Collector(usage, CacheLimits(max_used=3 * UNIT // 2), lambda: now)
    for used, name in enumerate(("a", "b"), 1000):
        mount(usage, name, UNIT, used)
    collector.collect()
    assert names(usage) == ["b"]
    mount(usage, "c", UNIT, 2000)
    now = 159.0
    collector.collect()
    assert names(usage) == ["c", "b"]
    now = 160.0
    collector.collect()
    assert names(usage) == ["c"]


def test_a_build_keeps_its_engine_below_the_cap(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    for name, text in (("Dockerfile", "FROM scratch\nCOPY a /\nCOPY nowhere /\n"), ("a", "a" * 9000)):
        (tmp_path / "context" / name).write_text(text)
    settings = EngineSettings(build_cache=CacheLimits(max_used=1000))
    with Engine(tmp_path / "root", settings=settings) as engine:
        with pytest.raises(InvalidInput):
            engine.builds.build(tmp_path / "context")
        assert engine.builds.usage() == ()
