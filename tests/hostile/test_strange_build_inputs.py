"""What a build is given is the caller's own: no agent of another user, no folder that the caller may not read."""

from __future__ import annotations

import http.client
import os
import socket
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.engine.build_client import BuildClient
from lamina.engine.build_inputs import CallerInputs
from lamina.engine.engine import Engine
from lamina.engine.local_agents import local_agents
from lamina.errors import Forbidden, InvalidInput
from lamina.linux.processes import Caller
from support.daemons import Daemon, lamina_daemon, short_folder

pytestmark = pytest.mark.root
STRANGER = Caller(4242, 4242)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with short_folder("inputs-") as folder:
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def agent(folder: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent"))
        listener.listen()
        yield folder / "agent"


@pytest.mark.parametrize("mode", [0o600, 0o777])
def test_an_agent_of_another_user_is_refused(agent: Path, mode: int) -> None:
    agent.chmod(mode)
    with pytest.raises(Forbidden), local_agents({"default": str(agent)}, STRANGER):
        pass
    os.chown(agent, STRANGER.uid, STRANGER.gid)
    with local_agents({"default": str(agent)}, STRANGER) as agents:
        assert agents.offers("default")


def test_an_agent_behind_a_closed_folder_is_refused(folder: Path, agent: Path) -> None:
    os.chown(agent, STRANGER.uid, STRANGER.gid)
    folder.chmod(0o700)
    with pytest.raises(Forbidden), local_agents({"default": str(agent)}, STRANGER):
        pass


def test_the_socket_that_was_checked_is_the_one_that_is_used(folder: Path, agent: Path) -> None:
    os.chown(agent, STRANGER.uid, STRANGER.gid)
    with local_agents({"default": str(agent)}, STRANGER) as agents:
        agent.rename(folder / "away")
        with socket.socket(socket.AF_UNIX) as roots, socket.socket(socket.AF_UNIX) as step:
            roots.bind(str(agent))
            roots.listen()
            roots.settimeout(0)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(folder / "step"))
            listener.listen()
            stop = agents.serve("default", listener)
            step.connect(str(folder / "step"))
            stop()
            assert step.recv(1) == b""  # served to its end
            with pytest.raises(BlockingIOError):
                roots.accept()


def test_a_named_folder_is_read_as_the_caller(data_root: Path, folder: Path) -> None:
    (folder / "mine").write_text("1")
    (folder / "roots").write_text("2")
    (folder / "roots").chmod(0o600)
    request = BuildRequest(contexts={"files": str(folder)})
    with Engine(data_root) as engine:
        inputs = engine.builds.inputs
        with inputs.opened(request, BuildClient(), CallerInputs(caller=STRANGER)) as client, pytest.raises(Forbidden):
            client.contexts.find("files")
        with inputs.opened(request, BuildClient(), CallerInputs()) as client:
            assert client.contexts.find("files") is not None


def test_a_far_caller_names_neither(data_root: Path, agent: Path, folder: Path) -> None:
    with Engine(data_root) as engine:
        for request in (BuildRequest(agents={"a": str(agent)}), BuildRequest(contexts={"a": str(folder)})):
            with (
                pytest.raises(Forbidden),
                engine.builds.inputs.opened(request, BuildClient(), CallerInputs(local=False)),
            ):
                pass


def test_relative_agents_are_refused() -> None:
    with pytest.raises(InvalidInput), local_agents({"default": "agent"}):
        pass


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


def _tar() -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(b"FROM scratch\n")
        archive.addfile(member, BytesIO(b"FROM scratch\n"))
    return stream.getvalue()


def part(name: str, content: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), content)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--other\r\n\r\n",
        part("secret:", b"x") + b"--b--\r\n",
        part("secret:a", b"x") + part("secret:a", b"y") + b"--b--\r\n",
        part("what", b"x") + b"--b--\r\n",
        part("secret:a", b"x" * (501 << 10)) + b"--b--\r\n",
        part("context:a", b"no tar at all" * 100) + part("context", _tar()) + b"--b--\r\n",
        part("secret:a", b"x") + b"--b--\r\n",
        part("secret:a", b"x")[:-9],
        b"".join(part(f"secret:{number}", b"") for number in range(200)) + b"--b--\r\n",
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n\r\n--c--\r\n--b--\r\n",
    ],
)
def test_parts_that_make_no_sense_are_refused(daemon: Daemon, body: bytes) -> None:
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(daemon.socket))
    connection.request("POST", "/build", body, {"Content-Type": "multipart/form-data; boundary=b"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status in (400, 404, 413) or '"error"' in text, (answer.status, text)
    assert answer.status != 500, text
    assert "Traceback" not in daemon.log
    assert not list((daemon.folder / "d").rglob("context-*"))
