"""Three replicas over PostgreSQL and S3 that are killed at random moments under load."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import closing

import pytest

from lamina.distribution import RegistryClient, pull, push
from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, Descriptor
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.registry import admin
from lamina.registry.config import Config, Retention
from lamina.store.store import Store
from support.promises import Promises, broken
from support.registries import make_image, patient
from support.replicas import Balancer, Replicas, Roaming
from support.seaweed import SeaweedServer
from support.spawned import Spawned

MOMENTS = int(os.environ.get("LAMINA_KILL_MOMENTS", "6"))
WORKERS = 3
GRACE = 5.0  # seconds; an image that takes longer to push makes no promise
MIB = 1 << 20

pytestmark = pytest.mark.peer


@pytest.fixture
def config(seaweed: SeaweedServer, postgres: str, bucket: str) -> Config:
    return Config(storage=seaweed.url(bucket), database=postgres, upload_seconds=0.0)


def replicas(config: Config) -> Replicas:
    def start() -> Spawned:
        return Spawned(None, storage=config.storage, database=config.database, grace=GRACE, collect_every=0.5)

    return Replicas(3, start)


def work(replicas: Replicas, seed: int, promises: Promises, stop: threading.Event, failed: list[BaseException]) -> None:
    """Push, pull and delete until told to stop."""
    source = random.Random(seed)
    with closing(Roaming(replicas, seed)) as client:
        try:
            while not stop.is_set():
                push_and_pull(client, source, promises)
        except BaseException as error:
            failed.append(error)
        promises.resumed += client.resumed


def push_and_pull(client: Roaming, source: random.Random, promises: Promises) -> None:
    began = time.monotonic()
    size = source.choice([100, 40_000, 300_000])
    parts = [b"{}" + b" " * source.randrange(10), source.randbytes(size)]
    for part in parts:
        client.push_blob("load/x", part, max(16, len(part) // 3))
    layer = Descriptor.of(OCI_LAYER, parts[1])
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, parts[0]), [layer])
    path = f"/v2/load/x/manifests/{manifest.digest}"
    answer = client("PUT", f"{path}?tag=t{source.randrange(50)}", manifest.raw, Content_Type=manifest.media_type)
    assert answer.status == 201, answer
    if time.monotonic() - began < GRACE / 2:
        promises.made(manifest)
        promises.check(manifest, client("GET", path))
    if victim := promises.break_one():
        assert client("DELETE", f"/v2/load/x/manifests/{victim.digest}").status in (202, 404)


@pytest.mark.slow
def test_killed_at_random_moments(seaweed: SeaweedServer, config: Config) -> None:
    promises, moments, failed = Promises(), random.Random(7), list[BaseException]()
    stop = threading.Event()
    with replicas(config) as running:
        threads = [threading.Thread(target=work, args=(running, n, promises, stop, failed)) for n in range(WORKERS)]
        for thread in threads:
            thread.start()
        for _ in range(MOMENTS):
            stop.wait(moments.uniform(0.05, 0.8))
            running.kill(moments.randrange(3))
            running.refill()
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        with closing(Roaming(running, 0)) as client:
            assert [wrong for manifest in promises.kept.values() if (wrong := broken(client, "load/x", manifest))] == []
        assert len(promises.kept) >= 10
        print(f"{MOMENTS} kills, {promises.count} pushes, {len(promises.broken)} deletes, {promises.resumed} resumed")
    assert_nothing_stays(seaweed, config)


def assert_nothing_stays(seaweed: SeaweedServer, config: Config) -> None:
    assert admin.verify(config).damaged == ()
    everything = Config(storage=config.storage, database=config.database, retention=(Retention(),), upload_seconds=0.0)
    admin.retain(everything, dry_run=False)
    admin.gc(config, grace=-1.0, orphan_age=-1.0)
    assert admin.ls(config) == []
    assert config.storage is not None
    assert seaweed.keys(config.storage.removeprefix("s3://").partition("?")[0]) == []


def test_a_push_goes_on_when_its_replica_is_killed(config: Config, store: Store, other_store: Store) -> None:
    image, layers = make_image(store, 24 * MIB, 300_000)
    with replicas(config) as running, Balancer(running) as balancer:
        name = Reference.parse(f"{balancer.address}/a/b:1")

        def kill() -> None:
            deadline = time.monotonic() + 60
            while balancer.upstream < 8 * MIB and time.monotonic() < deadline:
                done.wait(0.001)
            running.kill(0)

        done = threading.Event()
        killer = threading.Thread(target=kill)
        killer.start()
        with RegistryClient(patient()) as client, store.lease():
            pushed = push(name, image, layers, store, ignore, client=client)
        done.set()
        killer.join()
        assert len(running.addresses()) == 2
        with RegistryClient(patient()) as client, other_store.lease():
            pulled = pull(name, None, other_store, ignore, client=client)
        assert pulled.manifest.digest == pushed.digest
        assert balancer.upstream > 25 * MIB  # some of it went twice
