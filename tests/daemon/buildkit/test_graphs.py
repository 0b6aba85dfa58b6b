"""Graphs that a client has solved over the gateway, and without it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator

import msgspec
import pytest

from lamina.daemon.buildkit.definition import digest_of
from lamina.daemon.buildkit.messages import control, gateway, ops, policy
from lamina.daemon.buildkit.messages.content import ReadRequest, ReadResponse
from lamina.daemon.buildkit.messages.session import Empty
from lamina.daemon.buildkit.messages.status import Vertex
from lamina.daemon.buildkit.rpc import Call, Method
from lamina.errors import Forbidden, InvalidInput, LaminaError, NotFound
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER_GZIP, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from support.buildkit import defined
from support.daemons import Daemon, lamina_daemon
from support.gateway import CONTROL, Driver, drive
from support.registries import Running
from support.registry_fixtures import registry, start
from support.tars import tar

__all__ = ["registry", "start"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


def mkfile(path: str, content: bytes, source: str = "") -> control.Definition:
    """A graph that makes a file, on a source where there is one."""
    action = ops.FileAction(
        0 if source else -1, -1, 0, make_file=ops.MakeFileAction(path, 0o600, content, timestamp=-1)
    )
    made = ops.Op(file=ops.FileOp((action,)))
    if not source:
        return defined(made)
    below = ops.Op(source=ops.SourceOp(source))
    return defined(below, ops.Op((ops.Input(digest_of(below.encode())),), file=made.file))


async def solve_graph(build: Driver, definition: control.Definition, *, evaluate: bool = False) -> gateway.Ref:
    request = gateway.SolveRequest(definition, evaluate=evaluate)
    answer = await build.ask("Solve", request, gateway.SolveResponse)
    assert answer.result is not None
    assert answer.result.ref is not None
    return answer.result.ref


async def read(build: Driver, id: str, path: str) -> bytes:
    return (await build.ask("ReadFile", gateway.ReadFileRequest(id, path), gateway.ReadFileResponse)).data


def test_a_graph_is_solved_looked_at_and_becomes_the_image_that_the_client_wants(daemon: Daemon) -> None:
    config = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"of": "the client"}}, "odd": [1]}
    raw = msgspec.json.encode({**config, "rootfs": {"type": "layers", "diff_ids": []}})

    async def use(build: Driver) -> None:
        solved = build.begin(control.Exporter("moby", {"name": "docker.io/library/graphed:latest"}))
        ref = await solve_graph(build, mkfile("/d/own", b"mine", "local://context"))
        assert await read(build, ref.id, "/d/own") == b"mine"
        assert await read(build, ref.id, "/g") == b"x"
        again = await solve_graph(build, ref.definition or control.Definition())
        result = gateway.Result(ref=gateway.Ref(again.id), metadata={"containerimage.config": raw})
        await build.ask("Return", gateway.ReturnRequest(result), Empty)
        await solved
        shown = json.loads(daemon.text("inspect", "graphed"))[0]
        assert shown["Config"]["Labels"] == {"of": "the client"}
        assert len(shown["RootFS"]["Layers"]) == 2
        assert shown["Architecture"] == "amd64"

    drive(daemon, use)


def test_the_vertices_of_a_graph_are_told_under_their_own_digests(daemon: Daemon) -> None:
    definition = mkfile("/told", b"1", "local://context")

    async def use(build: Driver) -> None:
        solved = build.begin()
        await solve_graph(build, definition, evaluate=True)
        await build.give_back()
        await solved
        told: dict[str, list[Vertex]] = {}
        for news in await build.news():
            for vertex in news.vertexes:
                told.setdefault(vertex.digest, []).append(vertex)
        source, made = map(digest_of, definition.operations[:2])
        assert told[made][0].inputs == (source,)
        assert [told[source][-1].name, told[made][-1].name] == ["local://context", "mkfile /told"]
        assert told[made][0].started is None
        assert told[made][-1].completed is not None

    drive(daemon, use)


def test_a_graph_without_a_gateway_is_built_for_its_outputs(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        exporter = control.Exporter("moby", {"name": "docker.io/library/plain:latest"})
        request = control.SolveRequest(build.ref, mkfile("/f", b"1"), session=build.session, exporters=(exporter,))
        answer = await build.caller.unary(f"{CONTROL}Solve", request, control.SolveResponse)
        assert answer.response["containerimage.config.digest"] == daemon.text("images", "-q", "--no-trunc", "plain")

    drive(daemon, use)


def test_a_graph_goes_on_from_the_cache_of_another_daemon(daemon: Daemon, registry: Running) -> None:
    graph = mkfile("/f", b"of a graph")
    place = {"ref": f"{registry.address}/graph:1"}
    outcomes, images = [], []

    async def use(build: Driver) -> None:
        exporter = control.Exporter("moby", {"name": "docker.io/library/cached:latest"})
        exports = (control.CacheEntry("registry", place | {"mode": "max"}),)
        cache = control.CacheOptions(exports, (control.CacheEntry("registry", place),))
        request = control.SolveRequest(build.ref, graph, session=build.session, exporters=(exporter,), cache=cache)
        answer = await build.caller.unary(f"{CONTROL}Solve", request, control.SolveResponse)
        images.append(answer.response["containerimage.config.digest"])
        vertices = [vertex for status in await build.news() for vertex in status.vertexes]
        outcomes.append(any(vertex.cached for vertex in vertices))

    drive(daemon, use)
    with lamina_daemon() as other:
        drive(other, use)
    assert outcomes == [False, True]
    assert images[0] == images[1]


def test_a_graph_of_nothing_without_a_gateway_is_an_empty_image(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        exporter = control.Exporter("moby", {"name": "docker.io/library/void:latest"})
        request = control.SolveRequest(build.ref, control.Definition(), session=build.session, exporters=(exporter,))
        solved = build.caller.unary(f"{CONTROL}Solve", request, control.SolveResponse)
        await asyncio.wait_for(solved, 60)
        assert json.loads(daemon.text("inspect", "void"))[0]["RootFS"] == {"Type": "layers"}

    drive(daemon, use)


def test_a_graph_fails_when_it_is_needed(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        broken = mkfile("/no/folder/f", b"1")
        ref = await solve_graph(build, broken)
        with pytest.raises(InvalidInput, match="no such file or directory"):
            await build.ask("Evaluate", gateway.StatFileRequest(ref.id), Empty)
        with pytest.raises(InvalidInput, match="no such file or directory"):
            await solve_graph(build, broken, evaluate=True)
        await build.give_back(ref.id)
        with pytest.raises(InvalidInput, match="no such file or directory"):
            await solved

    drive(daemon, use)


def test_graphs_of_the_client_are_the_contexts_of_a_dockerfile(daemon: Daemon) -> None:
    dockerfile = b"FROM made\nCOPY --from=made /named /copied\nCOPY own /\n"

    async def use(build: Driver) -> None:
        solved = build.begin()
        inputs = {
            "dockerfile": mkfile("/Dockerfile", dockerfile),
            "context": mkfile("/own", b"of the context"),
            "input": mkfile("/named", b"of a graph"),
        }
        request = gateway.SolveRequest(
            frontend="dockerfile.v0", attributes={"context:made": "input:input"}, inputs=inputs
        )
        answer = await build.ask("Solve", request, gateway.SolveResponse)
        assert answer.result is not None
        assert answer.result.ref is not None
        id = answer.result.ref.id
        assert [await read(build, id, path) for path in ("/named", "/copied", "/own")] == [
            b"of a graph",
            b"of a graph",
            b"of the context",
        ]
        await build.give_back()
        await solved

    drive(daemon, use)


def a_layout(*, broken: str = "") -> tuple[str, dict[str, bytes]]:
    """The digest of an image's index, and the content of a client's layout by digest."""
    content: dict[str, bytes] = {}

    def put(raw: bytes) -> Digest:
        digest = Digest.of(raw)
        content[str(digest)] = raw
        return digest

    layer = tar({f"in-layout{broken}": b"yes"})
    config = ImageConfig.build(diff_ids=[Digest.of(layer)])
    packed = gzip.compress(layer)
    blob, named = put(packed), put(config.raw)
    manifest = Manifest.build(
        Descriptor(OCI_CONFIG, named, len(config.raw)), [Descriptor(OCI_LAYER_GZIP, blob, len(packed))]
    )
    put(manifest.raw)
    entry = Descriptor(manifest.media_type, manifest.digest, len(manifest.raw), platform=Platform.host())
    index = Index.build([entry])
    top = put(index.raw)
    if broken == "config":
        content[str(named)] = content[str(named)] + b" "
    elif broken == "layer":
        content[str(blob)] = gzip.compress(tar({"other": b"no"}))
    return str(top), content


def offering(content: dict[str, bytes]) -> dict[str, Method]:
    """The method by which a client gives the content of its layout `shop`, in pieces."""

    async def read(call: Call) -> None:
        assert call.metadata("buildkit-attachable-store-id") == ["oci:shop"]
        request = await call.receive(ReadRequest)
        assert request is not None
        raw = content.get(request.digest)
        if raw is None:
            raise NotFound("no such content")
        for offset in range(0, len(raw), 100):
            await call.send(ReadResponse(offset, raw[offset : offset + 100]))

    return {"/containerd.services.content.v1.Content/Read": read}


def test_an_image_of_a_layout_that_the_client_has(daemon: Daemon) -> None:
    digest, content = a_layout()
    source = ops.Op(source=ops.SourceOp(f"oci-layout://any/name@{digest}", {"oci.store": "shop"}))

    async def use(build: Driver) -> None:
        solved = build.begin()
        ref = await solve_graph(build, defined(source))
        assert await read(build, ref.id, "/in-layout") == b"yes"
        asked = gateway.ResolveRequest(f"any/name@{digest}", kind=1, store="shop")
        resolved = await build.ask("ResolveImageConfig", asked, gateway.ResolveResponse)
        assert (resolved.digest, resolved.config) == (digest, content[str(Digest.of(resolved.config))])
        await build.give_back()
        await solved

    drive(daemon, use, methods=offering(content))


@pytest.mark.parametrize(("broken", "message"), [("config", "other bytes"), ("layer", "has diff-id")])
def test_what_a_client_says_of_its_layout_is_not_believed(daemon: Daemon, broken: str, message: str) -> None:
    digest, content = a_layout(broken=broken)
    source = ops.Op(source=ops.SourceOp(f"oci-layout://broken/{broken}@{digest}", {"oci.store": "shop"}))

    async def use(build: Driver) -> None:
        solved = build.begin()
        with pytest.raises(LaminaError, match=message):
            await solve_graph(build, defined(source), evaluate=True)
        await build.give_back()
        await solved

    drive(daemon, use, methods=offering(content))


def test_rules_about_sources_hold_for_graphs(daemon: Daemon) -> None:
    deny = policy.PolicyRule(1, policy.Selector("docker-image://*"))
    source = defined(ops.Op(source=ops.SourceOp("docker-image://docker.io/library/busybox:latest")))

    async def use(build: Driver) -> None:
        solved = build.begin()
        for raw, error, message in (
            (policy.Policy(1, (deny,)).encode(), Forbidden, "denied by policy"),
            (b"\x08\x02", InvalidInput, "unknown version"),
            (policy.Policy(rules=(policy.PolicyRule(),)).encode(), InvalidInput, "no selector"),
        ):
            request = gateway.SolveRequest(source, source_policies=(raw,), evaluate=True)
            with pytest.raises(error, match=message):
                await build.ask("Solve", request, gateway.SolveResponse)
        await build.give_back()
        await solved

    drive(daemon, use)


def test_what_needs_an_entitlement_is_refused_without_it(daemon: Daemon) -> None:
    command = ops.ExecOp(ops.Meta(("true",), cwd="/"), (ops.Mount(-1, target="/"),), security=1)

    async def use(build: Driver) -> None:
        request = control.SolveRequest(build.ref, session=build.session, entitlements=("security.insecure",))
        with pytest.raises(Forbidden, match="is not allowed by build daemon configuration"):
            await build.caller.unary(f"{CONTROL}Solve", request, control.SolveResponse)
        solved = build.begin()
        with pytest.raises(Forbidden, match=r"security\.insecure is not allowed"):
            await solve_graph(build, defined(ops.Op(exec=command)), evaluate=True)
        with pytest.raises(Forbidden, match=r"network\.host is not allowed"):
            await build.solve(**{"force-network-mode": "host"})
        await build.give_back()
        await solved

    drive(daemon, use)
