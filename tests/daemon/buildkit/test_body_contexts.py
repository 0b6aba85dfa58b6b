"""BuildKit's builds whose context is the request's body: dockerode and testcontainers for Node send it like this."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.daemon.buildkit.messages.status import StatusResponse
from support.api import Answer, Http
from support.daemons import Daemon, lamina_daemon
from support.tars import tar

pytestmark = pytest.mark.root

SHOWING = b"FROM base\nCOPY word /\nRUN --mount=type=cache,target=/c echo it says $(cat /word)\n"


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        image = Http(str(daemon.socket))("POST", "/images/create?fromSrc=-&repo=base", busybox_tar.read_bytes())
        assert image.status == 200
        yield daemon


def build(daemon: Daemon, body: bytes, query: str = "") -> Answer:
    answer = Http(str(daemon.socket))("POST", f"/build?version=2{query}", body, {"Content-Type": "application/x-tar"})
    assert answer.status == 200, answer.body
    return answer


def output(answer: Answer) -> str:
    """What the steps of a build printed."""
    traces = [line["aux"] for line in answer.lines if line.get("id") == "moby.buildkit.trace"]
    logs = [log for trace in traces for log in StatusResponse.decode(base64.b64decode(trace)).logs]
    return b"".join(log.message for log in logs).decode()


def test_a_tar_is_built_without_a_session(daemon: Daemon) -> None:
    answer = build(daemon, tar({"Dockerfile": SHOWING, "word": b"hello"}), "&t=named&nocache=1")

    assert "it says hello\n" in output(answer)
    image = Http(str(daemon.socket))("GET", "/images/named/json").json
    assert [line["aux"]["ID"] for line in answer.lines if line["id"] == "moby.image.id"] == [image["Id"]]


def test_the_named_dockerfile_is_used(daemon: Daemon) -> None:
    context = {"Dockerfile": b"FROM nosuch\n", "sub/Other": SHOWING, "word": b"bye"}
    assert "it says bye\n" in output(build(daemon, tar(context), "&dockerfile=sub/Other&nocache=1"))


def test_a_dockerfile_alone_is_built(daemon: Daemon) -> None:
    assert "alone\n" in output(build(daemon, b"FROM base\nRUN echo alone\n", "&nocache=1"))


def test_a_session_that_never_comes_is_not_needed(daemon: Daemon) -> None:
    context = tar({"Dockerfile": SHOWING, "word": b"still"})
    assert "it says still\n" in output(build(daemon, context, "&session=nosuch&nocache=1"))


def test_what_only_a_session_has_is_missed_by_name(daemon: Daemon) -> None:
    asking = b"FROM base\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token\n"
    assert "secret token: not found" in build(daemon, asking).lines[-1]["error"]
    assert "no active sessions" in build(daemon, b"", "&remote=client-session").lines[-1]["error"]


def test_an_empty_body_holds_no_dockerfile(daemon: Daemon) -> None:
    assert "Dockerfile" in build(daemon, b"").lines[-1]["error"]
