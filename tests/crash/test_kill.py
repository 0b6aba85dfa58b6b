"""`kill -9` of the daemon at random moments of all that changes something, again and again.

Each life has one kind of work in its sights, and is killed at a moment that is anywhere from the beginning of that work
to a little after the longest time it ever took; two more clients do whatever comes. After each restart all that was
reported done is there and verifies, and nothing is there of what was under way. After the last one a prune leaves what
a fresh engine has. LAMINA_CRASH_RUNS sets how many lives (the full trial is 200), LAMINA_CRASH_SEED the moments.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.work import BRIDGE_NAME, BRIDGES, CGROUP, KINDS, Work
from lamina.client import Client, connect
from support import traces
from support.daemons import Daemon, lamina_daemon
from support.ledger import Ledger, empty
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]

RUNS = int(os.environ.get("LAMINA_CRASH_RUNS", "20"))
SEED = int(os.environ.get("LAMINA_CRASH_SEED", "1"))
WORKERS = 3
LONGEST = 6.0  # seconds a life may last
SETTLING = 15.0  # seconds an engine that was just started may take to put everything in order
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(120 + 30 * RUNS)]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon
    traces.forget_cgroup(CGROUP)


class Trial:
    """One daemon that lives again and again."""

    def __init__(self, daemon: Daemon, registry: str, folder: Path) -> None:
        self.daemon = daemon
        self.registry = registry
        self.ledger = Ledger()
        self._folder = folder
        self._chance = random.Random(SEED)
        self._took: dict[str, float] = {}

    def live(self, number: int) -> None:
        """Work, be killed, start again, and look."""
        self._work_and_kill(number, KINDS[number % len(KINDS)])
        self._start_again()
        with connect(self.daemon.host) as client:
            self.ledger.check(client)
            self._look(client)
            client.networks.prune()

    def _work_and_kill(self, number: int, aim: str) -> None:
        killed = threading.Event()
        place = (self.daemon, self.registry, self.ledger, self._folder)
        workers = [Work(*place, f"{number}-{who}") for who in range(1, WORKERS)]
        workers.append(Work(*place, f"{number}-0", aim))
        threads = [threading.Thread(target=worker.run, args=(killed,)) for worker in workers]
        for thread in threads:
            thread.start()
        workers[-1].begun.wait()
        killed.wait(self._chance.uniform(0, min(LONGEST, 1.2 * self._took.get(aim, 0.8))))
        killed.set()
        self.daemon.kill()
        for thread in threads:
            thread.join()
        for worker in workers:
            if worker.failure is not None:
                raise worker.failure
            for kind, seconds in worker.took.items():
                self._took[kind] = max(seconds, self._took.get(kind, 0))

    def _start_again(self) -> None:
        """Restart; sometimes the start itself is killed too."""
        while self._chance.random() < 0.3:
            with (self.daemon.folder / "log").open("ab") as log:
                started = subprocess.Popen(self.daemon.command, stdout=log, stderr=log, start_new_session=True)
            threading.Event().wait(self._chance.uniform(0, 1.5))
            started.kill()
            started.wait()
        self.daemon.start()

    def _look(self, client: Client) -> None:
        """Nothing is there of what was under way when the daemon died."""
        deadline = time.monotonic() + SETTLING
        while found := self._left(client):
            assert time.monotonic() < deadline, "\n".join(found)
            threading.Event().wait(0.1)

    def _left(self, client: Client) -> list[str]:
        listed = client.containers.list(all=True)
        running = {container.id for container in listed if container["State"] == "running"}
        found = traces.strangers(self.daemon.folder, {container.id for container in listed}, running, CGROUP)
        bridges = {network["Options"].get(BRIDGE_NAME) for network in client.networks.list()}
        found += [f"interface {name}" for name in traces.interfaces(BRIDGES) - bridges]
        return found + traces.unfinished(self.daemon.folder)


def test_nothing_reported_done_is_lost_and_nothing_is_left(
    daemon: Daemon, registry: Running, busybox_tar: Path, tmp_path: Path
) -> None:
    with connect(daemon.host) as client:
        client.images.import_tar([busybox_tar.read_bytes()], "base", changes=["ENV PATH=/bin:/sbin"])
        Work(daemon, registry.address, Ledger(), tmp_path, "first").each(client)
        empty(client)
        fresh, fresh_rows = traces.everything(daemon.folder), traces.rows(daemon.folder)
        client.images.import_tar([busybox_tar.read_bytes()], "base", changes=["ENV PATH=/bin:/sbin"])
    trial = Trial(daemon, registry.address, tmp_path)
    for number in range(RUNS):
        trial.live(number)
    assert trial.ledger.reports > RUNS / 4, "hardly any work was done before the kills"
    with connect(daemon.host) as client:
        empty(client)
    assert traces.everything(daemon.folder) - fresh == set()
    assert traces.rows(daemon.folder) == fresh_rows
    daemon.stop()
    assert traces.on_the_machine(daemon.folder) == []
    assert traces.cgroups(CGROUP) == []
    assert traces.damage(daemon.folder) == []
