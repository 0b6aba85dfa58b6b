"""A registry as its client sees it: repositories with manifests, tags, blobs and referrers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote, urljoin

from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import Credentials
from lamina.distribution.auth import Authorization
from lamina.distribution.headers import next_link, parse_challenges
from lamina.distribution.pools import Pools
from lamina.distribution.settings import HUB, Endpoint, Settings, endpoints
from lamina.distribution.transport import Answer, Transport, drain, run_flow
from lamina.errors import Corrupt, Forbidden, InvalidInput, NotFound, Unauthorized, Unavailable, Unsupported
from lamina.formats import media
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import DEFAULT, Digest
from lamina.formats.index import Index
from lamina.formats.manifest import Manifest, parse_manifest
from lamina.formats.reference import Reference

CredentialSource = Callable[[str], Credentials | None]  # takes a registry's domain, or Hub's key
ACCEPT = ", ".join((*media.ACCEPTED, "*/*;q=0.1"))
PAGE = 1000


def nobody(key: str) -> Credentials | None:
    """The credentials of an anonymous client."""
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
        """The repository at the registry itself, for pushing and for whatever must not come from a mirror."""
        return Repository(self._transport(self._direct(reference.domain)), reference)

    def sources(self, reference: Reference) -> Iterator[Repository]:
        """Where to pull from, in order: mirrors first, then the registry itself."""
        for endpoint in endpoints(reference.domain, self.settings, for_pull=True):
            if endpoint.mirror:
                yield Repository(self._transport(endpoint), reference)
        yield self.repository(reference)

    def registry(self, domain: str) -> Transport:
        """The bare connection to a registry, for the catalog and the like."""
        return self._transport(self._direct(domain))

    def login(self, domain: str, credentials: Credentials) -> Credentials:
        """Check credentials; gives what to keep: an identity token where the registry issues one.

        Raises Unauthorized where they are not good, Unavailable.
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
        found = run_flow(self._pools, self.settings, challenges, credentials, (), offline=True)
        headers = {"Authorization": found.value}
        drain(transport.request("GET", "/v2/", headers=headers))
        return _to_keep(credentials, found)

    def catalog(self, domain: str, *, limit: int | None = None) -> Iterator[str]:
        """The names of a registry's repositories, as far as it tells them."""
        yield from _pages(self.registry(domain), "/v2/_catalog", "repositories", ("registry:catalog:*",), limit)

    def close(self) -> None:
        """Close idle connections."""
        self._pools.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _transport(self, endpoint: Endpoint) -> Transport:
        with self._lock:
            if endpoint.base not in self._transports:
                who = self._credentials(endpoint.key)
                self._transports[endpoint.base] = Transport(endpoint, self.settings, self._pools, who)
            return self._transports[endpoint.base]

    def _direct(self, domain: str) -> Endpoint:
        """The registry's own endpoint; an insecure one is asked once whether it speaks TLS."""
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


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository at one endpoint."""

    transport: Transport
    reference: Reference

    @property
    def path(self) -> str:
        """Its name in the registry's URLs."""
        return self.reference.path

    @property
    def pulling(self) -> tuple[str, ...]:
        """The scopes that reading needs."""
        return (f"repository:{self.path}:pull",)

    @property
    def pushing(self) -> tuple[str, ...]:
        """The scopes that writing needs."""
        return (f"repository:{self.path}:pull,push",)

    def url(self, kind: str, name: str) -> str:
        """The path of something in this repository."""
        return f"/v2/{self.path}/{kind}/{quote(name, safe=':')}{self._mirrored()}"

    def manifest(self, name: str | Digest) -> Manifest | Index:
        """The manifest or index with this tag or digest, verified. Raises NotFound, Corrupt, and `answers`' kinds."""
        headers, raw = self.transport.document(
            "GET", self.url("manifests", str(name)), self.pulling, headers={"Accept": ACCEPT}
        )
        stated = headers.get("Docker-Content-Digest")
        expected = name if isinstance(name, Digest) else _digest(stated)
        algorithm = expected.algorithm if expected else DEFAULT
        if expected and not expected.matches(raw):
            raise Corrupt(
                f"The manifest {name} of {self.reference.name} has digest {Digest.of(raw, algorithm)}, not {expected}",
                expected=expected,
            )
        return parse_manifest(raw, headers.get("Content-Type"), algorithm=algorithm)

    def describe(self, name: str | Digest) -> Descriptor | None:
        """Type, digest and size of a manifest, without its content; None where there is none."""
        url = self.url("manifests", str(name))
        answer = self.transport.request("HEAD", url, self.pulling, headers={"Accept": ACCEPT}, accept=(200, 404))
        drain(answer)
        if answer.status == 404:
            return None
        digest = _digest(answer.headers.get("Docker-Content-Digest"))
        length = answer.headers.get("Content-Length", "")
        if digest is None or not length.isdigit():
            found = self.manifest(name)
            return Descriptor(found.media_type, found.digest, len(found.raw))
        return Descriptor(media.essence(answer.headers.get("Content-Type", "")), digest, int(length))

    def put_manifest(self, manifest: Manifest | Index, tag: str | None = None) -> None:
        """Push a manifest's own bytes under its digest or `tag`. Everything it needs must be there."""
        url = self.url("manifests", tag or str(manifest.digest))
        headers = {"Content-Type": manifest.media_type}
        drain(self.transport.request("PUT", url, self.pushing, headers=headers, body=manifest.raw, accept=(200, 201)))

    def delete_manifest(self, name: str | Digest) -> None:
        """Delete a manifest by digest, or only a tag. Raises NotFound, Unsupported where the registry does not."""
        scopes = (f"repository:{self.path}:delete", *self.pulling)
        drain(self.transport.request("DELETE", self.url("manifests", str(name)), scopes, accept=(200, 202, 204)))

    def tags(self, *, limit: int | None = None) -> Iterator[str]:
        """The tags, page by page."""
        yield from _pages(self.transport, f"/v2/{self.path}/tags/list", "tags", self.pulling, limit)

    def referrers(self, subject: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
        """What refers to `subject`; the tag schema is asked where the registry has no referrers API."""
        found: list[Descriptor] = []
        url: str | None = self.url("referrers", str(subject))
        if artifact_type:
            url = f"{url}{'&' if '?' in str(url) else '?'}artifactType={quote(artifact_type, safe='')}"
        try:
            while url:
                headers, raw = self.transport.document("GET", url, self.pulling)
                found += Index.parse(raw).manifests
                url = next_link(headers.get("Link"))
        except (NotFound, Unsupported):
            found = self._referrers_by_tag(subject)
        return tuple(entry for entry in found if artifact_type in ("", entry.artifact_type))

    def _referrers_by_tag(self, subject: Digest) -> list[Descriptor]:
        try:
            index = self.manifest(f"{subject.algorithm}-{subject.encoded}"[:128])
        except NotFound:
            return []
        return list(index.manifests) if isinstance(index, Index) else []

    def has_blob(self, digest: Digest) -> bool:
        """Whether the repository has this blob."""
        answer = self.transport.request("HEAD", self.url("blobs", str(digest)), self.pulling, accept=(200, 404))
        drain(answer)
        return answer.status == 200

    def describe_blob(self, digest: Digest) -> Descriptor | None:
        """A blob's size, without its content; None where there is none, or where the registry does not tell."""
        answer = self.transport.request("HEAD", self.url("blobs", str(digest)), self.pulling, accept=(200, 404))
        drain(answer)
        length = answer.headers.get("Content-Length", "")
        known = answer.status == 200 and length.isdigit()
        return Descriptor(media.OCTET_STREAM, digest, int(length)) if known else None

    def open_blob(self, digest: Digest, first: int = 0) -> Answer:
        """A blob's answer from byte `first` on, to be read by the caller; 200 means the server began at byte 0."""
        headers = {"Range": f"bytes={first}-"} if first else {}
        url = self.url("blobs", str(digest))
        return self.transport.request("GET", url, self.pulling, headers=headers, accept=(200, 206))

    def small_blob(self, descriptor: Descriptor, limit: int = 8 << 20) -> bytes:
        """A config or the like, verified. Raises Corrupt, InvalidInput above `limit` bytes."""
        if descriptor.data is not None:
            return descriptor.check(descriptor.data)
        if descriptor.size > limit:
            raise InvalidInput(f"{descriptor.digest} has {descriptor.size} bytes, more than {limit}")
        _, raw = self.transport.document("GET", self.url("blobs", str(descriptor.digest)), self.pulling)
        if not descriptor.digest.matches(raw):
            found = Digest.of(raw, descriptor.digest.algorithm)
            raise Corrupt(
                f"The blob {descriptor.digest} of {self.reference.name} has digest {found}", expected=descriptor.digest
            )
        return raw

    def delete_blob(self, digest: Digest) -> None:
        """Delete a blob. Raises NotFound, Unsupported where the registry does not."""
        scopes = (f"repository:{self.path}:delete", *self.pulling)
        drain(self.transport.request("DELETE", self.url("blobs", str(digest)), scopes, accept=(200, 202, 204)))

    def _mirrored(self) -> str:
        """Mirrors that serve many registries learn by `ns` which one is meant, as containerd tells them."""
        domain = self.reference.domain
        return f"?ns={quote(domain)}" if self.transport.endpoint.mirror else ""


def _pages(transport: Transport, url: str, member: str, scopes: tuple[str, ...], limit: int | None) -> Iterator[str]:
    at: str | None = f"{url}?n={min(PAGE, limit or PAGE)}"
    left = limit
    while at and left != 0:
        headers, raw = transport.document("GET", at, scopes)
        names: Any = json.loads(raw).get(member) or []
        for name in names if left is None else names[:left]:
            yield str(name)
        left = None if left is None else left - min(left, len(names))
        link = next_link(headers.get("Link"))
        at = urljoin(transport.endpoint.base + at if at.startswith("/") else at, link) if link else None


def _digest(text: str | None) -> Digest | None:
    try:
        return Digest.parse(text) if text else None
    except InvalidInput:
        return None


def _to_keep(credentials: Credentials, found: Authorization) -> Credentials:
    if not found.refresh_token:
        return credentials
    return Credentials(username=credentials.username, identity_token=found.refresh_token)


def is_hub(domain: str) -> bool:
    """Whether a domain is Docker Hub, whose search and limits differ."""
    return domain in ("docker.io", HUB)
