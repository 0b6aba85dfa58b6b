"""Images in OCI layouts that a client offers: its content, read over the session by digest.

Rule: moby/buildkit, session/content, and containerd's content service. Nothing is believed that the client says of its
content: documents are hashed, and a layer counts only if it has the diff-id that the config names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.daemon.buildkit.filesync import StreamReader
from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.messages.content import ReadRequest, ReadResponse
from lamina.daemon.buildkit.sessions import Session
from lamina.errors import Corrupt, InvalidInput, TooLarge, Unsupported
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest, parse_manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.decompress import decompressed
from lamina.layers.layer_writer import ingest
from lamina.layers.tar.source import Readable

_READ = "/containerd.services.content.v1.Content/Read"
_STORE = "buildkit-attachable-store-id"
_PREFIX = "oci:"  # of the ID of a store that is a layout
_LARGEST_DOCUMENT = 8 << 20  # bytes
_DEEPEST = 4  # indexes in indexes


@dataclass(frozen=True, slots=True)
class LayoutName:
    """An image in a layout of a client: `NAME@DIGEST`, the client's name for the store, the ID of its session.

    Without a store it is the image's name, without a session the one of the build.
    """

    name: str
    store: str = ""
    session: str = ""

    @property
    def digest(self) -> Digest:
        """Return the digest of the image. Raise InvalidInput without one."""
        digest = Reference.parse(self.name).digest
        if digest is None:
            raise InvalidInput(f"the image {self.name} of a layout has no digest", advice="Write NAME@sha256:….")
        return digest

    def image(self, client: Client, platform: Platform | None, images: Images) -> Image:
        """Return the image, whose layers the client sends where they are not here. Raise as `Layout.image` does."""
        store = self.store or Reference.parse(self.name).familiar_name
        return Layout(client, client.session_of(self.session), store).image(self.digest, platform, images)


@dataclass(frozen=True, slots=True)
class Layout:
    """One store of content of a client, by the name that the client has for it."""

    client: Client
    session: Session
    store: str

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        """Provide content by its digest, not checked yet. Raise NotFound, Unsupported, Unavailable, Cancelled."""
        with self.session.call(_READ, self.client.cancellation, [(_STORE, _PREFIX + self.store)]) as call:
            call.send(ReadRequest(str(digest)))
            call.end()
            yield StreamReader(call, lambda raw: ReadResponse.decode(raw).data)

    def document(self, digest: Digest) -> bytes:
        """Return a document. Raise Corrupt where its bytes have another digest, TooLarge, and what `open` raises."""
        data = bytearray()
        with self.open(digest) as stream:
            while piece := stream.read(_LARGEST_DOCUMENT):
                data += piece
                if len(data) > _LARGEST_DOCUMENT:
                    raise TooLarge(f"{digest} is larger than a document may be", limit=_LARGEST_DOCUMENT)
        raw = bytes(data)
        if Digest.of(raw, digest.algorithm) != digest:
            raise Corrupt(f"the client sent other bytes than those of {digest}", expected=digest)
        return raw

    def image(self, digest: Digest, platform: Platform | None, images: Images) -> Image:
        """Return the image of a manifest, or of an index for a platform. Layers that are here are not sent.

        Raise NotFound, InvalidInput, Corrupt, Unsupported for what is no image, and what `open` raises.
        """
        manifest = self._manifest(digest, platform or Platform.host())
        if not manifest.is_image:
            raise Unsupported(f"{digest} is no container image but {manifest.config.media_type}")
        config = ImageConfig.parse(self.document(manifest.config.digest))
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidInput(f"the config of {digest} names other layers than its manifest")
        with images.store.lease() as lease:
            for blob, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
                lease.add(diff_id)
                if not images.store.layers.has(diff_id):
                    self._fetch(blob.digest, diff_id, images)
            return images.create(config, manifest=manifest)

    def _manifest(self, digest: Digest, platform: Platform) -> Manifest:
        for _ in range(_DEEPEST):
            document = parse_manifest(self.document(digest))
            if isinstance(document, Manifest):
                return document
            digest = document.select(platform).digest
        raise InvalidInput(f"{digest} lies in more than {_DEEPEST} indexes")

    def _fetch(self, blob: Digest, diff_id: Digest, images: Images) -> None:
        with self.open(blob) as stream, images.store.layers.create() as pending:
            pending.commit(ingest(decompressed(stream), pending.tar, pending.index), diff_id)
