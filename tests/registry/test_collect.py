"""What the registry removes and what it keeps: collection, quotas, verification, retention."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lamina.errors import NotFound
from lamina.formats.descriptor import OCI_EMPTY, Descriptor
from lamina.formats.manifest import Index, Manifest
from lamina.registry import admin
from lamina.registry.config import DAY, Config, Retention
from lamina.registry.metadata.inventory import ListedManifest
from lamina.registry.retention import doomed
from support.registries import Raw, Running, Start


@pytest.fixture
def gc(registry: Running) -> Callable[..., object]:
    """Collects in the way of an administrator: beside the running registry."""
    return lambda **options: admin.gc(registry.config, **({"grace": 0.0, "orphan_age": 0.0} | options))


def files(registry: Running) -> list[str]:
    assert registry.config.root is not None
    return [path.name for path in (registry.config.root / "blobs").rglob("*") if path.is_file()]


def test_what_is_referred_to_stays_and_the_rest_goes(registry: Running, raw: Raw, gc: Callable[..., object]) -> None:
    kept, gone = raw.push_image("a", "kept", "k" * 10), raw.push_image("a", "gone", "g" * 10)
    loose = raw.push_blob("a", b"loose" * 9000)
    assert raw("DELETE", f"/v2/a/manifests/{gone.digest}").status == 202
    plan = admin.gc(registry.config, grace=0.0, dry_run=True)
    assert (plan.manifests, plan.links) == (1, 1)
    assert len(files(registry)) == 3
    gc()
    assert len(files(registry)) == 1
    assert raw("GET", f"/v2/a/blobs/{kept.layers[0].digest}").status == 200
    assert raw("HEAD", f"/v2/a/blobs/{gone.layers[0].digest}").status == 404
    assert raw("HEAD", f"/v2/a/blobs/{loose}").status == 404
    assert raw("GET", "/v2/a/manifests/kept").status == 200
    with pytest.raises(NotFound):
        admin.undelete(registry.config, "a", gone.digest)


def test_the_grace_period_protects_pushes_and_deletes(registry: Running, raw: Raw, gc: Callable[..., object]) -> None:
    image = raw.push_image("a", "v1", "x")
    loose = raw.push_blob("a", b"loose" * 9000)
    raw("DELETE", f"/v2/a/manifests/{image.digest}")
    gc(grace=3600.0)
    assert raw("HEAD", f"/v2/a/blobs/{loose}").status == 200
    assert raw("GET", "/v2/a/manifests/v1").status == 404
    assert admin.undelete(registry.config, "a", image.digest) == ["v1"]
    assert raw("GET", "/v2/a/manifests/v1").body == image.raw
    assert raw("GET", f"/v2/a/blobs/{image.layers[0].digest}").status == 200


def test_children_of_indexes_and_subjects_are_never_collected(raw: Raw, gc: Callable[..., object]) -> None:
    child, subject = raw.push_image("a", None, "child"), raw.push_image("a", None, "subject")
    raw.push_manifest("a", "index", Index.build([child.descriptor]))
    raw.push_manifest("a", None, Manifest.build(Descriptor.of(OCI_EMPTY, b"{}"), [], subject=subject.descriptor))
    for one in (child, subject):
        raw("DELETE", f"/v2/a/manifests/{one.digest}")
    gc()
    for one in (child, subject):
        raw.push_manifest("a", None, one)
        assert raw("GET", f"/v2/a/blobs/{one.layers[0].digest}").status == 200


def test_content_of_a_crash_is_swept_and_uploads_expire(registry: Running, raw: Raw, gc: Callable[..., object]) -> None:
    assert registry.config.root is not None
    orphan = registry.config.root / "blobs/sha256/aa/orphan"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")
    place = raw("POST", "/v2/a/blobs/uploads/", b"").headers["Location"]
    gc(orphan_age=3600.0)
    assert orphan.exists()
    gc()
    assert not orphan.exists()
    assert raw("GET", place).status == 204
    assert registry.registry is not None
    assert asyncio.run(registry.registry.storage.expire(registry.registry.now() + 10)) == 1
    assert raw("GET", place).status == 404


def test_quota_bytes_come_back(registry: Running, raw: Raw, gc: Callable[..., object]) -> None:
    raw.push_blob("a", b"x" * 50_000)
    assert [(r.name, r.bytes) for r in admin.ls(registry.config)] == [("a", 50_000)]
    gc()
    assert admin.ls(registry.config) == []


def test_verify_finds_what_is_damaged(registry: Running, raw: Raw) -> None:
    raw.push_image("a", "v1", "x" * 10)
    whole = admin.verify(registry.config)
    assert (whole.damaged, whole.blobs) == ((), 4)
    assert registry.config.root is not None
    damaged = next(path for path in (registry.config.root / "blobs").rglob("*") if path.is_file())
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    found = admin.verify(registry.config).damaged
    assert [str(one.facts["expected"]).split(":")[1] for one in found] == [damaged.name.split(".")[0]]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (Retention(), {"child"}),
        (Retention(untagged=False), {"child", "bare"}),
        (Retention(keep_tags=("v*",)), {"child", "old"}),
        (Retention(keep_newest=1), {"child", "new"}),
        (Retention(keep_pushed_days=5), {"child", "new"}),
        (Retention(keep_pulled_days=5), {"child", "bare"}),
    ],
)
def test_retention_rules(rule: Retention, left: set[str]) -> None:
    day = 86400.0
    listed = [
        ListedManifest("new", 99 * day, 0, ("latest",), False),
        ListedManifest("old", 10 * day, 0, ("v1", "x"), False),
        ListedManifest("bare", 9 * day, 99 * day, (), False),
        ListedManifest("child", 1 * day, 0, (), True),
    ]
    gone = {manifest.digest for manifest in doomed(rule, listed, 100 * day)}
    assert {manifest.digest for manifest in listed} - gone == left


def test_retention_plans_first(registry: Running, raw: Raw, tmp_path: Path) -> None:
    old, new = raw.push_image("a", "v1", "old"), raw.push_image("a", "v2", "new")
    config = Config(root=registry.config.root, retention=(Retention(keep_tags=("v2",)),))
    assert [planned.digest for planned in admin.retain(config)] == [str(old.digest)]
    assert raw("GET", "/v2/a/manifests/v1").status == 200
    admin.retain(config, dry_run=False)
    assert raw("GET", "/v2/a/manifests/v1").status == 404
    assert raw("GET", "/v2/a/manifests/v2").body == new.raw


def test_retention_counts_days_from_the_last_pull(start: Start) -> None:
    running = start()
    assert running.registry is not None
    root, began = running.config.root, time.time()
    with closing(Raw(running.address)) as raw:
        used, idle, asked = (raw.push_image("a", name, name) for name in ("used", "idle", "asked"))
        age(root, began - 10 * DAY)
        for reference in ("used", str(used.digest)):
            assert raw("GET", f"/v2/a/manifests/{reference}").status == 200
        assert raw("HEAD", "/v2/a/manifests/asked").status == 200
    running.stop()
    config = Config(root=root, retention=(Retention(keep_pulled_days=5),))
    assert {tag.name for tag in admin.ls_tags(config, "a") if tag.pulled >= began - 1} == {"used"}
    assert {planned.digest for planned in admin.retain(config)} == {str(idle.digest), str(asked.digest)}


def age(root: Path | None, when: float) -> None:
    """Make all manifests as old as if they had been pushed at `when`."""
    assert root is not None
    with closing(sqlite3.connect(root / "registry.sqlite", timeout=30)) as database, database:
        database.execute("UPDATE manifests SET pushed = ?, pulled = ?", (when, when))
