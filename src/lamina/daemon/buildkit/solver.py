"""One build for a BuildKit client: from a request to an image and its outputs, reported as vertices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lamina.api.build import BuildRequest, Output
from lamina.builder.context.source import BuildContext
from lamina.builder.export.exporter import Exporter
from lamina.builder.export.result import Result
from lamina.daemon.buildkit.agents import ForwardedAgents
from lamina.daemon.buildkit.frontend import Client, Secrets, Source
from lamina.daemon.buildkit.named_contexts import NamedContexts
from lamina.daemon.buildkit.outputs import SessionOutput
from lamina.daemon.buildkit.vertices import VertexConsole
from lamina.engine import Engine
from lamina.formats.platform import Platform
from lamina.images.image import Image


class Solver:
    """Builds for clients with an engine. Thread-safe; each build runs in its caller's thread."""

    def __init__(self, engine: Engine) -> None:
        self.builds = engine.builds
        self._images = engine.images
        self._exporter = Exporter(engine.images, engine.registries.client)

    def build(
        self,
        client: Client,
        request: BuildRequest,
        source: Source,
        *,
        context: BuildContext | None = None,
        contexts: Mapping[str, str] | None = None,
    ) -> Result:
        """Build the request for its platforms. Without a `context` the client is asked for what `source` names.

        `contexts` are addresses by the names under which FROM and --from use them. Raise what `Builds.build_context`
        and `receive_files` raise.
        """
        named = NamedContexts(self.builds, self._images, client, contexts or {})
        with context or client.context(source, self.builds) as opened:
            console = VertexConsole(client.vertices)
            return self.builds.build_platforms(
                opened,
                request,
                secrets=Secrets(client),
                agents=ForwardedAgents(client),
                credentials=client.credentials,
                report=console.report,
                console=console,
                contexts=named.find,
                cancellation=client.cancellation,
            )

    def resolve(self, client: Client, name: str, platform: Platform | None, pull: bool) -> Image:
        """Return an image by its name, pulling it with the client's credentials where it is not here."""
        return self.builds.base_image(
            name, platform, pull=pull, credentials=client.credentials, cancellation=client.cancellation
        )

    def write(self, result: Result, outputs: Sequence[Output], client: Client) -> dict[str, str]:
        """Hand the result over to each output in order, and return what the client is told of it."""
        answers: dict[str, str] = {}
        for number, output in enumerate(outputs):
            answers |= self._exporter.export(result, output, SessionOutput(client, number))
        return answers
