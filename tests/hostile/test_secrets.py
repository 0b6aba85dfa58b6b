"""Secrets stay where they belong: in no log, no event, no process list, and no image."""

from __future__ import annotations

import base64
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.api import Http
from support.hostile import Target, attacked

pytestmark = pytest.mark.root

SECRET = "hunter2-7f3a9c"
NOWHERE = "127.0.0.1:1"
ENTRY = {"username": "user", "password": SECRET, "serveraddress": NOWHERE}
AUTH = base64.urlsafe_b64encode(json.dumps(ENTRY).encode()).decode()
CONFIG = base64.urlsafe_b64encode(json.dumps({NOWHERE: ENTRY}).encode()).decode()


@pytest.fixture(scope="module")
def talkative(busybox_tar: Path) -> Iterator[Target]:
    """A daemon that logs all it can."""
    with attacked(busybox_tar, "--debug") as target:
        yield target


def http(target: Target) -> Http:
    return Http(str(target.daemon.socket))


def command_lines() -> list[bytes]:
    """What any user of the machine sees of its processes."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes())
        except OSError:
            continue  # it has ended
    return lines


def _unseen(target: Target) -> None:
    for text in (SECRET, AUTH, CONFIG, base64.b64encode(f"user:{SECRET}".encode()).decode()):
        assert text not in target.daemon.log
    assert " DEBUG " in target.daemon.log, "the log tells nothing"


def test_passwords_for_registries_are_not_logged(talkative: Target) -> None:
    ask, headers = http(talkative), {"X-Registry-Auth": AUTH, "X-Registry-Config": CONFIG}
    assert ask("POST", "/auth", ENTRY).status >= 400
    assert ask("POST", f"/images/create?fromImage={NOWHERE}/x&tag=1", b"", headers).status >= 400
    assert ask("GET", f"/distribution/{NOWHERE}/x:1/json", None, headers).status >= 400
    assert ask("POST", f"/images/tag?repo={NOWHERE}/x", b"", headers).status >= 400
    assert ask("POST", f"/images/{NOWHERE}/x/push", b"", headers).status >= 400
    _unseen(talkative)


def test_what_builds_are_given_is_not_logged(talkative: Target) -> None:
    ask = http(talkative)
    arguments = quote(json.dumps({"TOKEN": SECRET}))
    for query in (f"buildargs={arguments}&memory=x", f"remote=http://user:{SECRET}@{NOWHERE}/x", "version=7"):
        answer = ask("POST", f"/build?buildargs={arguments}&{query}", b"", {"X-Registry-Config": CONFIG})
        assert answer.status == 200 or SECRET not in answer.message
        assert SECRET.encode() not in answer.body
    _unseen(talkative)


def test_environments_are_in_no_log_no_event_and_no_process_list(talkative: Target) -> None:
    entry = f"TOKEN={SECRET}"
    assert http(talkative)("POST", "/containers/create?name=a%20b", {"Image": "bb", "Env": [entry]}).status == 400
    assert http(talkative)("POST", "/containers/create", {"Image": "bb", "Env": [entry, "=x"]}).status == 400
    id = talkative.create("sleep", "300", Env=[entry])
    assert talkative.start(id).status == 204
    wish: dict[str, Any] = {"Cmd": ["sleep", "300"], "Env": [f"MORE={SECRET}"]}
    execution = talkative.ask("POST", f"/containers/{id}/exec", wish).json["Id"]
    assert talkative.ask("POST", f"/exec/{execution}/start", {"Detach": True}).status == 200
    sleeping = [line for line in command_lines() if line.startswith(b"sleep\x00300")]
    span = f"since=1&until={math.ceil(time.time())}"
    told = talkative.ask("GET", f"/events?{span}&filters=" + quote(json.dumps({"container": [id]})))
    lines = command_lines()
    talkative.remove(id)
    assert len(sleeping) >= 2
    assert b"exec_start" in told.body
    assert SECRET.encode() not in told.body
    assert not [line for line in lines if SECRET.encode() in line]
    _unseen(talkative)


def test_the_password_of_a_git_address_is_in_no_process_list(talkative: Target) -> None:
    """Whoever lists processes while git fetches sees the address without it, and the server is told it all the same."""
    heard: list[bytes] = []
    lines: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        listener.close()  # git asks twice
        with connection:
            while not heard or b"\r\n\r\n" not in heard[-1]:
                heard.append((heard[-1] if heard else b"") + connection.recv(65536))
            lines.extend(command_lines())
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        port = listener.getsockname()[1]
        address = quote(f"http://user:{quote(SECRET)}@127.0.0.1:{port}/x.git")
        answer = http(talkative)("POST", f"/build?remote={address}", b"")
        serving.join()
    assert [line for line in lines if b"git" in line and str(port).encode() in line], "git did not run"
    assert not [line for line in lines if SECRET.encode() in line]
    basic = base64.b64encode(f"user:{SECRET}".encode())
    assert b"Authorization: Basic " + basic in heard[-1]
    assert SECRET.encode() not in answer.body
    assert basic not in answer.body
    _unseen(talkative)
