"""Builds for one or more platforms, with what is attested of them, and with their outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as replace_fields
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from lamina.api.build import BuildRequest, outputs_of
from lamina.builder.attestations.attest import attested
from lamina.builder.attestations.facts import BuildFacts, attributes_of
from lamina.builder.attestations.options import AttestationOptions
from lamina.builder.build_run import SshAgents
from lamina.builder.builder import BuildResult
from lamina.builder.cache_exchange.cache_export import export_caches
from lamina.builder.cache_exchange.cache_options import cache_targets, inline_wanted
from lamina.builder.cache_exchange.inline_cache import with_inline_cache
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext
from lamina.builder.export.exporter import Exporter
from lamina.builder.export.reported import ReportedOutput
from lamina.builder.export.result import PlatformImage, Result
from lamina.builder.platforms import build_each, platforms_of
from lamina.cancellation import NEVER, Cancellation
from lamina.containers.rooms import Rooms
from lamina.distribution import Credentials
from lamina.engine.known_bases import AskCredentials
from lamina.engine.registries import Registries, credentials_for
from lamina.images.image import Image
from lamina.progress import Aux, Output, Report, ignore

FindContext = Callable[[str], Image | str | None]
TakeOutput = Callable[[int, bytes | None], object]


def no_context(name: str) -> None:
    """Know no names but those of images: a FindContext for builds without named contexts."""


class BuildContextVerb(Protocol):
    """`Builds.build_context`, which builds for one platform."""

    def __call__(
        self,
        context: BuildContext,
        request: BuildRequest,
        *,
        secrets: Mapping[str, bytes] | None = None,
        agents: SshAgents | None = None,
        credentials: Mapping[str, Credentials] | AskCredentials | None = None,
        report: Report = ignore,
        console: Console | None = None,
        contexts: FindContext = no_context,
        name_bases: bool = True,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult: ...


class BuildResults:
    """Builds whose results are exported. Thread-safe."""

    def __init__(self, rooms: Rooms, registries: Registries, build_context: BuildContextVerb) -> None:
        self._rooms = rooms
        self._registries = registries
        self._build_context = build_context

    def build(
        self,
        context: BuildContext,
        request: BuildRequest,
        *,
        secrets: Mapping[str, bytes] | None = None,
        agents: SshAgents | None = None,
        credentials: Mapping[str, Credentials] | AskCredentials | None = None,
        report: Report = ignore,
        console: Console | None = None,
        contexts: FindContext = no_context,
        cancellation: Cancellation = NEVER,
    ) -> Result:
        """Build for all platforms of the request, which may name several. Arguments are those of `build_context`.

        Hold a lease of the store around it until the images are exported. The tags are left to an exporter.
        """
        platforms = platforms_of(request.platform)
        untagged = replace(request, tags=())
        inline = inline_wanted(request.cache_exports, request.build_args)

        def work(platform: str, console: Console | None, token: Cancellation) -> PlatformImage:
            built = self._build_context(
                context,
                replace(untagged, platform=platform),
                secrets=secrets,
                agents=agents,
                credentials=credentials,
                report=report,
                console=console,
                contexts=contexts,
                name_bases=len(platforms) < 2,  # else the platforms would take a name from each other
                cancellation=token,
            )
            item = _platform_image(context, built)
            return with_inline_cache(self._rooms.images, item) if inline else item

        if len(platforms) < 2:
            return Result((work(request.platform, console, cancellation),))
        whole = console or Console(report, quiet=request.quiet)
        images = build_each(platforms, whole, cancellation, lambda each, part, stop: work(str(each), part, stop))
        return Result(tuple(images), several=True)

    def export(
        self,
        context: BuildContext,
        request: BuildRequest,
        take: TakeOutput,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        """Build for all platforms of the request, attest, and do its outputs.

        The cache is exported at last. `take` gets the files of outputs: the number of one and a piece of its tar, and
        None at the end. Raise what `build` raises, what exporters raise, and what registries answer.
        """
        attestations, outputs = AttestationOptions.parse(request.attestations), outputs_of(request)
        targets, several = cache_targets(request.cache_exports), len(platforms_of(request.platform)) > 1
        inline = inline_wanted(request.cache_exports, request.build_args)
        if not (request.outputs or attestations.any or targets or inline or several):
            return self._build_context(
                context, request, credentials=credentials, report=report, cancellation=cancellation
            )
        facts, told = BuildFacts.of(attributes_of(request)), dict[str, str]()
        ask = partial(credentials_for, credentials=credentials or {})
        exporter = Exporter(self._rooms.images, self._registries.client)
        progress = ignore if request.quiet else report
        with self._rooms.store.lease(ttl=24 * 3600.0):
            result = self.build(context, request, credentials=ask, report=report, cancellation=cancellation)
            with self._rooms.images.held([item.image for item in result.images]):
                result = attested(result, facts, attestations, cancellation)
                for number, output in enumerate(outputs):
                    client = ReportedOutput(progress, partial(take, number), ask, cancellation)
                    told |= exporter.export(result, output, client)
                caches = ReportedOutput(progress, partial(take, len(outputs)), ask, cancellation)
                export_caches(result, targets, self._rooms.store, self._registries.client, caches)
        main = result.main
        id = told.get("containerimage.digest", str(main.image.id)) if result.several else str(main.image.id)
        report(Output(f"{id}\n") if request.quiet else Aux({"ID": id}))
        return BuildResult(main.image, base=None, epoch=main.epoch, use=main.use, steps=main.steps, metadata=told)


def _platform_image(context: BuildContext, built: BuildResult) -> PlatformImage:
    used = replace_fields(built.use, context=(("sha1", context.commit),)) if context.commit else built.use
    return PlatformImage(
        built.image.platform.normalised(),
        built.image,
        built.base.config if built.base else None,
        epoch=built.epoch,
        use=used,
        dockerfile=context.dockerfile,
        steps=built.steps,
        cached=built.cached,
    )
