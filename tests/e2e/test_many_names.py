"""Many containers on one network, started at once: each finds another, across a crash of the daemon, and none leaks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from network.sandboxes import ask
from support.daemons import Daemon, dockerd, lamina_daemon
from support.memory import Held, held
from support.processes import processes_naming
from support.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.peer]

CONTAINERS = int(os.environ.get("LAMINA_NAME_CONTAINERS", "24"))
CLIENTS = 16
FEW = 6  # containers whose memory is measured beside that of dockerd's
SERVER = "while :; do nc -l -p 80 -e hostname; done"
NETWORK = "many"


@pytest.fixture
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        daemon.docker("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        yield daemon


def all_at_once(work: Callable[[int], str]) -> list[str]:
    """What `work` gives for the number of each container, done by many clients."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(work, range(CONTAINERS)))


def neighbour(number: int) -> int:
    return (number + 1) % CONTAINERS


def reached(daemon: Daemon, number: int) -> str:
    """What the neighbour of a container says when it is reached by its name; tried again while its server starts."""
    name = f"c{neighbour(number)}"
    script = f"for i in 1 2 3 4 5 6 7 8 9; do nc -w 5 {name} 80 && exit; sleep 1; done; exit 1"
    return daemon.text("exec", f"c{number}", "sh", "-c", script)


def resolved(daemon: Daemon, number: int) -> str:
    """The address that a container's neighbour has by its name."""
    shown = daemon.text("exec", f"c{number}", "nslookup", "-type=a", f"c{neighbour(number)}.{NETWORK}")
    return shown.rpartition("Address: ")[2].split()[0]


def namespaces(daemon: Daemon) -> list[str]:
    return os.listdir(daemon.folder / "e/netns")


def bridge_ports(daemon: Daemon) -> Sequence[str]:
    """The host's interfaces in the network."""
    bridge = f"br-{daemon.text('network', 'inspect', '-f', '{{.Id}}', NETWORK)[:12]}"
    shown = subprocess.run(["ip", "-o", "link", "show", "master", bridge], capture_output=True, text=True, check=True)
    return shown.stdout.splitlines()


def keeper(daemon: Daemon) -> int:
    lines = processes_naming(str(daemon.folder / "e/names"))
    return min(int(line.partition(":")[0]) for line in lines)


def descriptors(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def monitors(daemon: Daemon) -> list[int]:
    """The monitors of the daemon's containers: the parents of their first processes."""
    pids = daemon.text("inspect", "-f", "{{.State.Pid}}", *daemon.text("ps", "-q").split()).split()
    return [int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in pids]


def memory_of_idle_containers(daemon: Daemon) -> Mapping[str, Held]:
    """What a container costs that does nothing, by the processes that are there for it."""
    names = [int(line.partition(":")[0]) for line in processes_naming(str(daemon.folder / "e/names"))]
    own, shared = held(monitors(daemon), CONTAINERS), held(names, CONTAINERS)
    return {
        "monitor": own,
        "share of the name server and its keeper": shared,
        "together": Held(own.private + shared.private, own.proportional + shared.proportional),
    }


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[Mapping[str, Held]], None]:
    """Print figures, whether the test fails or not."""

    def show(figures: Mapping[str, Held]) -> None:
        with capsys.disabled():
            print("", *(f"memory of an idle container, {what}: {each}" for what, each in figures.items()), sep="\n")

    return show


def test_an_idle_container_costs_no_more_than_with_dockerd(
    daemon: Daemon, busybox_tar: Path, report: Callable[[Mapping[str, Held]], None]
) -> None:
    for _ in range(FEW):
        daemon.docker("run", "-d", "--network", "none", "bb", "sleep", "1000")
    ours = held(monitors(daemon), FEW)
    with dockerd() as other:
        other.docker("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        for _ in range(FEW):
            other.docker("run", "-d", "--network", "none", "bb", "sleep", "1000")
        lines = [line for line in processes_naming(str(other.folder)) if "containerd-shim" in line]
        shims = held([int(line.partition(":")[0]) for line in lines], FEW)
        other.docker("rm", "-f", *other.text("ps", "-q").split())
    report({"our monitor": ours, "containerd-shim": shims})
    assert ours.proportional <= shims.proportional


def test_each_of_many_finds_another(daemon: Daemon, report: Callable[[Mapping[str, Held]], None]) -> None:
    daemon.docker("network", "create", NETWORK)

    def run(number: int) -> str:
        places = ("--name", f"c{number}", "-h", f"host{number}", "--network", NETWORK, "--network-alias", "all")
        return daemon.text("run", "-d", *places, "bb", "sh", "-c", SERVER)

    ids = all_at_once(run)
    expected = [f"host{neighbour(number)}" for number in range(CONTAINERS)]
    assert all_at_once(lambda number: reached(daemon, number)) == expected
    shape = '{{(index .NetworkSettings.Networks "' + NETWORK + '").IPAddress}}'
    addresses = daemon.text("inspect", "-f", shape, *ids).split()
    assert all_at_once(lambda number: resolved(daemon, number)) == [*addresses[1:], addresses[0]]
    namespace = Path(f"/proc/{daemon.text('inspect', '-f', '{{.State.Pid}}', 'c0')}/ns/net")
    assert sorted(map(str, ask(namespace, "all", tcp=True).data)) == sorted(addresses)

    report(memory_of_idle_containers(daemon))
    kept = keeper(daemon)
    daemon.kill()
    assert ask(namespace, "c1").data == [addresses[1]], "names are answered while there is no daemon"
    daemon.start()
    assert keeper(daemon) == kept
    assert all_at_once(lambda number: resolved(daemon, number)) == [*addresses[1:], addresses[0]]
    assert all_at_once(lambda number: reached(daemon, number)) == expected

    before = descriptors(kept)
    all_at_once(lambda number: daemon.text("rm", "-f", f"c{number}"))
    eventually(lambda: not bridge_ports(daemon), 60)
    assert namespaces(daemon) == []
    eventually(lambda: not os.listdir(daemon.folder / "e/endpoints"))  # the record goes after the interface
    assert os.listdir(daemon.folder / "e/names/sandboxes") == []
    assert descriptors(kept) <= before - 2 * CONTAINERS
    daemon.docker("network", "rm", NETWORK)
    daemon.stop()
    assert eventually(lambda: not processes_naming(str(daemon.folder)))
