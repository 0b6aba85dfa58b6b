"""The directories behind `RUN --mount=type=cache`: who may have one at the same time, and what a prune leaves alone."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from lamina.builder.run.cache_mounts import CacheMounts
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.formats.digest import Digest
from support.tars import tar


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
    assert (cache.id, cache.description, cache.in_use) == (f"sha256:{path.name}", "/root/.cache", False)
    assert cache.size == (path / "kept").stat().st_blocks * 512
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


def archive(caches: CacheMounts, name: str) -> bytes:
    sink = io.BytesIO()
    caches.write_to(caches.find(name), sink)
    return sink.getvalue()


def test_its_files_go_out_and_in_again(caches: CacheMounts, tmp_path: Path) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        assert path is not None
        (path / "wheel").write_bytes(b"built")
        (path / "wheel").chmod(0o640)
        (path / "link").hardlink_to(path / "wheel")
        (path / "away").symlink_to("/etc")
    packed = archive(caches, "/root/.cache")
    other = CacheMounts(tmp_path / "other/caches")
    for source in (packed, gzip.compress(packed)):
        imported = other.read_from("/elsewhere", io.BytesIO(source))
        assert (imported.description, imported.in_use) == ("/elsewhere", False)
    copied = other.root / Digest.parse(imported.id).encoded
    assert copied.stat().st_mode & 0o777 == 0o750
    assert copied.stat().st_mtime == int(path.stat().st_mtime)
    assert (copied / "link").stat().st_ino == (copied / "wheel").stat().st_ino
    assert (copied / "wheel").stat().st_mode & 0o777 == 0o640
    assert os.readlink(copied / "away") == "/etc"
    assert archive(other, "/elsewhere") == packed
    assert os.listdir(other.root) == [copied.name]


def test_an_import_takes_the_place_of_what_was_there(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        empty = archive(caches, "/root/.cache")
        assert path is not None
        (path / "old").write_bytes(b"old")
        with pytest.raises(Conflict, match="a step uses"):
            caches.read_from("/root/.cache", io.BytesIO(empty))
        assert (path / "old").exists()
    caches.read_from("/root/.cache", io.BytesIO(empty))
    assert os.listdir(path) == []


def test_an_archive_that_is_none_changes_nothing(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        assert path is not None
    for wrong in (b"no tar at all" * 100, tar({"../out": b"x"})):
        before = os.listdir(caches.root)
        with contextlib.suppress(InvalidInput):
            caches.read_from("/root/.cache", io.BytesIO(wrong))
        assert os.listdir(caches.root) == before
    assert not (caches.root.parent / "out").exists()
    with pytest.raises(InvalidInput, match="cannot be called"):
        caches.read_from("a\0b", io.BytesIO(tar({})))


@pytest.mark.root
def test_an_archive_brings_no_devices(caches: CacheMounts) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as out:
        for name, kind in (("null", tarfile.CHRTYPE), ("pipe", tarfile.FIFOTYPE), ("file", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type = kind
            out.addfile(member)
    packed.seek(0)
    imported = caches.read_from("/dev", packed)
    assert os.listdir(caches.root / Digest.parse(imported.id).encoded) == ["file"]


def test_it_is_found_by_name_and_id(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        take(caches, "shared", closing, "apt")
        take(caches, "shared", closing, "pip")
    ids = {each.description: each.id for each in caches.objects()}
    for name in ("pip", ids["pip"], ids["pip"].partition(":")[2][:12]):
        assert caches.find(name) == ids["pip"]
    for name in ("none", "", "0" * 64, "sha256:"):
        with pytest.raises(NotFound):
            caches.find(name)


def test_a_locked_one_is_not_read(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        take(caches, "locked", closing)
        with pytest.raises(Conflict, match="has locked"):
            archive(caches, "/root/.cache")


def test_its_size_is_what_it_takes_on_the_disk(caches: CacheMounts) -> None:
    with ExitStack() as closing:
        path = take(caches, "shared", closing)
        assert path is not None
        with (path / "sparse").open("wb") as file:
            file.truncate(1 << 30)
        for number in range(3):
            (path / f"small-{number}").write_bytes(b"x")
    (cache,) = caches.objects()
    assert cache.size < 1 << 20
    assert cache.size >= 3 * 512
