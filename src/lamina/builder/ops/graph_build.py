"""One build of a graph: its vertices are looked up, or run, and what they make is remembered.

    with GraphBuild(rooms, outside, watch, cancellation) as build:
        result = build.result(edge)

What the build makes and uses is held in the store until the block is left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from lamina.builder.cache.records import CachedResult
from lamina.builder.cache_exchange.cache_import import ImportedCaches
from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Edge, Vertex, in_order
from lamina.builder.keys.records import ResultRecords
from lamina.builder.keys.vertex_keys import content_key, exact_key
from lamina.builder.ops.exec import Commands, check_entitled
from lamina.builder.ops.file_actions import run_actions
from lamina.builder.ops.outside import Outside
from lamina.builder.ops.result import Result
from lamina.builder.ops.sources import Sources
from lamina.builder.ops.stacking import difference, merged
from lamina.builder.run.container import ContainerRunner
from lamina.builder.run.networks import StepNetworks
from lamina.builder.solve.scheduler import Scheduler
from lamina.cancellation import Cancellation
from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput, LaminaError, Unsupported
from lamina.keylocks import KeyLocks
from lamina.layers.layer import Layer
from lamina.progress import Message
from lamina.store.leases import Lease
from lamina.store.store import Store

_LONGEST = 24 * 3600.0  # seconds that a build may take


class Watch(Protocol):
    """Hears how the vertices of a build get on, from several threads."""

    def expect(self, vertices: Sequence[Vertex]) -> None:
        """Hear which vertices are going to be looked at, each behind its inputs."""
        ...

    def begin(self, vertex: Vertex) -> None:
        """Hear that a vertex is being looked at or run."""
        ...

    def output(self, vertex: Vertex, text: str, error: bool) -> None:
        """Hear what a vertex's command writes."""
        ...

    def report(self, vertex: Vertex, message: Message) -> None:
        """Hear how far a vertex is."""
        ...

    def end(self, vertex: Vertex, *, cached: bool = False, error: BaseException | None = None) -> None:
        """Hear that a vertex has ended."""
        ...


@dataclass(frozen=True, slots=True)
class GraphRooms:
    """What graphs are built with. `runner` is called at the first command only. One for all builds of an engine."""

    store: Store
    temporary: Path
    runner: Callable[[], ContainerRunner] | None = None
    locks: KeyLocks[str] = field(default_factory=KeyLocks)

    @property
    def records(self) -> ResultRecords:
        """Return the memory of what was made."""
        return ResultRecords(self.store)


OpenCaches = Callable[[], AbstractContextManager[ImportedCaches]]


class ImportedResults:
    """The caches of other engines, opened when the first vertex needs them. Thread-safe."""

    def __init__(self, open_caches: OpenCaches) -> None:
        self._open = open_caches
        self._caches: ImportedCaches | None = None
        self._lock = threading.Lock()

    def find(
        self, key: str, warn: Callable[[str], object], closing: ExitStack, cancellation: Cancellation
    ) -> list[tuple[list[Layer], int]] | None:
        """Return what a vertex made, as `ImportedCaches.find_result` does. `closing` keeps the caches open."""
        with self._lock:
            if self._caches is None:
                self._caches = closing.enter_context(self._open())
        return self._caches.find_result(key, warn, cancellation)


def placed(vertex: Vertex, error: LaminaError) -> LaminaError:
    """Return the same error with the vertex that it is from, and its places in a client's files, in `facts`."""
    facts = {"vertex": vertex.digest, "locations": vertex.description.locations, **error.facts}
    return type(error)(error.message, advice=error.advice, **facts)


class GraphBuild:
    """Builds the graphs of one client. Thread-safe; close it after use, which waits for what still runs."""

    def __init__(
        self,
        rooms: GraphRooms,
        outside: Outside,
        watch: Watch,
        cancellation: Cancellation,
        caches: OpenCaches | None = None,
    ) -> None:
        """`caches` opens the caches of other engines, which are asked for what is not here."""
        self._rooms = rooms
        self._imports = ImportedResults(caches) if caches is not None else None
        self._cached: dict[str, CachedResult] = {}
        self._outside = outside
        self._watch = watch
        self._cancellation = cancellation
        self._closing = ExitStack()
        self._networks = StepNetworks(self._closing)
        self._sources = Sources(rooms.store, outside, rooms.temporary, self._closing, cancellation)
        self._lease: Lease | None = rooms.store.lease(ttl=_LONGEST)
        # The lease belongs to a context of its own: the client's calls come in many threads.
        self._context = copy_context()
        self._context.run(self._lease.__enter__)
        self._scheduler: Scheduler[Result] = Scheduler(
            self._perform, cancellation, lambda work: self._context.copy().run(work)
        )

    def result(self, edge: Edge) -> Result:
        """Return the files of an output. Vertices that were made for an earlier one are not made again.

        Raise Unsupported for an operation that is not known, Forbidden for one that is not allowed, and what the
        vertices raise.
        """
        vertices = in_order([edge])
        for vertex in vertices:
            if isinstance(vertex.operation, graph.Exec):
                check_entitled(vertex.operation, self._outside)
        self._watch.expect(vertices)
        return self._scheduler.evaluate(edge)

    def _perform(self, vertex: Vertex, inputs: Sequence[Result]) -> Sequence[Result]:
        self._watch.begin(vertex)
        try:
            results, cached = self._looked_up(vertex, inputs)
        except Problem as problem:
            error = placed(vertex, InvalidInput(problem.message, advice=problem.advice, **problem.facts))
            self._watch.end(vertex, error=error)
            raise error from None
        except LaminaError as failure:
            self._watch.end(vertex, error=failure)
            raise placed(vertex, failure) from failure
        except BaseException as failure:
            self._watch.end(vertex, error=failure)
            raise
        self._watch.end(vertex, cached=cached)
        return results

    def _looked_up(self, vertex: Vertex, inputs: Sequence[Result]) -> tuple[Sequence[Result], bool]:
        """Return what a vertex made before, or have it run. Two builds never run the same vertex at the same time."""
        records = self._rooms.records
        exact = exact_key(vertex, inputs)
        ignore_cache = vertex.description.ignore_cache
        if exact is not None and not ignore_cache and (remembered := records.find_exact(exact)) is not None:
            self._note(*remembered)
            return remembered[1], True
        key = content_key(vertex, inputs)
        if key is None:
            return self._run(vertex, inputs), False
        with self._rooms.locks.hold(key, self._cancellation):
            if not ignore_cache and (results := records.find(key)) is not None:
                if exact is not None:
                    records.add_alias(exact, key)
                self._note(key, results)
                return results, True
            imported = None if ignore_cache else self._imported(key, vertex)
            results = self._run(vertex, inputs) if imported is None else imported
            records.remember(key, results, exact, vertex.description.name)
            self._note(key, results)
            return results, imported is not None

    def _imported(self, key: str, vertex: Vertex) -> list[Result] | None:
        """Return what another engine made of the same inputs."""
        if self._imports is None:
            return None
        warn = partial(self._watch.output, vertex, error=True)
        outputs = self._imports.find(key, lambda text: warn(f"{text}\n"), self._closing, self._cancellation)
        return None if outputs is None else [Result(layers, time_ns) for layers, time_ns in outputs]

    def _note(self, key: str, results: Sequence[Result]) -> None:
        outputs = ((tuple(layer.diff_id for layer in result.layers), result.time_ns) for result in results)
        self._cached[key] = CachedResult(key, tuple(outputs))

    def cached(self) -> tuple[CachedResult, ...]:
        """Return the vertices so far that other engines can use, in the order of their keys."""
        cached = dict(self._cached)
        return tuple(cached[key] for key in sorted(cached))

    def _run(self, vertex: Vertex, inputs: Sequence[Result]) -> list[Result]:
        match vertex.operation:
            case graph.Source() as source:
                return [self._sources.fetch(source, vertex.platform, partial(self._watch.report, vertex))]
            case graph.Exec() as command:
                return self._commands().run(command, inputs, partial(self._watch.output, vertex))
            case graph.Files(actions=actions):
                with ExitStack() as closing:
                    return run_actions(actions, inputs, self._rooms.store, self._rooms.temporary, closing)
            case graph.Merge():
                return [merged(inputs)]
            case graph.Difference(lower=lower, upper=upper):
                sides = [Result() if place is None else inputs[place] for place in (lower, upper)]
                return [difference(sides[0], sides[1], self._rooms.store)]
            case other:
                raise Unsupported(f"the operation {type(other).__name__} cannot be run")

    def _commands(self) -> Commands:
        if self._rooms.runner is None:
            raise Unsupported("commands need containers, and this engine has none", advice="See `info` for the reason.")
        return Commands(self._rooms.store, self._rooms.runner(), self._networks, self._outside, self._cancellation)

    def hold(self, result: Result) -> None:
        """Keep the layers of a result until the present lease of the caller ends."""
        lease = self._rooms.store.lease()
        with lease:
            for layer in result.layers:
                lease.add(layer.diff_id)

    def close(self) -> None:
        """Wait for what still runs, and give back what the build holds. A second call does nothing."""
        self._scheduler.close()
        self._closing.close()
        lease, self._lease = self._lease, None
        if lease is not None:
            self._context.run(lease.__exit__, None, None, None)

    def __enter__(self) -> GraphBuild:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
