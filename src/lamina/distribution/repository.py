"""One repository at one endpoint: manifests, tags, blobs and referrers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import urllib3

from lamina.cancellation import Cancellation
from lamina.distribution.answer_errors import connection_failure
from lamina.distribution.headers import next_link, parse_number, parse_offsets
from lamina.distribution.interrupt import hang_up
from lamina.distribution.transport import SUCCESS, Answer, Transport, drain, same_place
from lamina.errors import Corrupt, InvalidInput, NotFound, TooLarge, Unavailable, Unsupported
from lamina.formats.descriptor import ACCEPTED, OCTET_STREAM, Descriptor
from lamina.formats.digest import DEFAULT, Digest
from lamina.formats.document import decode_object, strings
from lamina.formats.manifest import Index, Manifest, parse_manifest
from lamina.formats.reference import Reference

ACCEPT = ", ".join((*ACCEPTED, "*/*;q=0.1"))
CHUNK = 256 << 10  # bytes of a blob that are read at once
PAGE = 1000  # names asked for at once
MAX_PAGES = 10_000
MAX_LIST = 64 << 20  # bytes of all pages of a list
_TOLD_BY_HEAD = (200, 403, 404, 405, 501)


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository at one endpoint."""

    transport: Transport
    reference: Reference

    @property
    def path(self) -> str:
        """Return its name in the registry's URLs."""
        return self.reference.path

    @property
    def pulling(self) -> tuple[str, ...]:
        """Return the scopes that reading needs."""
        return (f"repository:{self.path}:pull",)

    @property
    def pushing(self) -> tuple[str, ...]:
        """Return the scopes that writing needs."""
        return (f"repository:{self.path}:pull,push",)

    def url(self, kind: str, name: str) -> str:
        """Return the path of something in this repository."""
        return f"/v2/{self.path}/{kind}/{quote(name, safe=':')}{self._mirrored()}"

    def manifest(self, name: str | Digest) -> Manifest | Index:
        """Return the manifest or index with this tag or digest, verified.

        Raise NotFound, Corrupt, and the kinds of `answer_errors`.
        """
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

    def put_manifest(self, manifest: Manifest | Index, tag: str | None = None) -> None:
        """Push a manifest's own bytes under its digest or `tag`. Everything it needs must be there."""
        url = self.url("manifests", tag or str(manifest.digest))
        headers = {"Content-Type": manifest.media_type}
        drain(self.transport.request("PUT", url, self.pushing, headers=headers, body=manifest.raw, accept=SUCCESS))

    def tags(self, *, limit: int | None = None) -> Iterator[str]:
        """Yield the tags, page by page."""
        yield from names_in_pages(self.transport, self.url("tags", "list"), "tags", self.pulling, limit)

    def referrers(self, subject: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
        """Return what refers to `subject`. The tag schema is asked where the registry has no referrers API."""
        entries: list[Descriptor] = []
        url = self.url("referrers", str(subject))
        if artifact_type:
            url = _with_query(url, f"artifactType={quote(artifact_type, safe='')}")
        try:
            for raw in _pages(self.transport, url, self.pulling):
                entries += Index.parse(raw).manifests
        except (NotFound, Unsupported):
            entries = self._referrers_by_tag(subject)
        return tuple(entry for entry in entries if artifact_type in ("", entry.artifact_type))

    def _referrers_by_tag(self, subject: Digest) -> list[Descriptor]:
        try:
            index = self.manifest(f"{subject.algorithm}-{subject.encoded}"[:128])
        except NotFound:
            return []
        return list(index.manifests) if isinstance(index, Index) else []

    def has_blob(self, digest: Digest) -> bool:
        """Return whether the repository has this blob; False where it does not tell."""
        return self._head_blob(digest).status == 200

    def describe_blob(self, digest: Digest) -> Descriptor | None:
        """Return a blob's size, without its content; None where there is none, or where the registry does not tell."""
        answer = self._head_blob(digest)
        size = parse_number(answer.headers.get("Content-Length"))
        return Descriptor(OCTET_STREAM, digest, size) if answer.status == 200 and size is not None else None

    def _head_blob(self, digest: Digest) -> Answer:
        """Ask for a blob's head. Stores without the right to list answer 403 for what is absent; some know no HEAD."""
        answer = self.transport.request("HEAD", self.url("blobs", str(digest)), self.pulling, accept=_TOLD_BY_HEAD)
        drain(answer)
        return answer

    def open_blob(self, digest: Digest, first: int = 0) -> Answer:
        """Return the unread answer with a blob from byte `first` on. Status 200 means that it begins at byte 0."""
        headers = {"Range": f"bytes={first}-"} if first else {}
        url = self.url("blobs", str(digest))
        return self.transport.request("GET", url, self.pulling, headers=headers, accept=(200, 206))

    def read_range(self, digest: Digest, first: int, length: int) -> bytes:
        """Return `length` bytes of a blob from byte `first` on, as `read_pieces` does."""
        return b"".join(self.read_pieces(digest, first, length, self.transport.cancellation))

    def read_pieces(self, digest: Digest, first: int, length: int, cancellation: Cancellation) -> list[bytes]:
        """Return `length` bytes of a blob from byte `first` on. They are not verified: only whole blobs have a digest.

        Raise Unsupported where the registry sends no ranges, Corrupt where it sends another one or less, Unavailable
        where the connection breaks, and the kinds of `answer_errors`.
        """
        cancellation.check()
        headers = {"Range": f"bytes={first}-{first + length - 1}"}
        url = self.url("blobs", str(digest))
        answer = self.transport.request("GET", url, self.pulling, headers=headers, accept=(200, 206))
        pieces: list[bytes] = []
        missing = length
        with cancellation.on_cancel(lambda: hang_up(answer.connection)):
            try:
                if answer.status == 200:
                    raise Unsupported(f"{self.reference.domain} does not send parts of blobs")
                if parse_offsets(answer.headers.get("Content-Range")) != (first, first + length - 1):
                    raise Corrupt(f"{self.reference.domain} sends another part of {digest} than was asked for")
                while missing and (piece := answer.read1(min(CHUNK, missing))):
                    pieces.append(piece)
                    missing -= len(piece)
                is_cut = bool(missing and answer.length_remaining)
            except urllib3.exceptions.HTTPError as error:
                cancellation.check()
                raise connection_failure(self.transport.endpoint.base, error) from error
            finally:
                drain(answer)
        if is_cut:
            cancellation.check()
            raise Unavailable(f"The connection ended {missing} bytes early")
        if missing:
            raise Corrupt(f"{self.reference.domain} sends {length - missing} bytes of {digest} instead of {length}")
        return pieces

    def small_blob(self, descriptor: Descriptor, limit: int = 8 << 20) -> bytes:
        """Return a config or the like, verified. Raise Corrupt, InvalidInput above `limit` bytes."""
        if descriptor.data is not None:
            return descriptor.check(descriptor.data)
        if descriptor.size > limit:
            raise InvalidInput(f"{descriptor.digest} has {descriptor.size} bytes, more than {limit}")
        _, raw = self.transport.document("GET", self.url("blobs", str(descriptor.digest)), self.pulling)
        if not descriptor.digest.matches(raw):
            digest = Digest.of(raw, descriptor.digest.algorithm)
            raise Corrupt(
                f"The blob {descriptor.digest} of {self.reference.name} has digest {digest}", expected=descriptor.digest
            )
        return raw

    def _mirrored(self) -> str:
        """Return the `ns` parameter, which names the registry to a mirror of many, as containerd does."""
        domain = self.reference.domain
        return f"?ns={quote(domain)}" if self.transport.endpoint.mirror else ""


def names_in_pages(
    transport: Transport, url: str, member: str, scopes: tuple[str, ...], limit: int | None
) -> Iterator[str]:
    """Yield the names in a list of pages, up to `limit`."""
    count = 0
    for raw in _pages(transport, _with_query(url, f"n={min(PAGE, limit or PAGE)}"), scopes):
        for name in strings(decode_object(raw, "list"), member, "list"):
            if count == limit:
                return
            count += 1
            yield name
        if count == limit:
            return


def _pages(transport: Transport, url: str, scopes: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the documents of a list that goes on by its Link headers.

    Raise InvalidInput for a list that goes on at another place, or where it was before, TooLarge for one without end.
    """
    base, domain = transport.endpoint.base, transport.endpoint.domain
    page, visited, size = base + url, set[str](), 0
    while True:
        visited.add(page)
        headers, raw = transport.document("GET", page, scopes)
        size += len(raw)
        if size > MAX_LIST or len(visited) > MAX_PAGES:
            raise TooLarge(f"{domain} gives a list without end")
        yield raw
        link = next_link(headers.get("Link"))
        if link is None:
            return
        page = transport.resolve(link, page)
        if not same_place(page, base):
            raise InvalidInput(f"{domain} continues a list at another place")
        if page in visited:
            raise InvalidInput(f"{domain} gives a list that goes round in a circle")


def _with_query(url: str, parameter: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{parameter}"


def _digest(text: str | None) -> Digest | None:
    try:
        return Digest.parse(text) if text else None
    except InvalidInput:
        return None
