"""What clients ask of the daemon while it is being killed: each verb that leaves something on a disk or a machine."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from crash.build_work import BuildWork
from lamina.api.build import BuildRequest
from lamina.api.containers import Config, HostConfig
from lamina.api.networks import NetworkOptions
from lamina.client import Client, connect
from lamina.errors import LaminaError, NotFound, Unavailable
from support.daemons import Daemon
from support.ledger import Ledger

CGROUP = f"/lamina-crash-{os.getpid()}"
"""The parent of all cgroups of the test, below each hierarchy."""
BRIDGES = f"c{os.getpid() % 10_000}w"
"""How the names of its networks' interfaces begin."""
BRIDGE_NAME = "com.docker.network.bridge.name"
PASSING = "passing"
"""The label of containers that may be pruned."""
KINDS = (
    "build",
    "build_with_run",
    "load",
    "bring",
    "commit",
    "run_and_remove",
    "run_and_leave",
    "stay",
    "end",
    "network",
    "tag",
    "remove",
    "prune",
    "save",
    "build_two_at_once",
    "build_by_buildkit",
    "export_archive",
    "export_folder",
    "export_to_registry",
    "cache_out_and_in",
)


class Work(BuildWork):
    """One client that asks for one thing after the other, and notes what it is told is done."""

    def __init__(self, daemon: Daemon, registry: str, ledger: Ledger, folder: Path, seed: str, first: str = "") -> None:
        """`registry` is the address of one that lives on. `first` is the kind of work to begin with, `begun` is set
        then."""
        self._daemon = daemon
        self._registry = registry
        self._cgroup = CGROUP
        self._ledger = ledger
        self._folder = folder
        self._random = random.Random(seed)
        self._seed = seed
        self._count = 0
        self._bridges = 0
        self._next = first
        self.begun = threading.Event()
        self.took: dict[str, float] = {}
        """Seconds of the longest of each kind that ended."""
        self.failure: Exception | None = None

    def run(self, killed: threading.Event) -> None:
        """Work until the daemon is gone; what fails before that is a failure of the test."""
        kind = ""
        try:
            with connect(self._daemon.host) as client:
                client.ping()
                while not killed.is_set():
                    kind, self._next = self._next or self._random.choice(KINDS), ""
                    self._count += 1
                    self._do(kind, client)
        except (Unavailable, OSError, http.client.HTTPException) as error:
            if not killed.wait(5):  # the connection may break before this thread hears of the kill
                self.failure = error
        except LaminaError as error:
            error.add_note(f"in {kind} of the work called {self._seed}-{self._count}")
            self.failure = error
        finally:
            self.begun.set()

    def each(self, client: Client) -> None:
        """Do one work of each kind."""
        for kind in KINDS:
            self._count += 1
            self._do(kind, client)

    def _do(self, kind: str, client: Client) -> None:
        work: Callable[[Client, str], None] = getattr(self, kind)
        start = time.monotonic()
        self.begun.set()
        work(client, f"image-{self._seed}-{self._count}")
        self.took[kind] = max(self.took.get(kind, 0), time.monotonic() - start)

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.choice([10, 20_000, 2_000_000]))

    def build(self, client: Client, tag: str) -> None:
        self._build(client, tag, "COPY file0 /again\n")

    def build_with_run(self, client: Client, tag: str) -> None:
        more = "RUN cp -r /data /more && rm -r /data\n"
        cache = "RUN --mount=type=cache,target=/cache echo made > /cache/it\n"
        self._build(client, tag, f"RUN echo {tag} > /made\n{self._random.choice(['', more, cache])}")

    def _build(self, client: Client, tag: str, steps: str) -> None:
        context = self._folder / tag
        context.mkdir()
        for number in range(self._random.randrange(1, 30)):
            (context / f"file{number}").write_bytes(self._bytes()[:50_000])
        (context / "Dockerfile").write_text(f"FROM base\nCOPY . /data\n{steps}LABEL tag={tag}\n")
        network = self._random.choice(["none", "bridge"])
        request = BuildRequest(tags=(tag,), network=network, cgroup_parent=CGROUP)
        self._ledger.made(tag, client.builds.build(context, request).image.id)

    def load(self, client: Client, tag: str) -> None:
        archive, image = docker_archive(tag, self._bytes())
        client.images.load([archive])
        self._ledger.made(tag, image)

    def save(self, client: Client, tag: str) -> None:
        for image in client.images.list()[:2]:
            with suppress(NotFound):  # removed meanwhile
                client.images.save([image.id], io.BytesIO())

    def bring(self, client: Client, tag: str) -> None:
        client.images.import_tar([layer_tar(tag, self._bytes())], tag)
        self._ledger.made(tag, client.images.get(tag).id)

    def commit(self, client: Client, tag: str) -> None:
        container = self._container(client, tag, f"echo {tag} > /said")
        if self._random.random() < 0.5:
            client.containers.start(container)
            client.containers.wait(container)
        else:
            client.containers.put_archive(container, "/", [layer_tar(tag, self._bytes())])
        self._ledger.made(tag, client.containers.commit(container, tag).id)
        client.containers.remove(container, force=True, volumes=True)

    def _container(self, client: Client, name: str, command: str, *, label: str = "", remove: bool = False) -> str:
        network = self._random.choice(["none", "bridge"])
        labels = {label: "yes"} if label else {}
        config = Config(image="base", cmd=("sh", "-c", command), volumes={"/volume": {}}, labels=labels)
        host_config = HostConfig(network_mode=network, auto_remove=remove, cgroup_parent=CGROUP)
        return client.containers.create(name, config, host_config).id

    def run_and_remove(self, client: Client, tag: str) -> None:
        container = self._container(client, tag, "echo passing > /volume/said", remove=True)
        with client.containers.waiting(container, "removed") as ended:
            client.containers.start(container)
            ended.result()
        self._ledger.ended(container)

    def run_and_leave(self, client: Client, tag: str) -> None:
        container = self._container(client, tag, "echo left", label=PASSING)
        with suppress(NotFound):  # another has pruned it
            client.containers.start(container)

    def stay(self, client: Client, tag: str) -> None:
        container = self._container(client, tag, "echo here > /said; exec sleep 100000")
        client.containers.start(container)
        self._ledger.running(container)

    def end(self, client: Client, tag: str) -> None:
        with self._ledger.ending() as container:
            if container is not None:
                client.containers.remove(container, force=True, volumes=True)

    def network(self, client: Client, tag: str) -> None:
        self._bridges += 1
        name = f"{BRIDGES}{self._seed.replace('-', 'w')}n{self._bridges}"
        client.networks.create(tag, NetworkOptions(options={BRIDGE_NAME: name}))
        with suppress(NotFound):  # another has pruned it
            client.networks.remove(tag)

    def tag(self, client: Client, tag: str) -> None:
        known = next(iter(client.images.list(filters={"reference": ["image-*"]})), None)
        if known is not None:
            with suppress(NotFound):  # removed meanwhile
                client.images.tag(known.id, tag)
                self._ledger.made(tag, known.id)

    def remove(self, client: Client, tag: str) -> None:
        with self._ledger.removing() as found:
            if found is not None:
                client.images.remove(found, force=True)

    def prune(self, client: Client, tag: str) -> None:
        ways: list[Callable[[], object]] = [
            lambda: client.images.prune(),
            lambda: client.builds.prune(all=True),
            lambda: client.containers.prune({"label": [PASSING]}),
            lambda: client.networks.prune(),
        ]
        self._random.choice(ways)()


def layer_tar(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(20):
            member = tarfile.TarInfo(f"{name}/{number}")
            member.size = len(data) // 20
            archive.addfile(member, io.BytesIO(data[number * member.size :]))
    return out.getvalue()


def docker_archive(tag: str, data: bytes) -> tuple[bytes, str]:
    """What `docker save` writes for an image of one layer, and the image's ID."""
    layer = layer_tar(tag, data)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    image = sha256(config).hexdigest()
    manifest = [{"Config": f"{image}.json", "RepoTags": [f"{tag}:latest"], "Layers": ["one/layer.tar"]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        parts = {f"{image}.json": config, "one/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue(), f"sha256:{image}"
