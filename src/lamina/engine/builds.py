"""Builds as the engine runs them: base images from here or from a registry, RUN in containers of the engine's own."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, cast

from msgspec.structs import replace

from lamina.api.build import BuildRequest, outputs_of, with_absolute_folders
from lamina.api.build_cache import CacheLimits, CacheObject, check_filters, matches
from lamina.api.build_calls import CallResult, CheckResult, OutlineResult, TargetsResult
from lamina.api.memory_context import MemoryContext
from lamina.api.results import Pruned
from lamina.builder.attestations.attest import Generate
from lamina.builder.build_run import BuildRooms
from lamina.builder.builder import BuildResult
from lamina.builder.cache.collector import Collector
from lamina.builder.cache.step_cache import forget_lost
from lamina.builder.cache.usage import CacheUsage
from lamina.builder.cache_exchange.cache_import import CachePlaces
from lamina.builder.checking import answer
from lamina.builder.context.saved_files import SavedContexts
from lamina.builder.context.source import (
    ALL,
    BuildContext,
    ContextPart,
    from_archive,
    from_directory,
    from_remote,
    from_stream,
)
from lamina.builder.export.layer_blobs import forget_lost_blobs
from lamina.builder.failed_images import sweep_failed
from lamina.builder.file_sums import forget_sums
from lamina.builder.history.records import BuildHistory
from lamina.builder.ops.graph_build import GraphRooms
from lamina.builder.run.cache_mounts import CacheMounts
from lamina.builder.run.container import ContainerRunner, sweep, sweep_files
from lamina.builder.squash import squashed_image
from lamina.builder.verify import build_as_asked
from lamina.cancellation import NEVER, Cancellation, CheckedReader, CheckedWriter
from lamina.containers.rooms import Rooms
from lamina.distribution import Credentials
from lamina.engine.base_images import BaseImages
from lamina.engine.build_client import BuildClient, no_credentials
from lamina.engine.build_inputs import BuildInputs, CallerInputs
from lamina.engine.build_records import RecordedBuilds
from lamina.engine.build_results import BuildResults
from lamina.engine.known_bases import AskCredentials, KnownBases
from lamina.engine.named_contexts import WHOLE
from lamina.engine.registries import Registries, credentials_for
from lamina.engine.sbom_generator import SbomGenerator
from lamina.errors import CommandFailed, Conflict, InvalidInput
from lamina.formats.matching import Filters
from lamina.formats.platform import Platform
from lamina.formats.text import several_texts
from lamina.images.image import Image
from lamina.layers.tar.source import Readable
from lamina.layers.unpack import unpack_as_own
from lamina.linux.files import private_directory
from lamina.linux.layout_folder import LayoutFolder, with_digests
from lamina.linux.output_files import OutputFiles
from lamina.linux.processes import Caller
from lamina.progress import Report, ignore
from lamina.sandbox.spec import Defaults
from lamina.types.failed_step import BuildSide, StepFailed


class Builds(RecordedBuilds):
    """The builds of one engine. Thread-safe. A build without RUN opens no room that needs privileges.

    RUN steps get the `defaults` of containers. `temporary` holds what a build needs for a while, `mounts` the
    directories of `RUN --mount=type=cache`. Both are on the data root's file system.
    """

    def __init__(
        self,
        rooms: Rooms,
        registries: Registries,
        defaults: Defaults,
        temporary: Path,
        mounts: Path,
        *,
        side: BuildSide,
        limits: CacheLimits | None = None,
    ) -> None:
        """`limits` are what the build cache may hold. With the rooms of `side` one works with a step that failed."""
        self._rooms = rooms
        self._side = side
        self._registries = registries
        self._bases = BaseImages(rooms.images, registries)
        self.results = BuildResults(rooms, registries, self.build_context, self.generate_sbom)
        self.inputs = BuildInputs(self.build_context, self.files_of)
        self._defaults = defaults
        self._temporary = temporary
        self._mounts = mounts
        self.saved_contexts = SavedContexts(temporary.with_name("build-contexts"))
        self._cache = CacheUsage(rooms.images, CacheMounts(mounts), self.saved_contexts, temporary)
        self._collector = Collector(self._cache, limits)
        super().__init__(BuildHistory(temporary.with_name("build-history")))
        private_directory(temporary)

    def build(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        request = request or BuildRequest()
        logins: dict[str, Any] = {"credentials": credentials, "secrets": secrets}
        build = partial(self.build, context, request, report=report, cancellation=cancellation, **logins)
        try:
            return self._build(context, request, credentials, secrets or {}, report, cancellation)
        except CommandFailed as error:
            if "image" not in error.facts:
                raise
            raise StepFailed(error, self._side, request.network, build) from error

    def _build(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest,
        credentials: Mapping[str, Credentials] | None,
        secrets: Mapping[str, bytes],
        report: Report,
        cancellation: Cancellation,
    ) -> BuildResult:
        contexts, imports = with_absolute_folders(request.contexts), with_digests(request.cache_imports, report)
        request = replace(request, contexts=contexts, cache_imports=imports)
        client = BuildClient.with_logins(credentials, report, cancellation, LayoutFolder)
        with (
            self._opened(context, request, cancellation) as opened,
            OutputFiles(outputs_of(request), unpack_as_own) as files,
            self.inputs.opened(request, client, CallerInputs(secrets)) as client,
        ):
            return self.results.export(opened, request, files.take, client)

    def generate_sbom(self, client: BuildClient) -> Generate:
        """Return what runs SBOM generators for a client."""
        return SbomGenerator(self.base_image, self.build_context, client).statements

    def build_context(
        self,
        context: BuildContext,
        request: BuildRequest,
        client: BuildClient | None = None,
        *,
        name_bases: bool = True,
    ) -> BuildResult:
        """Build a context that is open already. With `name_bases` the images that are pulled get the names in FROM."""
        client = client or BuildClient()

        def resolve(name: str, platform: Platform | None, pull: bool) -> Image:
            context = client.contexts.find(name)
            if isinstance(context, Image):
                return context
            ask, report, cancellation = client.credentials, client.report, client.cancellation
            return self._bases.image(context or name, platform, pull, ask, report, cancellation, named=name_bases)

        caches = CachePlaces(self._registries.client, client.credentials, client.cache_folder)
        store, images = self._rooms.store, self._rooms.images
        rooms = BuildRooms(
            store, images, resolve, self._temporary, self._runner, caches, client.contexts, client.policy
        )
        theirs: dict[str, Any] = {"secrets": client.secrets, "agents": client.agents, "console": client.console}
        work = partial(build_as_asked, context, request, rooms, cancellation=client.cancellation, **theirs)
        try:
            # A front with a console of its own keeps a record of the whole.
            own_record = client.console is not None
            return work(report=client.report) if own_record else self.recorded(request, client.report, work)
        finally:
            self._collector.collect()

    def check(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> CheckResult:
        return cast(CheckResult, self._answer("check", context, request, credentials, cancellation))

    def outline(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> OutlineResult:
        return cast(OutlineResult, self._answer("outline", context, request, credentials, cancellation))

    def targets(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> TargetsResult:
        return cast(TargetsResult, self._answer("targets", context, request, credentials, cancellation))

    def _answer(
        self,
        call: str,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None,
        credentials: Mapping[str, Credentials] | None,
        cancellation: Cancellation,
    ) -> CallResult:
        request = replace(request or BuildRequest(), call=call)
        with self._opened(context, request, cancellation) as opened:
            return self.answer(opened, request, credentials=credentials, cancellation=cancellation)

    def answer(
        self,
        context: BuildContext,
        request: BuildRequest,
        *,
        credentials: Mapping[str, Credentials] | AskCredentials | None = None,
        cancellation: Cancellation = NEVER,
    ) -> CallResult:
        """Answer what `request.call` asks of a context that is open already. Raise as `check` and `outline` do."""
        ask = credentials if callable(credentials) else partial(credentials_for, credentials=credentials or {})
        bases = KnownBases(self._rooms.images, self._registries, ask, request.pull, cancellation)
        return answer(context, request, bases.find)

    def stream_context(
        self, stream: Readable, part: ContextPart = ALL, *, cancellation: Cancellation = NEVER
    ) -> BuildContext:
        """Return the context in a stream: a tar, or a Dockerfile alone. The caller closes it. Raise InvalidInput."""
        return from_stream(CheckedReader(stream, cancellation), self._temporary, part)

    def base_image(
        self,
        name: str,
        platform: Platform | None = None,
        *,
        pull: bool = False,
        credentials: AskCredentials = no_credentials,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Return the image that FROM would begin with. Raise NotFound, Unauthorized, Unavailable, Cancelled."""
        return self._bases.image(name, platform, pull, credentials, report, cancellation, named=True)

    @cached_property
    def graph_rooms(self) -> GraphRooms:
        """Return what graphs are built with."""
        return GraphRooms(self._rooms.store, self._temporary, self._runner)

    @property
    def temporary(self) -> Path:
        """Return the folder for what a build needs for a while."""
        return self._temporary

    def _opened(
        self, context: str | os.PathLike[str] | MemoryContext | None, request: BuildRequest, cancellation: Cancellation
    ) -> BuildContext:
        if context is None:
            if not request.remote:
                raise InvalidInput("there is nothing to build", advice="Give a context, or an address in `remote`")
            return self.remote_context(request.remote, ContextPart(request.dockerfile), cancellation=cancellation)
        if isinstance(context, MemoryContext):
            archive = io.BytesIO(context.to_tar())
            return self.archive_context(archive, request.dockerfile, cancellation=cancellation)
        return from_directory(Path(context), request.dockerfile)

    def remote_context(self, url: str, part: ContextPart = ALL, *, cancellation: Cancellation = NEVER) -> BuildContext:
        """Return the context behind an address: a tar, a Dockerfile, a git repository. The caller closes it.

        Raise InvalidInput, NotFound, Unavailable, Cancelled.
        """
        return from_remote(url, self._temporary, part, cancellation)

    def files_of(
        self, source: str | Readable, caller: Caller | None = None, *, cancellation: Cancellation = NEVER
    ) -> BuildContext:
        """Return the files of a named context, with a Dockerfile that takes them all. The caller closes it.

        `source` is an address, the path of a folder that `caller` may read, or a tar. Raise InvalidInput, NotFound,
        Forbidden, Unavailable, Cancelled.
        """
        if not isinstance(source, str):
            return from_archive(CheckedReader(source, cancellation), self._temporary, ContextPart(text=WHOLE))
        if os.path.isabs(source):
            return from_directory(Path(source), raw_dockerfile=WHOLE, caller=caller)
        return from_remote(source, self._temporary, ContextPart(text=WHOLE), cancellation)

    def archive_context(
        self, archive: Readable, dockerfile: str = "", *, cancellation: Cancellation = NEVER
    ) -> BuildContext:
        """Return the context in a tar, compressed or not. The caller closes it. Raise InvalidInput, Cancelled."""
        return from_archive(CheckedReader(archive, cancellation), self._temporary, ContextPart(dockerfile))

    def usage(self, filters: Filters | None = None) -> tuple[CacheObject, ...]:
        check_filters(filters or {})
        return tuple(each for each in self._cache.objects() if matches(each, filters or {}))

    def prune(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        reserved: int = 0,
        max_used: int = 0,
        min_free: int = 0,
        cancellation: Cancellation = NEVER,
    ) -> Pruned:
        cancellation.check()
        check_filters(filters or {})
        limits = CacheLimits(reserved=reserved, max_used=max_used, min_free=min_free)
        removed = [self._cache.prune(filters or {}, limits)]
        is_everything = not filters and limits == CacheLimits()
        if not filters:
            removed.append(self._rooms.store.collect(cache_bytes=reserved if all else None))
        if all and is_everything:
            forget_sums(self._rooms.store)
        dropped = dict.fromkeys(str(digest) for each in removed for digest in each.digests)
        return Pruned(tuple(dropped), sum(each.bytes for each in removed))

    def squash(
        self,
        reference: str,
        how: str = "all",
        *,
        base: str = "",
        tags: Sequence[str] = (),
        cancellation: Cancellation = NEVER,
    ) -> Image:
        images = self._rooms.images
        below = images.get(base) if base else None
        return squashed_image(images, images.get(reference), how, below, several_texts("tags", tags), cancellation)

    def export_mount(self, name: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        mounts = CacheMounts(self._mounts)
        mounts.write_to(mounts.find(name), CheckedWriter(sink, cancellation))

    def import_mount(self, name: str, source: IO[bytes], *, cancellation: Cancellation = NEVER) -> CacheObject:
        return CacheMounts(self._mounts).read_from(name, CheckedReader(source, cancellation))

    def remove_mount(self, name: str) -> None:
        mounts = CacheMounts(self._mounts)
        if not mounts.remove(mounts.find(name)):
            raise Conflict(f"a step uses the cache mount {name}", advice="Try again when the build has ended.")

    def forget_lost(self) -> None:
        """Forget steps whose image is gone, and blobs of layers that are gone."""
        forget_lost(self._rooms.store)
        forget_lost_blobs(self._rooms.store)

    def sweep_files(self) -> None:
        """Remove the files that builds of an engine which died left, but for those of RUN steps."""
        sweep_files(self._temporary)
        CacheMounts(self._mounts).sweep()
        self._history.sweep()

    def sweep_failed(self) -> None:
        """Remove the images of failed steps whose build nobody works with any more."""
        sweep_failed(self._rooms.images)

    def sweep(self) -> None:
        """End the RUN steps that an engine which died left. For the start, before snapshots and networks are swept."""
        sweep(self._rooms.runtime, self._temporary)

    def _runner(self) -> ContainerRunner:
        """Return what runs the RUN steps of builds; a step without a network does not open the networks."""
        rooms = self._rooms
        return ContainerRunner(rooms.snapshots, rooms, self._defaults, self._temporary, self._mounts)
