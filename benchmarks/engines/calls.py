"""Rows that call the API without a command line: single calls, long lists, and what an engine takes for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from engines.gauges import processes, processor_time
from engines.samples import Sample
from engines.subjects import KEPT, Subject
from lamina.client import Client
from lamina.types import Config, ExecConfig, HostConfig

CROWD = 400  # images and containers in the rows of long lists
_CALLS = 10  # of which the mean is taken where a clock is coarse
_NO_NETWORK = HostConfig(network_mode="none")


def timed(call: Callable[[Client], object]) -> Callable[[Subject], Sample]:
    """Return a measurement of one call."""
    return lambda subject: subject.call(call)


def warm_up(client: Client) -> None:
    """Have this process load the classes of all answers: else the first engine in a row would pay for that."""
    list_images(client)
    live(client)
    execute(client)
    client.containers.list(all=True)
    client.disk_usage()


def list_images(client: Client) -> None:
    """List the images."""
    client.images.list()


def live(client: Client) -> None:
    """Create a container, start it, wait for its end, and remove it."""
    container = client.containers.create(None, Config(image="base", cmd=("true",)), _NO_NETWORK).id
    with client.containers.waiting(container, "next-exit") as waiting:
        client.containers.start(container)
        assert waiting.result().exit_code == 0
    client.containers.remove(container)


def first_output(client: Client) -> str:
    """Create and start a container, and read what a command in it writes. Return the container's ID."""
    config = Config(image="base", cmd=("sleep", "1000"))
    container = client.containers.create(None, config, _NO_NETWORK).id
    client.containers.start(container)
    execute(client, container)
    return container


def execute(client: Client, container: str = KEPT) -> None:
    """Run a command in a container, and read its output."""
    request = ExecConfig(cmd=("echo", "here"), attach_stdout=True)
    with client.containers.exec_start(client.containers.exec_create(container, request), tty=False) as stream:
        assert b"".join(data for _, data in stream) == b"here\n"


def commit(client: Client) -> None:
    """Make an image of a container in which a file was changed."""
    client.containers.commit(KEPT, "committed", pause=False)


def measure_first_output(subject: Subject) -> Sample:
    """Return the time until the first output, with the container's removal left out."""
    containers: list[str] = []
    sample = subject.call(lambda client: containers.append(first_output(client)))
    subject.prepare("rm", "-f", *containers)
    return sample


def engine_time(call: Callable[[Client], object]) -> Callable[[Subject], Sample]:
    """Return a measurement of the processor time that the engine takes for one call."""

    def measure(subject: Subject) -> Sample:
        assert subject.client is not None
        pids = processes(subject.pid)
        call(subject.client)
        begin = processor_time(pids)
        for _ in range(_CALLS):
            call(subject.client)
        return Sample((processor_time(pids) - begin) / _CALLS)

    return measure


def crowd(subject: Subject) -> None:
    """Fill an engine with as many images and containers as the long lists have. A second time does nothing."""
    client = subject.client
    assert client is not None
    missing = CROWD - len(client.images.list())
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: _image(client, number), range(max(0, missing))))
        missing = CROWD - len(client.containers.list(all=True))
        list(threads.map(lambda number: _container(client), range(max(0, missing))))


def _image(client: Client, number: int) -> None:
    client.containers.commit(KEPT, f"crowd:{number}", pause=False, changes=[f"LABEL number={number}"])


def _container(client: Client) -> None:
    client.containers.create(None, Config(image="base", cmd=("true",)), _NO_NETWORK)
