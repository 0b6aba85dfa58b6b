"""The builds that BuildKit's clients asked for: their news for everybody who listens, and their results by ID."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from lamina.api.build import CacheOption
from lamina.builder.attestations.facts import BuildFacts
from lamina.builder.ops.graph_build import GraphBuild
from lamina.cancellation import Cancellation
from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.history import News, keep, message_of, news_of, record_of
from lamina.daemon.buildkit.messages.control import Definition, HistoryEvent, HistoryRecord, SolveRequest, Status
from lamina.daemon.buildkit.messages.gateway import ReturnRequest
from lamina.daemon.buildkit.messages.status import StatusResponse, Timestamp
from lamina.daemon.buildkit.policies import policy_of
from lamina.daemon.buildkit.refs import Ref
from lamina.daemon.buildkit.sessions import Session, Sessions
from lamina.daemon.buildkit.solver import Solver
from lamina.daemon.buildkit.vertices import Vertices
from lamina.daemon.http.call import in_thread
from lamina.errors import Conflict, InvalidInput, NotFound, Unavailable

_PATIENCE = 5.0  # seconds that a question waits for its build to begin
_MOST_BUILDS = 256  # under way at once: each has a thread
_MOST_EVENTS = 1000  # that wait for one listener
STARTED, COMPLETE = 0, 1  # kinds of a HistoryEvent
_KEPT = 100  # builds that have ended and are still told of


@dataclass(slots=True)
class Build:
    """One build. The event loop owns it; `client` and `hear` may be used in threads."""

    request: SolveRequest
    client: Client
    solver: Solver
    graph: GraphBuild
    news: News = field(default_factory=News)
    results: dict[str, Ref] = field(default_factory=dict)
    returned: asyncio.Future[ReturnRequest] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ended: bool = False
    more: asyncio.Event = field(default_factory=asyncio.Event)
    record: HistoryRecord = field(default_factory=HistoryRecord)
    facts: BuildFacts = field(default_factory=lambda: BuildFacts({}))  # of the request that its frontend answered last

    def keep(self, ref: Ref) -> str:
        """Keep a result until the build ends. Return its new ID."""
        id = uuid.uuid4().hex
        self.results[id] = ref
        return id

    def result(self, id: str) -> Ref:
        """Return a result by its ID. Raise NotFound."""
        ref = self.results.get(id)
        if ref is None:
            raise NotFound(f"the build has no result {id}")
        return ref

    def empty(self) -> Ref:
        """Return a result without files."""
        return self.solver.ref_of_graph(self.graph, None, Definition())


class Builds:
    """The builds by their refs. It belongs to the event loop."""

    def __init__(self, solver: Solver, sessions: Sessions) -> None:
        self._solver = solver
        self._sessions = sessions
        self._active: dict[str, Build] = {}
        self._past: dict[str, Build] = {}
        self._changed = asyncio.Condition()
        self._listeners: set[asyncio.Queue[HistoryEvent]] = set()

    @contextmanager
    def listener(self) -> Iterator[asyncio.Queue[HistoryEvent]]:
        """Provide the events of builds that begin and end while the block runs. A slow listener loses the newest."""
        events = asyncio.Queue[HistoryEvent](_MOST_EVENTS)
        self._listeners.add(events)
        try:
            yield events
        finally:
            self._listeners.discard(events)

    def _tell(self, kind: int, build: Build) -> None:
        if not build.request.internal:
            for events in self._listeners:
                with suppress(asyncio.QueueFull):
                    events.put_nowait(HistoryEvent(kind, build.record))

    async def begin(self, request: SolveRequest, session: Session) -> Build:
        """Make a build known. Raise Conflict for a ref that is taken, Unavailable when too many are under way."""
        ref = request.ref
        if ref in self._active or ref in self._past:
            raise Conflict(f"there is a build {ref} already")
        if len(self._active) >= _MOST_BUILDS:
            raise Unavailable(
                f"more than {_MOST_BUILDS} builds are under way", advice="Try again when some have ended."
            )
        loop = asyncio.get_running_loop()

        def hear(status: StatusResponse) -> None:
            loop.call_soon_threadsafe(self._note, build, status)

        temporary = self._solver.builds.temporary
        policy = policy_of([request.source_policy])
        client = Client(session, temporary, Vertices(ref, hear), Cancellation(), self._sessions, policy)
        imports = [CacheOption(each.type, each.attributes) for each in (request.cache.imports if request.cache else ())]
        build = Build(request, client, self._solver, self._solver.graph(client, request.entitlements, imports))
        build.record = HistoryRecord(ref, request.frontend, dict(request.attributes), created=Timestamp.now())
        async with self._changed:
            self._active[ref] = build
            self._changed.notify_all()
        self._tell(STARTED, build)
        return build

    def _note(self, build: Build, status: StatusResponse) -> None:
        build.news.add(status)
        build.more.set()

    async def end(self, build: Build, error: Status | None = None, response: Mapping[str, str] | None = None) -> None:
        """Note that a build has ended."""
        await in_thread(build.graph.close)
        await asyncio.sleep(0)  # what its thread told last comes first
        build.results.clear()
        build.record = msgspec.structs.replace(
            build.record, error=error, completed=Timestamp.now(), response=dict(response or {})
        )
        record = record_of(build.record, build.news.messages)
        if not build.request.internal:  # before it is not under way any more, so that it is always in the history
            await in_thread(lambda: keep(self._solver.builds, record))
        build.record = message_of(record)
        build.ended = True
        build.more.set()
        ref = build.request.ref
        self._active.pop(ref, None)
        self._past[ref] = build
        self._tell(COMPLETE, build)
        while len(self._past) > _KEPT:
            del self._past[next(iter(self._past))]

    async def get(self, ref: str) -> Build:
        """Return a build, one that has ended too; wait a little for one that is to begin. Raise NotFound."""
        async with self._changed:
            try:
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: ref in self._active or ref in self._past), _PATIENCE
                )
            except TimeoutError:
                raise NotFound(f"no such job {ref}") from None
            return self._active.get(ref) or self._past[ref]

    def active(self, ref: str = "") -> list[HistoryRecord]:
        """Return the builds that are under way, or only the one with this ref."""
        return [
            build.record
            for build in self._active.values()
            if ref in ("", build.request.ref) and not build.request.internal
        ]

    async def past_news(self, ref: str) -> list[StatusResponse] | None:
        """Return the news of a build of an earlier daemon, None for one that is none."""
        if ref in self._active or ref in self._past:
            return None
        try:
            return news_of(await in_thread(lambda: self._solver.builds.record(ref)))
        except (NotFound, InvalidInput):
            return None

    async def news(self, build: Build) -> AsyncIterator[StatusResponse]:
        """Yield all news of a build, from its beginning to its end."""
        position = 0
        while True:
            build.more.clear()
            while position < len(build.news.messages):
                yield build.news.messages[position]
                position += 1
            if build.ended:
                return
            await build.more.wait()
