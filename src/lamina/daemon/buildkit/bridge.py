"""The gateway: a client that drives its build asks for parts of it, looks at their files, and returns the result.

Rule: moby/buildkit, frontend/gateway. `docker buildx build` builds this way, and asks for the whole as one part.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import TypeVar

import msgspec

from lamina.builder.export.result import Result as Images
from lamina.builder.source_policy import IMAGE
from lamina.daemon.buildkit.builds import Build, Builds
from lamina.daemon.buildkit.control import Control, check_abilities, check_supported
from lamina.daemon.buildkit.definition import platform_of
from lamina.daemon.buildkit.filesend import stat_of
from lamina.daemon.buildkit.layouts import LayoutName
from lamina.daemon.buildkit.messages.gateway import (
    Capability,
    ImageMeta,
    InputsResponse,
    Pong,
    ReadDirRequest,
    ReadDirResponse,
    ReadFileRequest,
    ReadFileResponse,
    Ref,
    RefMap,
    ResolveRequest,
    ResolveResponse,
    Result,
    ReturnRequest,
    SolveRequest,
    SolveResponse,
    SourceMetaRequest,
    SourceMetaResponse,
    StatFileRequest,
    StatFileResponse,
    WarnRequest,
)
from lamina.daemon.buildkit.messages.ops import SourceOp
from lamina.daemon.buildkit.messages.session import Empty, Stat
from lamina.daemon.buildkit.messages.status import StatusResponse, VertexWarning
from lamina.daemon.buildkit.policies import policy_of
from lamina.daemon.buildkit.results import CONFIG, PLATFORMS, platforms_text
from lamina.daemon.buildkit.rpc import Call, Method, unary
from lamina.daemon.buildkit.solver import Solver
from lamina.daemon.buildkit.subrequests import REQUEST_ID, answer
from lamina.errors import InvalidInput, NotFound, Unsupported
from lamina.formats.reference import Reference
from lamina.layers.tree import Node, Tree, find, read_all

T = TypeVar("T")
_LAYOUT = 1  # a ResolveRequest's kind
_SERVICE = "/moby.buildkit.v1.frontend.LLBBridge/"
_BUILD_ID = "buildkit-controlapi-buildid"
_LARGEST = 16 << 20  # bytes of a file that a client reads at once
_CAN = (
    "solve.base",
    "resolveimage",
    "resolveimage.resolvemode",
    "readfile",
    "return",
    "returnmap",
    "readdir",
    "statfile",
    "proto.refarray",
    "reference.output",
    "frontend.caps",
    "frontend.inputs",
    "gateway.solve.metadata",
    "gateway.evaluate",
    "gateway.solve.evaluate",
    "gateway.warnings",
    "source.metaresolver",
)
_GRAPH = (
    "source.image",
    "source.image.resolvemode",
    "source.image.layerlimit",
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.ocilayout",
    "source.git",
    "source.git.keepgitdir",
    "source.git.fullurl",
    "source.git.checksum",
    "source.git.skipsubmodules",
    "source.git.subdir",
    "source.http",
    "source.http.checksum",
    "source.http.perm",
    "soruce.http.uidgid",  # as BuildKit spells it
    "exec.meta.base",
    "exec.meta.cgroup.parent",
    "exec.meta.network",
    "exec.meta.proxyenv",
    "exec.meta.security",
    "exec.meta.setsdefaultpath",
    "exec.meta.ulimit",
    "exec.meta.removemountstubs.recursive",
    "exec.mount.bind",
    "exec.mount.bind.readwrite-nooutput",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.selector",
    "exec.mount.tmpfs",
    "exec.mount.tmpfs.size",
    "exec.mount.secret",
    "exec.mount.ssh",
    "exec.cgroup",
    "exec.secretenv",
    "exec.validexitcode",
    "file.base",
    "file.rm.wildcard",
    "file.rm.nofollowsymlink",
    "file.copy.includeexcludepatterns",
    "file.copy.requiredpaths",
    "file.copy.modestring",
    "file.symlink.create",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "mergeop",
    "diffop",
    "exporter.multiple",
    "exporter.image.annotations",
    "exporter.image.attestations",
    "exporter.sourcedateepoch",
)


class Bridge:
    """Answer the gateway's calls. Each names its build in its headers. It belongs to the event loop."""

    def __init__(self, solver: Solver, builds: Builds, control: Control) -> None:
        self._solver = solver
        self._builds = builds
        self._control = control

    def methods(self) -> dict[str, Method]:
        """Return the methods by their paths."""
        methods = {
            "Ping": unary(Empty, self.ping),
            "Solve": unary(SolveRequest, self.solve),
            "Return": unary(ReturnRequest, self.give_back),
            "Inputs": unary(Empty, self.inputs),
            "ResolveImageConfig": unary(ResolveRequest, self.resolve),
            "ResolveSourceMeta": unary(SourceMetaRequest, self.source_meta),
            "ReadFile": unary(ReadFileRequest, self.read_file),
            "ReadDir": unary(ReadDirRequest, self.read_dir),
            "StatFile": unary(StatFileRequest, self.stat_file),
            "Evaluate": unary(StatFileRequest, self.evaluate),
            "Warn": unary(WarnRequest, self.warn),
        }
        return {_SERVICE + name: method for name, method in methods.items()}

    async def _build(self, call: Call) -> Build:
        ids = call.metadata(_BUILD_ID)
        if not ids:
            raise InvalidInput("the call names no build")
        return await self._builds.get(ids[0])

    async def ping(self, request: Empty, call: Call) -> Pong:
        """Tell what clients may ask for."""
        await self._build(call)
        able = [tuple(Capability(id, True) for id in ids) for ids in (_CAN, _GRAPH)]
        return Pong(able[0], able[1], (self._control.worker(),))

    async def solve(self, request: SolveRequest, call: Call) -> SolveResponse:
        """Return the result of a graph or a Dockerfile by IDs. A graph is made when somebody needs its files.

        Raise Unsupported for another frontend, and what `Control.solve_frontend` and `edge_of` raise.
        """
        build = await self._build(call)
        check_supported(request.frontend)
        policy = policy_of(request.source_policies)
        if request.frontend:
            check_abilities(request.attributes)
            if REQUEST_ID in request.attributes:
                metadata = await self._control.work(
                    build, lambda: answer(self._solver, build.client, request.attributes)
                )
                return SolveResponse(result=Result(metadata=metadata))
            inputs = request.inputs or build.request.inputs
            imports = request.cache_imports
            solved = await self._control.solve_frontend(build, request.attributes, inputs, imports, policy)
            return SolveResponse(result=self._told(build, solved))
        if request.definition is None or not request.definition.operations:
            return SolveResponse(result=Result(ref=Ref()))
        ref = await self._control.solve_graph(build, request.definition, policy)
        if request.evaluate:
            await self._control.work(build, ref.tree)
        return SolveResponse(result=Result(ref=Ref(build.keep(ref), ref.definition)))

    def _told(self, build: Build, solved: Images) -> Result:
        """Return a result as its client is told of it: one image, or one for each platform."""
        kept = [self._solver.ref_of_image(item) for item in solved.images]
        refs = [Ref(build.keep(ref), ref.definition) for ref in kept]
        metadata = {PLATFORMS: platforms_text(solved)}
        if not solved.several:
            return Result(ref=refs[0], metadata=metadata | {CONFIG: solved.images[0].image.config.raw})
        for item in solved.images:
            metadata[f"{CONFIG}/{item.id}"] = item.image.config.raw
        by_platform = {item.id: ref for item, ref in zip(solved.images, refs, strict=True)}
        return Result(refs=RefMap(by_platform), metadata=metadata)

    async def give_back(self, request: ReturnRequest, call: Call) -> Empty:
        """End the build with what the client makes of its parts."""
        build = await self._build(call)
        if not build.returned.done():
            build.returned.set_result(request)
        return Empty()

    async def inputs(self, request: Empty, call: Call) -> InputsResponse:
        """Return the graphs that the client brought."""
        build = await self._build(call)
        return InputsResponse(build.request.inputs)

    async def resolve(self, request: ResolveRequest, call: Call) -> ResolveResponse:
        """Return the config of an image, pulling it where it is not here."""
        build = await self._build(call)
        reference = Reference.parse(request.ref).with_default_tag()
        parts = request.platform
        platform = platform_of(parts) if parts and parts.os else None
        if request.kind == _LAYOUT:
            layout = LayoutName(request.ref, request.store, request.session)
            image = await self._control.work(build, lambda: self._solver.layout_image(build.client, layout, platform))
            return ResolveResponse(str(reference.digest), image.config.raw, request.ref)
        pull = request.mode == "pull"
        if (other := build.client.policy.image(str(reference))) is not None:
            if not other.startswith(IMAGE):
                raise Unsupported(f"the source policy changes {reference} into {other}, which has no config")
            reference = Reference.parse(other.removeprefix(IMAGE)).with_default_tag()
        image = await self._control.work(
            build, lambda: self._solver.resolve(build.client, str(reference), platform, pull)
        )
        digest = await self._control.work(build, lambda: self._solver.digest_of(reference, image))
        return ResolveResponse(str(digest), image.config.raw, str(reference))

    async def source_meta(self, request: SourceMetaRequest, call: Call) -> SourceMetaResponse:
        """Return what stands behind a source: for an image its digest and config, for others only its address."""
        if request.source is None:
            raise InvalidInput("the call names no source")
        policy = (await self._build(call)).client.policy
        identifier, attributes = policy.source(request.source.identifier, request.source.attributes)
        source = SourceOp(identifier, attributes)
        request = msgspec.structs.replace(request, source=source)
        scheme, _, name = identifier.partition("://")
        if scheme == "oci-layout":
            store, session = attributes.get("oci.store", ""), attributes.get("oci.session", "")
            asked = ResolveRequest(name, request.platform, request.mode, _LAYOUT, session, store)
            resolved = await self.resolve(asked, call)
            return SourceMetaResponse(source, ImageMeta(resolved.digest, resolved.config))
        if scheme != "docker-image":
            return SourceMetaResponse(source)
        resolved = await self.resolve(ResolveRequest(name, request.platform, request.mode), call)
        return SourceMetaResponse(source, ImageMeta(resolved.digest, resolved.config))

    async def read_file(self, request: ReadFileRequest, call: Call) -> ReadFileResponse:
        """Return a file of a result, or a part of it. Raise NotFound, InvalidInput for more than fits a message."""

        def read(tree: Tree) -> bytes:
            data = read_all(tree, _file(tree, request.path), _LARGEST)
            part = request.range
            return data if part is None else data[part.offset :][: part.length or len(data)]

        return ReadFileResponse(await self._look(call, request.ref, read))

    async def read_dir(self, request: ReadDirRequest, call: Call) -> ReadDirResponse:
        """Return what is in a folder of a result, as far as a pattern matches the names."""

        def read(tree: Tree) -> ReadDirResponse:
            pattern = request.pattern or "*"
            nodes = tree.children(_file(tree, request.path).path)
            return ReadDirResponse(tuple(_named(node) for node in nodes if fnmatch.fnmatchcase(node.name, pattern)))

        return await self._look(call, request.ref, read)

    async def stat_file(self, request: StatFileRequest, call: Call) -> StatFileResponse:
        """Return what a file of a result is."""
        return StatFileResponse(_named(await self._look(call, request.ref, lambda tree: _file(tree, request.path))))

    async def evaluate(self, request: StatFileRequest, call: Call) -> Empty:
        """Make the files of a result."""
        await self._look(call, request.ref, lambda tree: None)
        return Empty()

    async def _look(self, call: Call, id: str, look: Callable[[Tree], T]) -> T:
        """Return what a look at the files of a result gives. Raise NotFound, and what making them raises."""
        build = await self._build(call)
        ref = build.result(id)
        return await self._control.work(build, lambda: look(ref.tree()))

    async def warn(self, request: WarnRequest, call: Call) -> Empty:
        """Pass a warning of the client on to those who watch the build."""
        build = await self._build(call)
        warning = VertexWarning(
            request.digest,
            request.level,
            request.short,
            request.detail,
            request.url,
            request.info,
            request.ranges,
        )
        build.client.vertices.send(StatusResponse(warnings=(warning,)))
        return Empty()


def _file(tree: Tree, path: str) -> Node:
    node = find(tree, path)
    if node is None:
        raise NotFound(f"open {path}: no such file or directory", path=path)
    return node


def _named(node: Node) -> Stat:
    return msgspec.structs.replace(stat_of(node), path=node.name)
