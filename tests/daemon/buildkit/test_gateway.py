"""A client that drives a build over the gateway, looks at its result, and hands it out."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator

import pytest

from lamina.daemon.buildkit.messages import control, gateway
from lamina.daemon.buildkit.messages.session import Empty
from lamina.daemon.buildkit.protobuf import Message
from lamina.errors import InvalidInput, LaminaError, NotFound, Unsupported
from support.daemons import Daemon, lamina_daemon
from support.gateway import CONTROL, GATEWAY, Driver, drive
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "prior-knowledge"])
def test_a_result_is_looked_at_and_named(daemon: Daemon, upgrade: bool) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin(control.Exporter("moby", {"name": "docker.io/library/driven:latest"}))
        pong = await build.ask("Ping", Empty(), gateway.Pong)
        assert {"solve.base", "readfile"} <= {able.id for able in pong.frontend if able.enabled}
        id = await build.solve()
        whole = await build.ask("ReadFile", gateway.ReadFileRequest(id, "/d/f"), gateway.ReadFileResponse)
        part = gateway.ReadFileRequest(id, "d/f", gateway.Range(2, 3))
        assert whole.data == b"inside"
        assert (await build.ask("ReadFile", part, gateway.ReadFileResponse)).data == b"sid"
        listed = await build.ask("ReadDir", gateway.ReadDirRequest(id, "/", "[dg]"), gateway.ReadDirResponse)
        assert [entry.path for entry in listed.entries] == ["d", "g"]
        told = await build.ask("StatFile", gateway.StatFileRequest(id, "/d/f"), gateway.StatFileResponse)
        assert told.stat is not None
        assert (told.stat.path, stat.S_IMODE(told.stat.mode), told.stat.size) == ("f", 0o640, 6)
        await build.give_back(id)
        image = (await solved).response["containerimage.config.digest"]
        assert daemon.text("images", "-q", "--no-trunc", "driven") == image

    drive(daemon, use, upgrade=upgrade)


def test_caches_go_to_a_registry_and_come_from_it(daemon: Daemon, registry: Running) -> None:
    ref = {"ref": f"{registry.address}/cache"}

    async def export(build: Driver) -> None:
        entry = control.CacheEntry("registry", {**ref, "mode": "max"})
        solved = build.begin(cache=control.CacheOptions(exports=(entry,)))
        await build.give_back(await build.solve())
        await solved

    async def use(build: Driver) -> None:
        solved = build.begin()
        id = await build.solve(**{"cache-imports": json.dumps([{"Type": "registry", "Attrs": ref}])})
        await build.give_back(id)
        await solved
        cached = {vertex.name for status in await build.news() for vertex in status.vertexes if vertex.cached}
        assert any("COPY . /" in name for name in cached), cached

    async def refuse(build: Driver) -> None:
        solved = build.begin(cache=control.CacheOptions(exports=(control.CacheEntry("gha"),)))
        with pytest.raises(Unsupported, match="type 'gha' is not supported"):
            await solved

    drive(daemon, export)
    drive(daemon, refuse)
    with lamina_daemon() as other:
        drive(other, use)


def test_several_platforms_are_one_result_and_become_an_index(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin(control.Exporter("moby", {"name": "docker.io/library/many:latest"}))
        request = gateway.SolveRequest(
            frontend="dockerfile.v0", attributes={"platform": "linux/amd64,linux/arm64", "multi-platform": "true"}
        )
        answer = await build.ask("Solve", request, gateway.SolveResponse)
        assert answer.result is not None
        assert answer.result.refs is not None
        assert sorted(answer.result.refs.refs) == ["linux/amd64", "linux/arm64"]
        assert {"refs.platforms", "containerimage.config/linux/arm64"} <= set(answer.result.metadata)
        await build.ask("Return", gateway.ReturnRequest(answer.result), Empty)
        told = (await solved).response
        shown = json.loads(daemon.text("inspect", "many"))[0]
        assert f"many@{told['containerimage.digest']}" in shown["RepoDigests"]
        assert "containerimage.config.digest" not in told

    drive(daemon, use)


def test_refs_without_their_platforms_are_refused(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin(control.Exporter("moby", {}))
        refs = gateway.RefMap({"linux/amd64": gateway.Ref(await build.solve())})
        await build.ask("Return", gateway.ReturnRequest(gateway.Result(refs=refs)), Empty)
        with pytest.raises(LaminaError, match="missing platforms mapping"):
            await solved

    drive(daemon, use)


def test_news_are_told_from_the_beginning_to_who_comes_late(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        await build.give_back(await build.solve())
        await solved
        names = [vertex.name for status in await build.news() for vertex in status.vertexes]
        assert names[0].endswith("load build definition from Dockerfile")
        assert "[1/1] COPY . /" in names

    drive(daemon, use)


def test_builds_are_told_of_as_they_begin_and_end(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        call = build.caller.open(f"{CONTROL}ListenBuildHistory")
        await call.send(control.HistoryRequest(ref=build.ref))
        call.finish()
        solved = build.begin()
        await build.give_back(await build.solve())
        await solved
        events: list[control.HistoryEvent] = []
        while len(events) < 2:
            events += [control.HistoryEvent.decode(raw) for raw in await call.receive_batch()]
        assert [event.type for event in events] == [0, 1]
        assert {event.record.ref for event in events if event.record} == {build.ref}
        assert events[1].record is not None
        assert events[1].record.completed is not None
        call.cancel()

    drive(daemon, use)


def test_an_error_of_the_client_ends_the_build(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        await build.give_back(error=control.Status(2, "I changed my mind"))
        with pytest.raises(LaminaError, match="I changed my mind"):
            await solved

    drive(daemon, use)


@pytest.mark.parametrize(
    ("method", "request_", "kind"),
    [
        ("ReadFile", gateway.ReadFileRequest("nothing", "/x"), NotFound),
        ("Solve", gateway.SolveRequest(), None),
        ("Solve", gateway.SolveRequest(frontend="gateway.v0"), Unsupported),
        ("Solve", gateway.SolveRequest(definition=control.Definition((b"\x0a\x00",))), InvalidInput),
        (
            "Solve",
            gateway.SolveRequest(frontend="dockerfile.v0", attributes={"requestid": "frontend.other"}),
            Unsupported,
        ),
        (
            "Solve",
            gateway.SolveRequest(frontend="dockerfile.v0", attributes={"context:x": "input:x"}),
            InvalidInput,
        ),
    ],
)
def test_what_cannot_be_is_refused(
    daemon: Daemon, method: str, request_: Message, kind: type[LaminaError] | None
) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        if kind is None:
            await build.ask(method, request_, gateway.SolveResponse)
        else:
            with pytest.raises(kind):
                await build.ask(method, request_, gateway.SolveResponse)
        await build.give_back()
        assert (await solved).response == {}

    drive(daemon, use)


def test_a_call_about_no_build_is_refused(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        with pytest.raises(InvalidInput, match="names no build"):
            await build.caller.unary(f"{GATEWAY}Ping", Empty(), gateway.Pong)
        with pytest.raises(Unsupported, match="frontend"):
            await build.begin(frontend="gateway.v0")

    drive(daemon, use)


def test_a_build_is_remembered_until_it_is_forgotten(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        await build.give_back()
        await solved

        assert build.ref in await build.history()
        forget = control.HistoryUpdate(build.ref, delete=True)
        await build.caller.unary(f"{CONTROL}UpdateBuildHistory", forget, Empty)
        assert build.ref not in await build.history()

    drive(daemon, use)


def test_a_build_ends_with_its_call(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        call = build.caller.open(f"{CONTROL}Solve")
        await call.send(control.SolveRequest(build.ref, session=build.session))
        call.finish()
        await build.solve()
        call.cancel()
        while (record := (await build.history())[build.ref]).completed is None:
            await asyncio.sleep(0)
        assert record.error is not None
        assert record.error.code == 1  # cancelled

    drive(daemon, use)


def test_the_daemon_says_who_it_is(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        workers = await build.caller.unary(
            f"{CONTROL}ListWorkers", control.ListWorkersRequest(), control.ListWorkersResponse
        )
        assert [platform.os for platform in workers.records[0].platforms] == ["linux"]
        info = await build.caller.unary(f"{CONTROL}Info", Empty(), control.InfoResponse)
        assert info.version is not None
        assert info.version.package == "lamina"
        trace = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        assert await build.caller.unary(trace, Empty(), Empty) == Empty()

    drive(daemon, use)
