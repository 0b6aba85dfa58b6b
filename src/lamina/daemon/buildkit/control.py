"""BuildKit's control service: builds for clients, their progress, workers, the cache, and the history.

Rule: moby/buildkit, control/control.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from msgspec.structs import replace as replace_fields

from lamina import __version__
from lamina.api.build import HOST_NETWORK, BuildOutput, CacheOption
from lamina.api.build_cache import CacheObject, parse_expressions
from lamina.builder.arguments import EPOCH as SOURCE_DATE
from lamina.builder.attestations.facts import BuildFacts
from lamina.builder.attestations.options import AttestationOptions
from lamina.builder.cache_exchange.cache_options import CacheTarget, cache_targets
from lamina.builder.export.options import EPOCH
from lamina.builder.export.result import Result as Images
from lamina.builder.platforms import runnable
from lamina.builder.source_policy import ALLOW_ALL, SourcePolicy
from lamina.cancellation import Cancellation
from lamina.daemon.buildkit.builds import COMPLETE, STARTED, Build, Builds
from lamina.daemon.buildkit.definition import edge_of
from lamina.daemon.buildkit.failures import Code, code_of, details_of, error_with, failure_of
from lamina.daemon.buildkit.frontend import NAME, Source, request_of
from lamina.daemon.buildkit.history import message_of
from lamina.daemon.buildkit.history_content import stack_of
from lamina.daemon.buildkit.messages.control import (
    CacheEntry,
    Definition,
    DiskUsageRequest,
    DiskUsageResponse,
    HistoryEvent,
    HistoryRequest,
    HistoryUpdate,
    InfoResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    Platform,
    PruneRequest,
    SolveRequest,
    SolveResponse,
    Status,
    StatusRequest,
    UsageRecord,
    Version,
    Worker,
)
from lamina.daemon.buildkit.messages.session import Empty
from lamina.daemon.buildkit.messages.status import Timestamp
from lamina.daemon.buildkit.named_contexts import contexts_of
from lamina.daemon.buildkit.refs import GraphRef
from lamina.daemon.buildkit.results import result_of
from lamina.daemon.buildkit.rpc import Call, Method, unary
from lamina.daemon.buildkit.sessions import Sessions
from lamina.daemon.buildkit.solver import Solver
from lamina.daemon.http.call import in_thread
from lamina.errors import CommandFailed, Forbidden, InvalidInput, Unsupported
from lamina.images.image import Image
from lamina.layers.tree import Tree

T = TypeVar("T")
_ABILITIES = frozenset(f"moby.buildkit.frontend.{name}" for name in ("inputs", "subrequests", "contexts"))
_VERSION = Version("lamina", f"v{__version__}")
_SERVICE = "/moby.buildkit.v1.Control/"
# By the second label clients know that several platforms, attestations and all outputs are for them to ask.
_LABELS = {
    "org.mobyproject.buildkit.worker.executor": "lamina",
    "org.mobyproject.buildkit.worker.snapshotter": "lamina",
}


class Control:
    """Answer the service's calls. It belongs to the event loop; builds run in threads of their own."""

    def __init__(self, solver: Solver, sessions: Sessions, builds: Builds, worker_id: str) -> None:
        self._solver = solver
        self._sessions = sessions
        self._builds = builds
        self._worker_id = worker_id

    def methods(self) -> dict[str, Method]:
        """Return the methods by their paths."""
        methods = {
            "Solve": unary(SolveRequest, self.solve),
            "Status": self.status,
            "ListWorkers": unary(ListWorkersRequest, self.workers),
            "Info": unary(Empty, self.info),
            "DiskUsage": unary(DiskUsageRequest, self.disk_usage),
            "Prune": self.prune,
            "ListenBuildHistory": self.history,
            "UpdateBuildHistory": unary(HistoryUpdate, self.update_history),
        }
        return {_SERVICE + name: method for name, method in methods.items()}

    async def solve(self, request: SolveRequest, call: Call) -> SolveResponse:
        """Build, and hand the result to the outputs. The build ends with the call."""
        check_supported(request.frontend)
        caches = cache_targets(_options(request.cache.exports if request.cache else ()))
        attestations = AttestationOptions.of(request.attributes)
        build = await self._builds.begin(request, await self._sessions.get(request.session))
        error, response = Status(Code.CANCELLED, "the client went away"), dict[str, str]()
        try:
            result = await self._result(build)
            response = (
                await self.work(build, lambda: self._write(build, result, attestations, caches)) if result else {}
            )
            error = Status()
        except Exception as failure:
            details = (*details_of(failure), *stack_of(failure))
            error = Status(code_of(failure), failure_of(failure), details)
            raise
        finally:
            build.client.cancellation.cancel("the build has ended")
            await self._builds.end(build, error if error.code else None, response)
        return SolveResponse(response)

    async def _result(self, build: Build) -> Images | None:
        """Return what the outputs get: what a graph or a frontend made, or what the client returns."""
        request = build.request
        graph = request.definition
        if graph is not None and (graph.operations or not request.frontend):  # without operations: an empty image
            ref = await self.solve_graph(build, graph)
            return await self.work(build, lambda: Images((ref.image(b"", None),)))
        if request.frontend:
            return await self.solve_frontend(build, request.attributes, request.inputs)
        returned = await build.returned
        if returned.error is not None and returned.error.code:
            failure = returned.error
            raise error_with(failure.code, failure.message, otherwise=CommandFailed, details=failure.details)
        return await self.work(build, lambda: result_of(build, returned.result))

    async def solve_graph(self, build: Build, definition: Definition, policy: SourcePolicy = ALLOW_ALL) -> GraphRef:
        """Return what a graph ends with. Nothing has been made yet. Raise what `edge_of` raises.

        `policy` holds beside that of the build.
        """
        whole = build.client.policy.and_also(policy)
        edge = await self.work(build, lambda: edge_of(definition, whole))
        return self._solver.ref_of_graph(build.graph, edge, definition)

    async def solve_frontend(
        self,
        build: Build,
        attributes: Mapping[str, str],
        inputs: Mapping[str, Definition],
        imports: Sequence[CacheEntry] = (),
        policy: SourcePolicy = ALLOW_ALL,
    ) -> Images:
        """Build a Dockerfile. `inputs` are graphs that the attributes name. Raise what `Solver.build` raises.

        `policy` holds beside that of the build. Caches are imported from what the attributes name, from `imports`, and
        from what the build named as a whole.
        """

        check_abilities(attributes)
        client = replace(build.client, policy=build.client.policy.and_also(policy))
        if not all(definition.operations for definition in inputs.values()):
            raise InvalidInput("invalid nil input definition to definition op", advice="Give every input a graph.")

        def tree_of(definition: Definition) -> Tree:
            edge = edge_of(definition, client.policy)
            return self._solver.ref_of_graph(build.graph, edge, definition).tree()

        given = {name: partial(tree_of, definition) for name, definition in inputs.items()}
        request, source = request_of(attributes), Source.of(attributes, given)
        whole = build.request.cache.imports if build.request.cache else ()
        named = (*request.cache_imports, *_options((*imports, *whole)))
        once = tuple(option for number, option in enumerate(named) if option not in named[:number])
        exports = _options(build.request.cache.exports) if build.request.cache else ()
        allowed = build.request.entitlements
        if request.network == "host" and HOST_NETWORK not in allowed:
            raise Forbidden(f"{HOST_NETWORK} is not allowed", advice=f"Allow it: --allow {HOST_NETWORK}.")
        request = replace_fields(request, cache_imports=once, cache_exports=exports, allow=allowed)
        build.facts = BuildFacts.of(attributes)

        def image_of(definition: Definition, config: bytes) -> Image:
            ref = self._solver.ref_of_graph(build.graph, edge_of(definition, client.policy), definition)
            return ref.image(config, None).image

        contexts = contexts_of(attributes, inputs, image_of)
        solved = await self.work(build, lambda: self._solver.build(client, request, source, contexts=contexts))
        return replace(solved, several=solved.several or attributes.get("multi-platform") in ("1", "t", "true"))

    def _write(
        self, build: Build, result: Images, attestations: AttestationOptions, caches: Sequence[CacheTarget]
    ) -> dict[str, str]:
        request = build.request
        outputs = [BuildOutput(exporter.type, exporter.attributes) for exporter in request.exporters]
        if not outputs and request.exporter:
            outputs = [BuildOutput(request.exporter, request.exporter_attributes)]
        epoch = request.attributes.get(f"build-arg:{SOURCE_DATE}", "")
        if epoch.isdecimal():
            outputs = [BuildOutput(output.type, {EPOCH: epoch} | output.attrs) for output in outputs]
        return self._solver.write(result, outputs, build.client, build.facts, attestations, caches)

    async def work(self, build: Build, work: Callable[[], T]) -> T:
        """Run blocking work of a build in a thread. When the call is cut, cancel the build."""
        return await cancelling(build.client.cancellation, work)

    async def status(self, call: Call) -> None:
        """Send all news of a build until it ends."""
        request = await call.receive(StatusRequest) or StatusRequest()
        past = await self._builds.past_news(request.ref)
        if past is not None:
            for status in past:
                await call.send(status)
            return
        build = await self._builds.get(request.ref)
        async for status in self._builds.news(build):
            await call.send(status)

    async def workers(self, request: ListWorkersRequest, call: Call) -> ListWorkersResponse:
        """Return the one worker: this engine."""
        return ListWorkersResponse((self.worker(),))

    def worker(self) -> Worker:
        """Return this engine as a worker."""
        platforms = tuple(Platform(each.architecture, each.os, each.variant) for each in runnable())
        return Worker(self._worker_id, _LABELS, platforms, _VERSION)

    async def info(self, request: Empty, call: Call) -> InfoResponse:
        """Return the daemon's version."""
        return InfoResponse(_VERSION)

    async def disk_usage(self, request: DiskUsageRequest, call: Call) -> DiskUsageResponse:
        """Return what the cache holds."""
        filters = parse_expressions(request.filter)
        objects = await in_thread(lambda: self._solver.builds.usage(filters))
        return DiskUsageResponse(tuple(map(_usage_record, objects)))

    async def prune(self, call: Call) -> None:
        """Remove what the cache can spare, and tell what it was."""
        request = await call.receive(PruneRequest) or PruneRequest()
        filters = parse_expressions(request.filter)
        if request.keep_duration:
            filters["unused-for"] = [f"{request.keep_duration}ns"]
        cancellation = Cancellation()
        builds = self._solver.builds
        before = {each.id: each for each in await in_thread(builds.usage)}
        pruned = await cancelling(
            cancellation,
            lambda: builds.prune(
                filters,
                all=request.all,
                reserved=request.reserved_space,
                max_used=request.max_used_space,
                min_free=request.min_free_space,
                cancellation=cancellation,
            ),
        )
        known = [before[id] for id in pruned.removed if id in before]
        rest = pruned.reclaimed - sum(each.size for each in known)
        for record in map(_usage_record, known):
            await call.send(record)
        for number, id in enumerate(id for id in pruned.removed if id not in before):
            await call.send(UsageRecord(id, size=0 if number else max(rest, 0), type="internal"))

    async def history(self, call: Call) -> None:
        """Send the builds that there are, also those of earlier daemons, and then the later ones as they go on."""
        request = await call.receive(HistoryRequest) or HistoryRequest()
        with self._builds.listener() as events:
            await self._send_history(call, request)
            while not request.early_exit:
                event = await events.get()
                if event.record is not None and request.ref in ("", event.record.ref):
                    await call.send(event)

    async def _send_history(self, call: Call, request: HistoryRequest) -> None:
        # A build that ends now is in both lists: its record is kept before it stops being active.
        active = {each.ref: each for each in self._builds.active(request.ref)}
        if not request.active_only:
            for record in await in_thread(self._solver.builds.history):
                active.pop(record.ref, None)
                if request.ref in ("", record.ref):
                    await call.send(HistoryEvent(COMPLETE, message_of(record)))
        for each in active.values():
            await call.send(HistoryEvent(STARTED, each))

    async def update_history(self, request: HistoryUpdate, call: Call) -> Empty:
        """Forget a build, keep it for good, or give it a trace."""
        builds = self._solver.builds
        if request.delete:
            await in_thread(lambda: builds.remove_record(request.ref))
            return Empty()
        record = await in_thread(lambda: builds.record(request.ref))
        if request.finalize:
            changed = replace_fields(record, finalized=True)
        else:
            changed = replace_fields(record, pinned=request.pinned)
        await in_thread(lambda: builds.keep_record(changed))
        return Empty()


def _options(entries: Sequence[CacheEntry]) -> tuple[CacheOption, ...]:
    return tuple(CacheOption(entry.type, entry.attributes) for entry in entries)


def _usage_record(each: CacheObject) -> UsageRecord:
    used = Timestamp.of(int(each.used * 1e9))
    return UsageRecord(
        each.id,
        each.type == "exec.cachemount",
        each.in_use,
        each.size,
        used,
        used,
        description=f"{each.description} (kept for {each.kept_for})" if each.kept_for else each.description,
        type=each.type,
        shared=bool(each.kept_for),
    )


def check_supported(frontend: str) -> None:
    """Raise Unsupported for a foreign frontend."""
    if frontend not in ("", NAME):
        raise Unsupported(f"frontend {frontend} is not supported", advice=f"Use {NAME}.")


def check_abilities(attributes: Mapping[str, str]) -> None:
    """Raise Unsupported for an ability that the client needs and the frontend lacks.

    Words behind a plus say what a frontend that lacks it is to do: `NAME+forward`.
    Rule: moby/buildkit, frontend/dockerfile/builder/caps.go.
    """
    for ability in attributes.get("frontend.caps", "").split(","):
        name = ability.partition("+")[0]
        if name and name not in _ABILITIES:
            raise Unsupported(f"unsupported frontend capability {name}", frontend_capability=name)


async def cancelling(cancellation: Cancellation, work: Callable[[], T]) -> T:
    """Run blocking work in a thread, and cancel it when the task that waits is cancelled."""
    working = in_thread(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        cancellation.cancel("the client went away")
        working.add_done_callback(lambda future: future.cancelled() or future.exception())
        raise
