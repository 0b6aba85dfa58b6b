"""One build for a BuildKit client: from a request to an image and its outputs, reported as vertices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from lamina.api.build import BuildOutput, BuildRequest, CacheOption
from lamina.builder.attestations.attest import attested
from lamina.builder.attestations.facts import BuildFacts
from lamina.builder.attestations.options import AttestationOptions
from lamina.builder.cache_exchange.cache_export import export_caches
from lamina.builder.cache_exchange.cache_import import CachePlaces, ImportedCaches
from lamina.builder.cache_exchange.cache_options import CacheTarget, cache_sources
from lamina.builder.context.source import BuildContext
from lamina.builder.export.exporter import Exporter
from lamina.builder.export.result import PlatformImage, Result
from lamina.builder.graph.vertex import Edge
from lamina.builder.ops.graph_build import GraphBuild
from lamina.daemon.buildkit.agents import ForwardedAgents
from lamina.daemon.buildkit.frontend import Client, Secrets, Source
from lamina.daemon.buildkit.graph_client import GraphClient
from lamina.daemon.buildkit.graph_progress import GraphProgress
from lamina.daemon.buildkit.layouts import LayoutName
from lamina.daemon.buildkit.messages.control import Definition
from lamina.daemon.buildkit.named_contexts import Contexts, ContextUser, named_contexts
from lamina.daemon.buildkit.outputs import SessionOutput
from lamina.daemon.buildkit.refs import GraphRef, ImageRef
from lamina.daemon.buildkit.session_folder import SessionFolder
from lamina.daemon.buildkit.vertices import VertexConsole
from lamina.engine import Engine
from lamina.engine.build_client import BuildClient
from lamina.errors import Forbidden, LaminaError
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image


class Solver:
    """Builds for clients with an engine. Thread-safe; each build runs in its caller's thread."""

    def __init__(self, engine: Engine, entitlements: frozenset[str] = frozenset()) -> None:
        """`entitlements` are what the daemon lets clients ask for, such as `network.host`."""
        self.builds = engine.builds
        self._images = engine.images
        self._entitlements = entitlements
        self._open_registry = engine.registries.client
        self._exporter = Exporter(engine.images, engine.registries.client)

    def graph(self, client: Client, entitlements: Sequence[str], imports: Sequence[CacheOption]) -> GraphBuild:
        """Return what builds a client's graphs with the caches of `imports`; the caller closes it.

        Raise Forbidden for an entitlement, InvalidInput and Unsupported for a cache.
        """
        for name in entitlements:
            if name.partition("=")[0] not in self._entitlements:
                raise Forbidden(
                    f"granting entitlement {name} is not allowed by build daemon configuration",
                    advice="Allow it by the key builder.entitlements of daemon.json.",
                )
        outside = GraphClient(client, self.builds, self._images, frozenset(entitlements))
        watch, places = GraphProgress(client.vertices), cache_sources(imports)

        def caches() -> AbstractContextManager[ImportedCaches]:
            found = CachePlaces(self._open_registry, client.credentials, partial(SessionFolder, client))
            console = VertexConsole(client.vertices)
            return found.caches(places, self._images.store, Platform.host(), console, client.cancellation)

        rooms = self.builds.graph_rooms
        return GraphBuild(rooms, outside, watch, client.cancellation, caches if places else None)

    def layout_image(self, client: Client, layout: LayoutName, platform: Platform | None) -> Image:
        """Return an image of a layout that the client offers. Raise as `LayoutName.image` does."""
        return layout.image(client, platform, self._images)

    def ref_of_graph(self, build: GraphBuild, edge: Edge | None, definition: Definition) -> GraphRef:
        """Return what a graph ends with."""
        return GraphRef(edge, definition, build, self._images)

    def ref_of_image(self, image: PlatformImage) -> ImageRef:
        """Return an image as a result."""
        return ImageRef(image, self._images)

    def build(
        self,
        client: Client,
        request: BuildRequest,
        source: Source,
        *,
        context: BuildContext | None = None,
        contexts: Contexts | None = None,
    ) -> Result:
        """Build the request for its platforms. Without a `context` the client is asked for what `source` names.

        `contexts` are what FROM and --from may use by names of the client's. Raise what `Builds.build_context` and
        `receive_files` raise.
        """
        with _showing_source(client), context or client.context(source, self.builds) as opened:
            user = ContextUser(opened.dockerfile, request.target, source.sessions)
            named = named_contexts(self.builds, self._images, client, contexts or Contexts(), user)
            console = VertexConsole(client.vertices)
            theirs = BuildClient(
                console.report,
                client.cancellation,
                client.credentials,
                Secrets(client),
                ForwardedAgents(client),
                console,
                named,
                partial(SessionFolder, client),
                client.policy,
            )
            return self.builds.results.build(opened, request, theirs)

    def resolve(self, client: Client, name: str, platform: Platform | None, pull: bool) -> Image:
        """Return an image by its name, pulling it with the client's credentials where it is not here."""
        return self.builds.base_image(
            name, platform, pull=pull, credentials=client.credentials, cancellation=client.cancellation
        )

    def digest_of(self, reference: Reference, image: Image) -> Digest:
        """Return the digest that means the image together with its name: that of a manifest, else its ID."""
        digests = [each.digest for each in image.digest_references if each.name == reference.name and each.digest]
        for digest in (*digests, self._images.manifest(image).digest):
            named = self._images.find(f"{reference.name}@{digest}")
            if named is not None and named.id == image.id:
                return digest
        return image.id

    def write(
        self,
        result: Result,
        outputs: Sequence[BuildOutput],
        client: Client,
        facts: BuildFacts,
        attestations: AttestationOptions,
        caches: Sequence[CacheTarget] = (),
    ) -> dict[str, str]:
        """Hand the result over to each output in order, export the cache, and return what the client is told."""
        answers: dict[str, str] = {}
        if attestations.any and outputs:
            with (
                client.vertices.step("attesting the result"),
                self._images.held([item.image for item in result.images]),
            ):
                theirs = BuildClient(
                    cancellation=client.cancellation, credentials=client.credentials, policy=client.policy
                )
                generate = self.builds.generate_sbom(theirs)
                result = attested(result, facts, attestations, client.cancellation, generate)
        for number, output in enumerate(outputs):
            answers |= self._exporter.export(result, output, SessionOutput(client, number))
        caching = SessionOutput(client, len(outputs))
        return answers | export_caches(result, caches, self._images.store, self._open_registry, caching)


@contextmanager
def _showing_source(client: Client) -> Iterator[None]:
    """Add the Dockerfile to errors that name a line of it, so that the client can show the line."""
    try:
        yield
    except LaminaError as error:
        definition = client.vertices.definition
        if definition is not None:
            error.facts.setdefault("source", definition.file)
        raise
