"""Thousands of requests that nobody would write: each gets an answer in Docker's form, none hurts the daemon."""

from __future__ import annotations

import io
import json
import random
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.fuzzing import Fuzzer
from support.api import Answer, Http
from support.daemons import Daemon, lamina_daemon

pytestmark = pytest.mark.root
REQUESTS = 1500
MOST_MEGABYTES = 60  # that the daemon may grow by


@pytest.fixture(scope="module")
def victim() -> Iterator[Daemon]:
    """A daemon of its own: the fuzzer prunes what others would miss. It logs what it can: that must not fail either."""
    with lamina_daemon("--debug") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def api(victim: Daemon) -> Http:
    return Http(str(victim.socket))


@pytest.fixture(scope="module")
def fuzzer(api: Http, busybox_tree: Path) -> Fuzzer:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(busybox_tree, arcname=".")
    assert api("POST", "/images/create?fromSrc=-&repo=target&tag=latest", content.getvalue()).status == 200
    body = {"Image": "target", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    made = api("POST", "/containers/create?name=target", body).json["Id"]
    small = io.BytesIO()
    with tarfile.open(fileobj=small, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(b"FROM target\nENV A=1\n")
        archive.addfile(member, io.BytesIO(b"FROM target\nENV A=1\n"))
    return Fuzzer(("target", made, made[:12], "bridge", "none"), "target", random.Random(20), small.getvalue())


def test_requests_nobody_would_write_are_answered_and_hurt_nothing(victim: Daemon, api: Http, fuzzer: Fuzzer) -> None:
    assert victim.process is not None
    before = _megabytes(victim.process.pid)

    def ask(request: tuple[str, str, bytes | None]) -> list[str]:
        method, target, body = request
        kind = "application/x-tar" if any(word in target for word in ("archive", "build", "load", "fromSrc")) else ""
        answer = api(method, target, body, {"Content-Type": kind or "application/json"})
        _undo(api, target, answer)
        wrong = answer.status >= 500 and answer.status not in (501, 503)
        wrong |= "json" in answer.headers.get("content-type", "") and b"internal error" in answer.body
        wrong |= answer.status >= 400 and method != "HEAD" and not answer.message
        shown = f"{method} {target[:300]} {(body or b'')[:800]!r}: {answer.status} {answer.body[:300]!r}"
        return [shown] if wrong else []

    with ThreadPoolExecutor(4) as threads:
        found = [line for lines in threads.map(ask, fuzzer.requests(REQUESTS)) for line in lines]

    assert not found, "\n".join(found)
    assert "Traceback" not in victim.log
    assert api("GET", "/_ping").status == 200
    assert _megabytes(victim.process.pid) - before < MOST_MEGABYTES


def _undo(api: Http, target: str, answer: Answer) -> None:
    """Takes away what a lucky request made."""
    made = json.loads(answer.body) if answer.status == 201 and answer.body else {}
    for kind, name in (("containers", "Id"), ("networks", "Id"), ("volumes", "Name")):
        if f"/{kind}/create" in target and made.get(name):
            api("DELETE", f"/{kind}/{made[name]}?force=1")


def _megabytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) >> 10
