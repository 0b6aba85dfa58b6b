"""The client of one build: what the build may ask of it, and what hears of the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from lamina.builder.build_run import ContextNames, NoContexts, SshAgents
from lamina.builder.cache_exchange.cache_folder import FindFolder, no_folder
from lamina.builder.console import Console
from lamina.builder.source_policy import ALLOW_ALL, SourcePolicy
from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import Credentials
from lamina.engine.known_bases import AskCredentials
from lamina.engine.registries import credentials_for
from lamina.formats.reference import Reference
from lamina.progress import Report, ignore

NO_CONTEXTS = NoContexts()


def no_credentials(reference: Reference) -> None:
    """Know no user of any registry: an AskCredentials."""


@dataclass(frozen=True, slots=True)
class BuildClient:
    """The client of one build. `secrets` and `agents` are those of RUN --mount.

    `credentials` is asked for a registry when it is needed. A `console` hears of the steps instead of `report`.
    `contexts` is asked for each name in FROM and --from, and for those of stages: for an image, or for the name to use
    in its place. `cache_folder` finds the folders of caches by the words of their options. `policy` says what may be
    fetched.
    """

    report: Report = ignore
    cancellation: Cancellation = NEVER
    credentials: AskCredentials = no_credentials
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    agents: SshAgents | None = None
    console: Console | None = None
    contexts: ContextNames = NO_CONTEXTS
    cache_folder: FindFolder = no_folder
    policy: SourcePolicy = ALLOW_ALL

    @classmethod
    def with_logins(
        cls,
        logins: Mapping[str, Credentials] | None,
        report: Report,
        cancellation: Cancellation,
        cache_folder: FindFolder = no_folder,
    ) -> BuildClient:
        """Return a client whose credentials are known by registry."""
        ask = partial(credentials_for, credentials=logins or {})
        return cls(report, cancellation, ask, cache_folder=cache_folder)
