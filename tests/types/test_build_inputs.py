"""Secrets, named contexts and ssh agents of a build: the same by an engine and by a client, near and far."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import lamina
from lamina.types import (
    BuildRequest,
    Cancellation,
    Cancelled,
    CommandFailed,
    InvalidInput,
    LaminaError,
    Library,
    MemoryContext,
    NotFound,
    TooLarge,
)
from support.daemons import Daemon, lamina_daemon
from support.processes import processes_naming
from support.waiting import eventually

pytestmark = pytest.mark.root
PAGE = Path(__file__).parents[2] / "docs" / "build-api.md"
SIDES = ("engine", "near", "far")


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def daemon(port: int) -> Iterator[Daemon]:
    with lamina_daemon("--tls=false", "--host", f"tcp://127.0.0.1:{port}") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def libraries(
    daemon: Daemon, port: int, busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Library]]:
    """An engine in this process, a client that the daemon shares a machine with, and one that it does not."""
    root = tmp_path_factory.mktemp("engine")
    with lamina.connect(daemon.host) as near, lamina.connect(f"tcp://127.0.0.1:{port}") as far:
        with lamina.Engine(root / "data", root / "exec") as engine:
            libraries: dict[str, Library] = dict(zip(SIDES, (engine, near, far), strict=True))
            for library in (engine, near):
                with busybox_tar.open("rb") as tar:
                    library.images.import_tar(tar, "base")
            yield libraries


@pytest.fixture(params=SIDES)
def library(request: pytest.FixtureRequest, libraries: dict[str, Library]) -> Library:
    return libraries[request.param]


def build(
    library: Library,
    *steps: str,
    secrets: dict[str, bytes] | None = None,
    contexts: dict[str, str] | None = None,
    agents: dict[str, str] | None = None,
) -> str:
    """Build these steps on the base, and return the image's ID."""
    dockerfile = "\n".join(["FROM base", *steps])
    request = BuildRequest(no_cache=True, contexts=contexts or {}, agents=agents or {})
    return library.builds.build(MemoryContext(dockerfile), request, secrets=secrets).image.id


def test_a_secret_is_in_its_step_and_nowhere_else(library: Library) -> None:
    value = b"open sesame\0\r\n--x\r\n"
    step = "RUN --mount=type=secret,id=word [ $(sha256sum < /run/secrets/word | cut -c1-8) = %s ]"
    image = build(library, step % _sum(value), secrets={"word": value})
    assert image == build(library, step % _sum(value), secrets={"word": value, "other": b""})
    with pytest.raises(CommandFailed):
        build(library, step % _sum(value), secrets={"word": value + b"!"})
    with pytest.raises(CommandFailed):
        build(library, "RUN test -e /run/secrets/word", secrets={"word": value})


def _sum(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:8]


def test_a_secret_has_a_bound(library: Library) -> None:
    build(library, secrets={"large": b"x" * (500 << 10)})
    with pytest.raises(TooLarge) as caught:
        build(library, secrets={"large": b"x" * ((500 << 10) + 1)})
    assert "large" in caught.value.message


def test_names_mean_folders_and_images(library: Library, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("1")
    (tmp_path / "left").write_text("2")
    (tmp_path / ".dockerignore").write_text("left\n")
    contexts = {"files": str(tmp_path), "another": "docker-image://base", "nothing": "docker-image://scratch"}
    steps = (
        "COPY --from=files . /x/",
        'RUN [ "$(cd /x; echo *)" = kept ]',
        "RUN --mount=from=files,target=/y cat /y/kept",
        "COPY --from=another /bin/busybox /again",
        "FROM nothing",
        "COPY --from=files kept /",
    )
    image = library.images.get(build(library, *steps, contexts=contexts))
    assert len(image.diff_ids) == 1


def test_named_folders_are_made_into_one_image(libraries: dict[str, Library], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "a").chmod(0o640)
    steps = ("FROM files", "COPY --from=files --chmod=4755 a /b")
    assert len({build(each, *steps, contexts={"files": str(tmp_path)}) for each in libraries.values()}) == 1


def test_a_context_that_is_not_there(library: Library, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        build(library, "COPY --from=files a /", contexts={"files": str(tmp_path / "missing")})
    with pytest.raises(InvalidInput):
        build(library, "COPY --from=files a /", contexts={"files": "docker-image://"})
    with pytest.raises(InvalidInput, match="OCI layout"):
        build(library, contexts={"files": "oci-layout:///x"})


def test_builds_of_named_contexts_leave_no_records(library: Library, tmp_path: Path) -> None:
    before = len(library.builds.history())
    build(library, "COPY --from=files . /", contexts={"files": str(tmp_path)})
    assert len(library.builds.history()) == before + 1


def test_a_far_client_names_no_folder_and_no_agent(daemon: Daemon, port: int, libraries: dict[str, Library]) -> None:
    for parameter in ('contexts={"a":"/etc"}', 'agents={"default":"/run/agent"}'):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        tar = MemoryContext("FROM base\n").to_tar()
        connection.request("POST", f"/build?{quote(parameter, safe='=')}", tar)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert "unix socket only" in text, text


class Agent:
    """Something that listens as an ssh agent does, and answers in capitals."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(100):
                    connection.sendall(data.upper())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def agent() -> Iterator[Agent]:
    from support.daemons import short_folder

    with short_folder("agent-") as folder:
        agent = Agent(folder / "s")
        yield agent
        agent.close()


@pytest.mark.parametrize("side", ["engine", "near"])
def test_an_agent_answers_while_its_step_runs(
    side: str, libraries: dict[str, Library], daemon: Daemon, agent: Agent, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = daemon.folder if side == "near" else tmp_path_factory.getbasetemp()
    cancellation = Cancellation()
    errors: list[LaminaError] = []

    def work() -> None:
        dockerfile = "FROM base\nRUN --mount=type=ssh,id=mine sleep 76543\n"
        request = BuildRequest(no_cache=True, agents={"mine": str(agent.path)})
        try:
            libraries[side].builds.build(MemoryContext(dockerfile), request, cancellation=cancellation)
        except LaminaError as error:
            errors.append(error)

    building = threading.Thread(target=work)
    building.start()
    eventually(lambda: bool(processes_naming("sleep 76543")))
    (path,) = root.rglob("ssh-0")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path) if len(str(path)) < 100 else _short(path))
        connection.sendall(b"question")
        assert connection.recv(100) == b"QUESTION"
        cancellation.cancel("enough")
        building.join(60)
        assert connection.recv(100) == b""  # the connection ends with the step
    assert [type(error) for error in errors] == [Cancelled]
    eventually(lambda: not path.exists() and not processes_naming("sleep 76543"))


def _short(path: Path) -> str:
    return f"/proc/self/fd/{os.open(path.parent, os.O_PATH)}/{path.name}"


@pytest.mark.parametrize("side", ["engine", "near"])
def test_an_agent_that_is_none(side: str, libraries: dict[str, Library], tmp_path: Path) -> None:
    library = libraries[side]
    with pytest.raises(NotFound, match="no ssh agent"):
        build(library, agents={"default": str(tmp_path / "missing")})
    (tmp_path / "key").write_text("-----BEGIN")
    with pytest.raises(InvalidInput, match="not the socket"):
        build(library, agents={"default": str(tmp_path / "key")})
    with pytest.raises(CommandFailed):
        build(library, 'RUN --mount=type=ssh test -n "$SSH_AUTH_SOCK"')


def test_the_example_with_docker_py(daemon: Daemon, libraries: dict[str, Library]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    exec(compile(code, str(PAGE), "exec"), {"host": daemon.host})
    assert libraries["near"].images.get("with-secret").tags == ("with-secret:latest",)
    assert "1234" not in daemon.log
