"""Client libraries, unmodified: testcontainers, aiodocker and python-on-whales do with lamina what their users do."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiodocker
import pytest
from python_on_whales import DockerClient
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from support.daemons import Daemon, lamina_daemon
from support.programs import CLIENT_20, need

pytestmark = [pytest.mark.root, pytest.mark.peer]


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        daemon.docker("import", str(busybox_tar), "base")
        yield daemon


@pytest.fixture
def testcontainers(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings. The reaper is an image at Docker Hub, which no test may need."""
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setattr("testcontainers.core.config.testcontainers_config.ryuk_disabled", True)


@pytest.mark.usefixtures("testcontainers")
def test_testcontainers_start_wait_for_and_stop_what_tests_need(daemon: Daemon) -> None:
    serve = "mkdir /w; echo fine > /w/index.html; echo ready; exec httpd -f -p 80 -h /w"
    with Network() as network:
        server = DockerContainer("base").with_command(["sh", "-c", serve]).with_exposed_ports(80)
        server = server.with_network(network).with_network_aliases("server")
        with server.waiting_for(LogMessageWaitStrategy("ready")) as running:
            assert running.exec(["wget", "-qO-", "http://127.0.0.1/"]).output == b"fine\n"
            assert int(running.get_exposed_port(80)) > 0
            client = DockerContainer("base").with_command("nslookup server").with_network(network)
            with client.waiting_for(LogMessageWaitStrategy(r"Name:\s+server")):
                pass
    assert not daemon.text("ps", "-aq")


def test_aiodocker_makes_runs_and_watches_containers(daemon: Daemon) -> None:
    async def use() -> None:
        async with aiodocker.Docker(url=daemon.host) as docker:
            events = docker.events.subscribe(since=int(time.time()))  # it connects when it comes to it
            config = {"Image": "base", "Cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"]}
            container = await docker.containers.run(config=config, name="aio")
            assert (await container.wait())["StatusCode"] == 3
            assert await container.log(stdout=True, stderr=True) == ["out\n", "err\n"]
            await container.put_archive("/tmp", _tar("f", b"text"))
            member = (await container.get_archive("/tmp/f")).extractfile("f")
            assert member is not None
            assert member.read() == b"text"
            await container.delete(force=True)
            actions = []
            while "destroy" not in actions:
                event = await events.get()
                if event["Actor"]["ID"] == container.id:
                    actions.append(event["Action"])
            assert [action for action in actions if action in ("create", "start", "die")] == ["create", "start", "die"]

    asyncio.run(asyncio.wait_for(use(), 60))


def _tar(name: str, content: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


def test_python_on_whales_drives_dockers_own_client(daemon: Daemon, tmp_path: Path) -> None:
    whales = DockerClient(host=daemon.host, client_call=[need(CLIENT_20)])
    assert whales.run("base", ["echo", "hello"], remove=True) == "hello"
    with whales.run("base", ["sleep", "1000"], detach=True, name="whale") as container:
        assert container.state.running
        (tmp_path / "in").write_text("copied")
        container.copy_to(tmp_path / "in", "/in")
        assert container.execute(["cat", "/in"]) == "copied"
        assert [other.name for other in whales.container.list()] == ["whale"]
        assert whales.volume.create("waves").name == "waves"
        whales.volume.remove("waves")
        whales.container.stop(container, time=1)
    assert not whales.container.list(all=True)
    assert {image.repo_tags[0] for image in whales.image.list() if image.repo_tags} == {"base:latest"}
    assert whales.system.info().server_version
