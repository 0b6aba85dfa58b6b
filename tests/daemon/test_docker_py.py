"""docker-py, unmodified, against the daemon: containers, streams, images, networks, volumes, events."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest

from support.daemons import Daemon

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=daemon.host)
    yield client
    client.close()


@pytest.fixture(scope="module")
def busybox(client: docker.DockerClient, busybox_tree: Path) -> str:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(busybox_tree, arcname=".")
    client.api.import_image_from_data(content.getvalue(), repository="py-busybox", tag="1")
    return "py-busybox:1"


def test_run_gives_the_output(client: docker.DockerClient, busybox: str) -> None:
    assert client.containers.run(busybox, ["echo", "hello"], remove=True) == b"hello\n"


def test_a_failing_command_raises_with_its_status(client: docker.DockerClient, busybox: str) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run(busybox, ["sh", "-c", "echo bad >&2; exit 7"], remove=True, stderr=True)

    assert caught.value.exit_status == 7
    assert caught.value.stderr == b"bad\n"


def test_a_missing_image_is_not_found(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("no-such-image")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("no-such-container")


def test_exec_keeps_the_streams_apart(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.run(busybox, ["sleep", "100"], detach=True)
    try:
        result = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True)
        assert result.exit_code == 3
        assert result.output == (b"out\n", b"err\n")
    finally:
        container.remove(force=True)


def test_an_exec_is_framed_as_its_start_asks(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.run(busybox, ["sleep", "100"], detach=True)
    try:
        made = client.api.exec_create(container.id, ["echo", "hello"], tty=True)
        assert client.api.exec_start(made) == b"hello\r\n"
        made = client.api.exec_create(container.id, ["sh", "-c", "echo out; echo err >&2"])
        assert sorted(client.api.exec_start(made, tty=True).splitlines()) == [b"err", b"out"]
        made = client.api.exec_create(container.id, "cat", stdin=True, tty=True, detach_keys="ctrl-x")
        with client.api.exec_start(made, tty=True, socket=True)._sock as connection:
            connection.settimeout(20)
            connection.sendall(b"\x18")
            assert connection.recv(100) == b"", "keys to detach, spelled as docker-py spells them"
        client.api.kill(container.id)
        assert client.api.inspect_container(container.id)["State"]["ExitCode"] == 137
    finally:
        container.remove(force=True)


def test_attached_input_reaches_the_process_and_ends(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.create(busybox, ["cat"], stdin_open=True)
    connection = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    connection._sock.sendall(b"through and through\n")
    connection._sock.shutdown(1)
    try:
        assert container.wait(timeout=30)["StatusCode"] == 0
        assert container.logs() == b"through and through\n"
    finally:
        connection.close()
        container.remove(force=True)


def test_logs_follow_to_the_end(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.run(busybox, ["sh", "-c", "for i in 1 2 3; do echo $i; done"], detach=True)
    try:
        assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
        assert container.logs(tail=1) == b"3\n"
        assert container.attach(logs=True, stream=False) == b"1\n2\n3\n"
    finally:
        container.remove(force=True)


def test_files_go_in_and_come_out(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.create(busybox, ["true"])
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as archive:
        entry = tarfile.TarInfo("note")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"words"))
    try:
        assert container.put_archive("/tmp", sent.getvalue())
        chunks, stat = container.get_archive("/tmp/note")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile("note")
            assert member is not None
            assert member.read() == b"words"
        assert (stat["name"], stat["size"]) == ("note", 5)
        assert {"Path": "/tmp/note", "Kind": 1} in container.diff()
    finally:
        container.remove(force=True)


def test_a_published_port_is_shown_and_answers(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.run(
        busybox, ["busybox", "httpd", "-f", "-p", "80", "-h", "/etc"], detach=True, ports={"80/tcp": None}
    )
    try:
        container.reload()
        port = container.ports["80/tcp"][0]["HostPort"]
        container.exec_run(["busybox", "nc", "-z", "-w", "5", "127.0.0.1", "80"])
        with urlopen(f"http://127.0.0.1:{port}/passwd", timeout=10) as answer:
            assert answer.read().startswith(b"root:")
    finally:
        container.remove(force=True)


def test_a_network_is_joined_and_left_while_it_runs(client: docker.DockerClient, busybox: str) -> None:
    network = client.networks.create("py-net")
    container = client.containers.run(busybox, ["sleep", "100"], detach=True)
    try:
        network.connect(container, aliases=["other"])
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"]["py-net"]["IPAddress"]
        assert address.encode() in container.exec_run(["ip", "addr"]).output
        network.reload()
        assert [item.name for item in network.containers] == [container.name]
        with pytest.raises(docker.errors.APIError, match="active endpoints"):
            network.remove()
        network.disconnect(container)
        assert address.encode() not in container.exec_run(["ip", "addr"]).output
    finally:
        container.remove(force=True)
        network.remove()


def test_volumes_are_shared_and_in_use(client: docker.DockerClient, busybox: str) -> None:
    volume = client.volumes.create("py-volume")
    mounts = {"py-volume": {"bind": "/data", "mode": "rw"}}
    client.containers.run(busybox, ["sh", "-c", "echo kept > /data/x"], volumes=mounts, remove=True)
    container = client.containers.create(busybox, ["cat", "/data/x"], volumes=mounts)
    try:
        with pytest.raises(docker.errors.APIError, match="in use"):
            volume.remove()
        container.start()
        container.wait()
        assert container.logs() == b"kept\n"
    finally:
        container.remove(force=True)
        volume.remove()


def test_build_commit_and_history(client: docker.DockerClient, busybox: str) -> None:
    recipe = f"FROM {busybox}\nRUN echo built > /made\nENV A=b\n".encode()
    image, lines = client.images.build(fileobj=io.BytesIO(recipe), tag="py-built", rm=True)
    assert any("Successfully built" in line.get("stream", "") for line in lines)
    assert "A=b" in image.attrs["Config"]["Env"]
    container = client.containers.create(image, ["cat", "/made"])
    made = container.commit("py-committed", changes="ENV C=d")
    assert "C=d" in made.attrs["Config"]["Env"]
    container.remove()
    client.images.remove("py-committed")
    client.images.remove("py-built")


def test_errors_of_a_step_come_in_red(client: docker.DockerClient, busybox: str) -> None:
    script = io.BytesIO(f"FROM {busybox}\nRUN echo fine; echo bad >&2\n".encode())
    lines = [line.get("stream") for line in client.api.build(fileobj=script, decode=True, nocache=True, rm=True)]
    assert "fine\n" in lines
    assert "\x1b[91mbad\n\x1b[0m" in lines


def test_a_failing_build_tells_the_step(client: docker.DockerClient, busybox: str) -> None:
    with pytest.raises(docker.errors.BuildError, match="non-zero code: 5"):
        client.images.build(fileobj=io.BytesIO(f"FROM {busybox}\nRUN exit 5\n".encode()))


def test_stats_and_top(client: docker.DockerClient, busybox: str) -> None:
    container = client.containers.run(busybox, ["sleep", "100"], detach=True)
    try:
        sample = container.stats(stream=False)
        assert sample["memory_stats"]["usage"] > 0
        assert sample["precpu_stats"]["system_cpu_usage"] < sample["cpu_stats"]["system_cpu_usage"]
        assert "sleep" in str(container.top()["Processes"])
        first = next(iter(container.stats(decode=True)))
        assert first["id"] == container.id
    finally:
        container.remove(force=True)


def test_eight_containers_at_once(client: docker.DockerClient, busybox: str) -> None:
    outputs: list[bytes] = []

    def run(number: int) -> None:
        outputs.append(client.containers.run(busybox, ["echo", str(number)], remove=True))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outputs) == [f"{number}\n".encode() for number in range(8)]
