"""One layer from a registry into the store: downloaded, verified, decompressed and indexed at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from lamina.cancellation import Cancellation
from lamina.distribution.download import download, download_foreign
from lamina.distribution.layer_progress import Meter
from lamina.distribution.repository import Repository
from lamina.distribution.tail import BegunAnew, Tail
from lamina.errors import Corrupt, LaminaError, NotFound
from lamina.formats.descriptor import FOREIGN_LAYERS, Descriptor, essence
from lamina.formats.digest import Digest
from lamina.layers.decompress import decompressed
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import ingest
from lamina.layers.limits import Limits
from lamina.layers.tar.source import Readable
from lamina.progress import Report
from lamina.store.blobs import BlobIngest
from lamina.store.store import Store


@dataclass(frozen=True, slots=True)
class LayerFetch:
    """What the fetches of one pull share."""

    repository: Repository
    store: Store
    report: Report
    limits: Limits
    cancellation: Cancellation
    verified: set[tuple[Digest, Digest]] = field(default_factory=set)
    """Pairs of a layer and the blob that it was seen to come from."""

    def fetch(self, blob: Descriptor, diff_id: Digest) -> Layer:
        """Return the layer `diff_id`, from the store or from the compressed `blob`, which stays in the store's cache.

        Raise Corrupt where blob or layer are not what their digests say, Cancelled, and the kinds of downloading.
        """
        self.limits.check_expanded(blob.size)
        meter = Meter(self.report, blob.digest, blob.size)
        with self.store.layers.arrivals.hold(diff_id, self.cancellation):
            if self.store.layers.has(diff_id):
                meter.say("Already exists")
                return self.store.layers.get(diff_id)
            self.cancellation.check()
            layer = self._from_cache(blob, diff_id, meter) or self._from_registry(blob, diff_id, meter)
            self.verified.add((diff_id, blob.digest))
        meter.say("Pull complete")
        return layer

    def _from_cache(self, blob: Descriptor, diff_id: Digest, meter: Meter) -> Layer | None:
        try:
            with self.store.blobs.open(blob.digest) as file:
                meter.say("Extracting")
                return self._extract(file, diff_id)
        except NotFound:
            return None

    def _from_registry(self, blob: Descriptor, diff_id: Digest, meter: Meter) -> Layer:
        with self.store.blobs.ingest(ref=f"pull-{blob.digest}", algorithm=blob.digest.algorithm) as blob_ingest:
            tail = Tail(blob_ingest)
            with ThreadPoolExecutor(1, "download") as side:
                arrived = side.submit(self._download, blob, blob_ingest, tail, meter)
                layer, problem = None, None
                try:
                    layer = self._follow(tail, blob, diff_id, meter)
                except (LaminaError, OSError) as error:
                    problem = error
                arrived.result()  # a wrong digest or a lost connection is the better reason
                if problem is not None:
                    raise problem
            assert layer is not None
        if not essence(blob.media_type).endswith(".tar"):
            self.store.blobs.cache(blob.digest, diff_id)
        return layer

    def _download(self, blob: Descriptor, blob_ingest: BlobIngest, tail: Tail, meter: Meter) -> None:
        try:

            def progress(done: int) -> None:
                meter.at("Downloading", done)

            if blob.media_type in FOREIGN_LAYERS and blob.urls:
                download_foreign(self.repository, blob, tail, progress, self.cancellation)
            else:
                download(self.repository, blob, tail, progress, self.cancellation)
            meter.say("Verifying Checksum")
            if blob_ingest.size != blob.size:
                raise Corrupt(f"{blob.digest} has {blob_ingest.size} bytes, not {blob.size}", expected=blob.digest)
            blob_ingest.commit(blob.digest)
            tail.finish(blob.digest)
            meter.say("Download complete")
        except BaseException as error:
            tail.fail(error)
            raise

    def _follow(self, tail: Tail, blob: Descriptor, diff_id: Digest, meter: Meter) -> Layer:
        while True:
            reader = tail.reader(lambda done: meter.at("Extracting", done) if tail.finished() else None)
            with suppress(BegunAnew):
                return self._extract(reader, diff_id, tail)

    def _extract(self, stream: Readable, diff_id: Digest, tail: Tail | None = None) -> Layer:
        with self.store.layers.create() as making:
            ingested = ingest(decompressed(stream, self.limits.expanded_size), making.tar, making.index, self.limits)
            if tail is not None:
                tail.wait_for_end()
            return making.commit(ingested, diff_id)
