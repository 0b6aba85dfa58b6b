"""What a build is given beside its context: secrets, named contexts and ssh agents of the caller."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from lamina.api.build import BuildRequest
from lamina.builder.context.source import BuildContext
from lamina.cancellation import NEVER, Cancellation
from lamina.engine.build_client import BuildClient
from lamina.engine.build_results import BuildContextVerb
from lamina.engine.local_agents import local_agents
from lamina.engine.named_contexts import ContextImages, MakeImage, NamedContexts
from lamina.errors import Forbidden, InvalidInput, TooLarge
from lamina.linux.processes import Caller

MOST_SECRET = 500 << 10  # bytes of one secret. Rule: moby/buildkit, session/secrets, MaxSecretSize


class OpenFiles(Protocol):
    """`Builds.files_of`, which opens the files of a named context."""

    def __call__(
        self, source: str, caller: Caller | None = None, *, cancellation: Cancellation = NEVER
    ) -> BuildContext: ...


@dataclass(frozen=True, slots=True)
class CallerInputs:
    """What came with a request: secrets by ID, and named contexts as files.

    Folders and sockets that the request names are opened with the permissions of `caller`, None for our own. Only a
    `local` caller may name them.
    """

    secrets: Mapping[str, bytes] = field(default_factory=dict)
    contexts: Mapping[str, BuildContext] = field(default_factory=dict)
    caller: Caller | None = None
    local: bool = True


class BuildInputs:
    """Open what builds are given. `build_context` and `open_files` are verbs of `Builds`."""

    def __init__(self, build_context: BuildContextVerb, open_files: OpenFiles) -> None:
        self._build_context = build_context
        self._open_files = open_files

    @contextmanager
    def opened(self, request: BuildRequest, client: BuildClient, inputs: CallerInputs) -> Iterator[BuildClient]:
        """Provide `client` with the secrets, and with the contexts and agents that the request names.

        Raise TooLarge for a secret, and Forbidden, NotFound, InvalidInput for what cannot be opened.
        """
        for id, content in inputs.secrets.items():
            if len(content) > MOST_SECRET:
                raise secret_too_large(id)
        if request.agents and not inputs.local:
            raise Forbidden("ssh agents are forwarded over a unix socket only", advice="Use docker buildx --ssh.")
        contexts = self._contexts(request, client, inputs)
        with local_agents(request.agents, inputs.caller) as agents:
            yield replace(client, secrets=inputs.secrets, agents=agents, contexts=NamedContexts(contexts))

    def _contexts(self, request: BuildRequest, client: BuildClient, inputs: CallerInputs) -> dict[str, str | MakeImage]:
        images = ContextImages(self._build_context, client.cancellation)
        contexts: dict[str, str | MakeImage] = {}
        for name, address in request.contexts.items():
            image = images.named(address)
            if image is not None:
                contexts[name] = image
                continue
            if os.path.isabs(address) and not inputs.local:
                raise Forbidden(f"the context {name} names a folder, which works over a unix socket only")
            if address.startswith("oci-layout:"):
                advice = "Load it with `lamina load`, and write docker-image://NAME."
                raise InvalidInput(f"the context {name} is an OCI layout", advice=advice)
            open_files = partial(self._open_files, address, inputs.caller, cancellation=client.cancellation)
            contexts[name] = images.of_files(open_files)
        for name, context in inputs.contexts.items():
            contexts[name] = images.of_files(partial(_as_it_is, context))
        return contexts


def secret_too_large(id: str) -> TooLarge:
    """Return the error for a secret above `MOST_SECRET`."""
    return TooLarge(f"the secret {id} is larger than {MOST_SECRET >> 10} KiB", limit=MOST_SECRET)


def _as_it_is(context: BuildContext) -> BuildContext:
    return context
