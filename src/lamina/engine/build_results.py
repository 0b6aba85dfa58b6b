"""Builds for one or more platforms, with what is attested of them, and with their outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as replace_fields
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from lamina.api.build import BuildRequest, outputs_of
from lamina.builder.attestations.attest import Generate, attested
from lamina.builder.attestations.facts import BuildFacts, attributes_of
from lamina.builder.attestations.options import AttestationOptions
from lamina.builder.builder import BuildResult
from lamina.builder.cache_exchange.cache_export import export_caches
from lamina.builder.cache_exchange.cache_options import cache_targets, inline_wanted
from lamina.builder.cache_exchange.inline_cache import with_inline_cache
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext
from lamina.builder.export.exporter import Exporter
from lamina.builder.export.reported import ReportedOutput
from lamina.builder.export.result import PlatformImage, Result
from lamina.builder.live_console import console_of
from lamina.builder.platforms import build_each, platforms_of
from lamina.cancellation import Cancellation
from lamina.containers.rooms import Rooms
from lamina.engine.build_client import BuildClient
from lamina.engine.registries import Registries
from lamina.progress import Aux, Output, ignore

TakeOutput = Callable[[int, bytes | None], object]


class BuildContextVerb(Protocol):
    """`Builds.build_context`, which builds for one platform."""

    def __call__(
        self, context: BuildContext, request: BuildRequest, client: BuildClient, *, name_bases: bool = True
    ) -> BuildResult: ...


class BuildResults:
    """Builds whose results are exported. Thread-safe."""

    def __init__(
        self,
        rooms: Rooms,
        registries: Registries,
        build_context: BuildContextVerb,
        generate: Callable[[BuildClient], Generate],
    ) -> None:
        """`generate` returns what runs SBOM generators for a client."""
        self._generate = generate
        self._rooms = rooms
        self._registries = registries
        self._build_context = build_context

    def build(self, context: BuildContext, request: BuildRequest, client: BuildClient) -> Result:
        """Build for all platforms of the request, which may name several.

        Hold a lease of the store around it until the images are exported. The tags are left to an exporter.
        """
        platforms = platforms_of(request.platform)
        untagged = replace(request, tags=())
        inline = inline_wanted(request.cache_exports, request.build_args)

        def work(platform: str, console: Console | None, token: Cancellation) -> PlatformImage:
            part = replace_fields(client, console=console, cancellation=token)
            # The names of bases are for one platform: several would take a name from each other.
            one, name_bases = replace(untagged, platform=platform), len(platforms) < 2
            built = self._build_context(context, one, part, name_bases=name_bases)
            item = _platform_image(context, built)
            return with_inline_cache(self._rooms.images, item) if inline else item

        if len(platforms) < 2:
            platform = str(platforms[0]) if platforms else ""  # which may be named twice
            return Result((work(platform, client.console, client.cancellation),))
        whole = client.console or console_of(request, client.report)
        images = build_each(platforms, whole, client.cancellation, lambda each, part, stop: work(str(each), part, stop))
        return Result(tuple(images), several=True)

    def export(
        self, context: BuildContext, request: BuildRequest, take: TakeOutput, client: BuildClient
    ) -> BuildResult:
        """Build for all platforms of the request, attest, and do its outputs.

        The cache is exported at last. `take` gets the files of outputs: the number of one and a piece of its tar, and
        None at the end. Raise what `build` raises, what exporters raise, and what registries answer.
        """
        attestations, outputs = AttestationOptions.parse(request.attestations), outputs_of(request)
        targets, several = cache_targets(request.cache_exports), len(platforms_of(request.platform)) > 1
        inline = inline_wanted(request.cache_exports, request.build_args)
        if not (request.outputs or attestations.any or targets or inline or several):
            return self._build_context(context, request, client)
        facts, told = BuildFacts.of(attributes_of(request)), dict[str, str]()
        exporter = Exporter(self._rooms.images, self._registries.client)
        progress = ignore if request.quiet else client.report

        def reported(number: int) -> ReportedOutput:
            output = partial(take, number)
            return ReportedOutput(progress, output, client.credentials, client.cancellation, client.cache_folder)

        with self._rooms.store.lease(ttl=24 * 3600.0):
            result = self.build(context, request, client)
            with self._rooms.images.held([item.image for item in result.images]):
                result = attested(result, facts, attestations, client.cancellation, self._generate(client))
                for number, output in enumerate(outputs):
                    told |= exporter.export(result, output, reported(number))
                caches = reported(len(outputs))
                told |= export_caches(result, targets, self._rooms.store, self._registries.client, caches)
        main = result.main
        id = told.get("containerimage.digest", str(main.image.id)) if result.several else str(main.image.id)
        client.report(Output(f"{id}\n") if request.quiet else Aux({"ID": id}))
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
