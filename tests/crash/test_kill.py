"""`kill -9` of the daemon at random moments of builds, loads, imports, commits and removals, again and again.

After each restart all that was reported done is there and verifies; after the last one a prune leaves nothing: no
file of a layer, no mount, no process, no network namespace. LAMINA_CRASH_RUNS sets how many times (the full trial is
200), LAMINA_CRASH_SEED the moments.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from lamina.client import Client, connect
from lamina.errors import LaminaError, Unavailable
from support.daemons import Daemon, lamina_daemon
from support.ledger import Ledger, empty

RUNS = int(os.environ.get("LAMINA_CRASH_RUNS", "12"))
SEED = int(os.environ.get("LAMINA_CRASH_SEED", "1"))
WORKERS = 3
LONGEST = 1.5
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(120 + 20 * RUNS)]


class Work:
    """One client that asks for one thing after the other, and notes what it is told is done."""

    def __init__(self, daemon: Daemon, ledger: Ledger, folder: Path, seed: str) -> None:
        self._daemon = daemon
        self._ledger = ledger
        self._folder = folder
        self._random = random.Random(seed)
        self._seed = seed
        self._count = 0
        self.failure: Exception | None = None

    def run(self, killed: threading.Event) -> None:
        """Work until the daemon is gone; what fails before that is a failure of the test."""
        kinds: list[Callable[[Client, str], None]] = [
            self.build,
            self.build,
            self.load,
            self.bring,
            self.commit,
            self.remove,
        ]
        try:
            with connect(self._daemon.host) as client:
                while not killed.is_set():
                    self._count += 1
                    self._random.choice(kinds)(client, f"image-{self._seed}-{self._count}")
        except (Unavailable, OSError, http.client.HTTPException) as error:
            if not killed.wait(5):  # the connection may break before this thread hears of the kill
                self.failure = error
        except LaminaError as error:
            error.add_note(f"in the work called {self._seed}-{self._count}")
            self.failure = error

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.choice([10, 20_000, 2_000_000]))

    def build(self, client: Client, tag: str) -> None:
        context = self._folder / tag
        context.mkdir()
        for number in range(self._random.randrange(1, 30)):
            (context / f"file{number}").write_bytes(self._bytes()[:50_000])
        run = self._random.choice(["", f"RUN echo {tag} > /made\n", "RUN cp -r /data /more && rm -r /data\n"])
        (context / "Dockerfile").write_text(
            f"FROM base\nCOPY . /data\n{run}LABEL tag={tag}\nRUN true\n"[: None if run else -9]
        )
        self._ledger.made(tag, client.build(context, tags=[tag], network="none").id)

    def load(self, client: Client, tag: str) -> None:
        archive, image = docker_archive(tag, self._bytes())
        client.images.load([archive])
        self._ledger.made(tag, image)

    def bring(self, client: Client, tag: str) -> None:
        client.images.import_tar([layer_tar(tag, self._bytes())], tag)
        self._ledger.made(tag, client.images.get(tag).id)

    def commit(self, client: Client, tag: str) -> None:
        config = {"Image": "base", "Cmd": ["sh", "-c", f"echo {tag} > /said"], "NetworkDisabled": True}
        container = client.containers.create(tag, config, {"NetworkMode": "none"}).id
        if self._random.random() < 0.5:
            client.containers.start(container)
            client.containers.wait(container)
        else:
            client.containers.put_archive(container, "/", [layer_tar(tag, self._bytes())])
        self._ledger.made(tag, client.images.commit(container, tag).id)
        client.containers.remove(container, force=True)

    def remove(self, client: Client, tag: str) -> None:
        with self._ledger.removing() as found:
            if found is not None:
                client.images.remove(found, force=True)


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


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


def work_and_kill(daemon: Daemon, ledger: Ledger, folder: Path, chance: random.Random, run: int) -> None:
    killed = threading.Event()
    workers = [Work(daemon, ledger, folder, f"{run}-{number}") for number in range(WORKERS)]
    threads = [threading.Thread(target=worker.run, args=(killed,)) for worker in workers]
    for thread in threads:
        thread.start()
    threading.Event().wait(chance.uniform(0, LONGEST))
    killed.set()
    daemon.kill()
    for thread in threads:
        thread.join()
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure


def start_again(daemon: Daemon, chance: random.Random) -> None:
    """Restart; sometimes the start itself is killed too."""
    while chance.random() < 0.3:
        with (daemon.folder / "log").open("ab") as log:
            started = subprocess.Popen(daemon.command, stdout=log, stderr=log, start_new_session=True)
        threading.Event().wait(chance.uniform(0, 0.8))
        started.kill()
        started.wait()
    daemon.start()


def test_nothing_reported_done_is_lost_and_nothing_is_left(daemon: Daemon, busybox_tar: Path, tmp_path: Path) -> None:
    with connect(daemon.host) as client:
        client.images.import_tar([busybox_tar.read_bytes()], "base")
        client.containers.start(client.containers.create(None, {"Image": "base", "Cmd": ["true"]}).id)
        empty(client)
        fresh = everything(daemon.folder)
        client.images.import_tar([busybox_tar.read_bytes()], "base")
    ledger = Ledger()
    chance = random.Random(SEED)
    for run in range(RUNS):
        work_and_kill(daemon, ledger, tmp_path, chance, run)
        start_again(daemon, chance)
        with connect(daemon.host) as client:
            ledger.check(client)
    assert ledger.reports > RUNS
    with connect(daemon.host) as client:
        empty(client)
    assert everything(daemon.folder) - fresh == set()
    daemon.stop()
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(daemon.folder) in line] == []
    assert processes_naming(str(daemon.folder)) == []


def everything(folder: Path) -> set[str]:
    """All paths below the data and exec roots, but for the database's own files."""
    paths = [path for root in ("d", "e") for path in (folder / root).rglob("*")]
    return {str(path.relative_to(folder)) for path in paths if not path.name.startswith("metadata.db")}


def processes_naming(text: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in command:
                found.append(command)
    return found
