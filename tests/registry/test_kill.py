"""A registry that is killed at random moments under load: what it answered 201 to is there, and nothing else stays."""

from __future__ import annotations

import os
import random
import threading
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, Descriptor
from lamina.formats.manifest import Manifest
from lamina.registry import admin
from lamina.registry.config import Config, Retention
from support.promises import Promises, broken
from support.registries import Raw
from support.spawned import Spawned

MOMENTS = int(os.environ.get("LAMINA_KILL_MOMENTS", "6"))
WORKERS = 3
GRACE = 20.0  # seconds, longer than any push here takes


def work(address: str, seed: int, promises: Promises, stop: threading.Event) -> None:
    """Push, pull and delete until the registry dies."""
    source = random.Random(seed)
    with suppress(OSError, HTTPException), closing(Raw(address)) as raw:
        while not stop.is_set():
            sizes = (source.randrange(10), source.choice([100, 20_000, 300_000, 5_000_000]))
            parts = [b"{}" + b" " * sizes[0], source.randbytes(sizes[1])]
            for part in parts:
                raw.push_blob("load/x", part)
            layer = Descriptor.of(OCI_LAYER, parts[1])
            manifest = Manifest.build(Descriptor.of(OCI_CONFIG, parts[0]), [layer])
            raw.push_manifest("load/x", f"t{seed % 50}", manifest)
            promises.made(manifest)
            promises.check(manifest, raw("GET", f"/v2/load/x/manifests/{manifest.digest}"))
            if victim := promises.break_one():
                raw("DELETE", f"/v2/load/x/manifests/{victim.digest}")


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    root, promises, moments = tmp_path / "root", Promises(), random.Random(7)
    for moment in range(MOMENTS):
        stop = threading.Event()
        registry = Spawned(root, grace=GRACE, collect_every=0.05)
        seeds = [moment * WORKERS + n for n in range(WORKERS)]
        threads = [threading.Thread(target=work, args=(registry.address, seed, promises, stop)) for seed in seeds]
        for thread in threads:
            thread.start()
        threads[0].join(moments.uniform(0.02, 0.8))
        registry.kill()
        stop.set()
        for thread in threads:
            thread.join()
    with Spawned(root, grace=GRACE) as registry, closing(Raw(registry.address)) as raw:
        problems = [problem for manifest in promises.kept.values() if (problem := broken(raw, "load/x", manifest))]
        assert problems == []
        assert len(promises.kept) >= 10
        for digest in [*promises.kept, *promises.broken]:
            raw("DELETE", f"/v2/load/x/manifests/{digest}")
    assert_nothing_stays(root)


def assert_nothing_stays(root: Path) -> None:
    config = Config(root=root, upload_seconds=0.0)
    assert admin.verify(config).damaged == ()
    everything = Config(root=root, retention=(Retention(),))
    admin.retain(everything, dry_run=False)  # pushed in the moment of death: 201 was never answered
    admin.gc(config, grace=-1.0, orphan_age=-1.0)
    left = [path for folder in ("blobs", "uploads") for path in (root / folder).rglob("*") if path.is_file()]
    assert left == []
