"""A registry as its client sees it: repositories with manifests, tags, blobs and referrers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import Credentials
from lamina.distribution.answer_errors import explain_refusal
from lamina.distribution.auth import Authorization
from lamina.distribution.headers import parse_challenges
from lamina.distribution.pools import Pools
from lamina.distribution.repository import Repository, names_in_pages
from lamina.distribution.settings import Endpoint, Settings, endpoints
from lamina.distribution.transport import Transport, drain, run_flow
from lamina.errors import (
    Cancelled,
    Forbidden,
    LaminaError,
    Unauthorized,
    Unavailable,
)
from lamina.formats.reference import Reference

T = TypeVar("T")
CredentialSource = Callable[[str], Credentials | None]  # takes a registry's domain, or Hub's key


def nobody(key: str) -> Credentials | None:
    """Return the credentials of an anonymous client."""
    return None


class RegistryClient:
    """Speaks to any number of registries. Thread-safe; a context manager. `close` may be called twice.

    `cancellation` interrupts whatever it is doing, also while it waits for a registry: that raises Cancelled.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        credentials: CredentialSource = nobody,
        cancellation: Cancellation = NEVER,
    ) -> None:
        self.settings = settings or Settings()
        self.cancellation = cancellation
        self._credentials = credentials
        self._pools = Pools(self.settings, cancellation)
        self._lock = threading.Lock()
        self._transports: dict[str, Transport] = {}
        self._chosen: dict[str, Endpoint] = {}

    def repository(self, reference: Reference) -> Repository:
        """Return the repository at the registry itself, for pushing and for what must not come from a mirror."""
        return Repository(self._transport(self._direct(reference.domain)), reference)

    def first(self, reference: Reference, ask: Callable[[Repository], T]) -> tuple[Repository, T]:
        """Ask mirrors and then the registry itself, and return the first answer with the repository that gave it.

        A mirror is only a helper: whatever it fails with, the registry has the last word. Raise what `ask` raises
        there.
        """
        for endpoint in endpoints(reference.domain, self.settings, for_pull=True):
            if endpoint.mirror:
                mirror = Repository(self._transport(endpoint), reference)
                try:
                    return mirror, ask(mirror)
                except Cancelled:
                    raise
                except LaminaError:
                    continue
        with explain_refusal("Pull", reference):
            repository = self.repository(reference)
            return repository, ask(repository)

    def registry(self, domain: str) -> Transport:
        """Return the bare connection to a registry, for the catalog and the like."""
        return self._transport(self._direct(domain))

    def login(self, domain: str, credentials: Credentials) -> Credentials:
        """Check credentials, and return what to keep: an identity token where the registry issues one.

        Raise Unauthorized where they are not good, Unavailable.
        """
        try:
            return self._login(domain, credentials)
        except (Unauthorized, Forbidden) as error:
            message = f"The login to {domain} was refused: {error.message}"
            raise type(error)(message, advice="Check the name and the password.", **error.facts) from error

    def _login(self, domain: str, credentials: Credentials) -> Credentials:
        transport = Transport(self._direct(domain), self.settings, self._pools, credentials)
        answer = transport.request("GET", "/v2/", accept=(200, 404, 401), headers={"Authorization": ""})
        challenges = parse_challenges(", ".join(answer.headers.getlist("WWW-Authenticate")))
        drain(answer)
        if not challenges:
            transport.document("GET", "/v2/")
            return credentials
        authorization = run_flow(
            transport.endpoint, self._pools, self.settings, challenges, credentials, (), offline=True
        )
        headers = {"Authorization": authorization.value}
        drain(transport.request("GET", "/v2/", headers=headers))
        return _to_keep(credentials, authorization)

    def catalog(self, domain: str, *, limit: int | None = None) -> Iterator[str]:
        """Yield the names of a registry's repositories, as far as it tells them."""
        yield from names_in_pages(self.registry(domain), "/v2/_catalog", "repositories", ("registry:catalog:*",), limit)

    def close(self) -> None:
        """Close idle connections."""
        self._pools.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def _transport(self, endpoint: Endpoint) -> Transport:
        with self._lock:
            if endpoint.base not in self._transports:
                who = self._credentials(endpoint.key)
                self._transports[endpoint.base] = Transport(endpoint, self.settings, self._pools, who)
            return self._transports[endpoint.base]

    def _direct(self, domain: str) -> Endpoint:
        """Return the registry's own endpoint. An insecure one is asked once whether it speaks TLS."""
        offered = endpoints(domain, self.settings, for_pull=False)
        if domain not in self._chosen:
            self._chosen[domain] = offered[0]
            if len(offered) > 1 and not self._answers(offered[0]):
                self._chosen[domain] = offered[1]
        return self._chosen[domain]

    def _answers(self, endpoint: Endpoint) -> bool:
        try:
            probe = Transport(endpoint, self.settings, self._pools, None)
            drain(probe.request("GET", "/v2/", accept=range(100, 600), headers={"Authorization": ""}, retry=False))
        except Unavailable:
            return False
        return True


def _to_keep(credentials: Credentials, authorization: Authorization) -> Credentials:
    if not authorization.refresh_token:
        return credentials
    return Credentials(username=credentials.username, identity_token=authorization.refresh_token)
