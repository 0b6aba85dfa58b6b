"""`RUN --mount=type=ssh`: the client's agent answers inside the step, and is out of reach afterwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.daemon.buildkit.messages.session import AgentRequest, Empty, Piece, Stat
from lamina.daemon.buildkit.rpc import Call, Method, unary
from lamina.errors import NotFound
from support.buildkit import DIFF_COPY, build, error_of, send
from support.daemons import Daemon, lamina_daemon
from support.engines import Cli
from support.processes import processes_naming
from support.waiting import eventually

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        Cli(daemon.host, daemon.folder)("import", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox")
        yield daemon


def forwarding(dockerfile: str) -> dict[str, Method]:
    """A client with this Dockerfile and an agent `mine`, which answers in capitals."""
    raw = dockerfile.encode()

    async def diff_copy(call: Call) -> None:
        listing = [Stat("Dockerfile", 0o644, size=len(raw))] if call.metadata("dir-name") == ["dockerfile"] else []
        await send(call, listing, {"Dockerfile": raw})

    async def check(request: AgentRequest, call: Call) -> Empty:
        if request.id != "mine":
            raise NotFound(f"unset ssh forward key {request.id}")
        return Empty()

    async def forward(call: Call) -> None:
        assert call.metadata("buildkit.ssh.id") == ["mine"]
        while batch := await call.receive_batch():
            for raw in batch:
                await call.send(Piece(Piece.decode(raw).data.upper()))

    service = "/moby.sshforward.v1.SSH/"
    return {DIFF_COPY: diff_copy, f"{service}CheckAgent": unary(AgentRequest, check), f"{service}ForwardAgent": forward}


def run(daemon: Daemon, *steps: str) -> str:
    """Build these steps, and return the error."""
    dockerfile = "\n".join(["FROM busybox", *steps])
    return error_of(asyncio.run(build(daemon.socket, forwarding(dockerfile), "&nocache=1")))


def test_the_agent_answers_while_its_step_runs_and_no_longer(daemon: Daemon) -> None:
    step = "RUN --mount=type=ssh,id=mine,uid=7,mode=0640 test $(stat -c %a:%u $SSH_AUTH_SOCK) = 640:7 && sleep 54321"
    methods = forwarding(f"FROM busybox\n{step}\n")

    async def main() -> Path:
        vanish = asyncio.Event()
        building = asyncio.ensure_future(build(daemon.socket, methods, vanish=vanish))
        while not processes_naming("sleep 54321"):  # the command of the step has seen its socket
            assert not building.done()
            await asyncio.sleep(0)
        (path,) = (daemon.folder / "d").rglob("ssh-0")
        reader, writer = await asyncio.open_unix_connection(str(_short(path)))
        writer.write(b"question")
        assert await reader.readexactly(8) == b"QUESTION"
        vanish.set()
        await building
        assert await reader.read() == b""  # the connection ends with the step
        writer.close()
        return path

    path = asyncio.run(asyncio.wait_for(main(), 60))
    eventually(lambda: not path.exists() and not processes_naming("sleep 54321"))


def _short(path: Path) -> Path:
    """A path to the same socket that unix(7) takes."""
    folder = os.open(path.parent, os.O_PATH)
    return Path(f"/proc/self/fd/{folder}/{path.name}")


def test_the_socket_lies_where_the_step_says(daemon: Daemon) -> None:
    step = "RUN --mount=type=ssh,id=mine,target=/agents/mine test -S /agents/mine -a $SSH_AUTH_SOCK = /agents/mine"
    assert run(daemon, step) == ""


def test_an_agent_that_is_not_there_is_missed_only_where_required(daemon: Daemon) -> None:
    assert run(daemon, 'RUN --mount=type=ssh,id=other test -z "$SSH_AUTH_SOCK"') == ""
    assert "ssh agent other: not found" in run(daemon, "RUN --mount=type=ssh,id=other,required=true true")
