"""An image at a registry as the explorer looks at it: manifest and config, and each layer from where it costs least."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lamina.api.explorer_findings import ImageSources, LayerSource
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.distribution.pull import choose_manifest
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.errors import InvalidInput, Unsupported
from lamina.explorer.opened import OpenImage, layer_summaries
from lamina.explorer.remote.kept_layers import KeptLayers
from lamina.explorer.remote.remote_layer import RemoteLayer, RemoteTree
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.layers.index.tree import LayerTree
from lamina.layers.tree import Tree
from lamina.lru import LruCache
from lamina.store.leases import Lease
from lamina.store.store import Store

Connect = Callable[[Reference, Mapping[str, Credentials], Cancellation], AbstractContextManager[RegistryClient]]
_REMEMBERED = 256  # images whose manifest and config are kept in memory


@dataclass(slots=True)
class _Known:
    """Manifest and config of an image, and how many bytes were fetched for it so far."""

    manifest: Manifest
    config: ImageConfig
    fetched: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, size: int) -> None:
        with self.lock:
            self.fetched += size


class RemoteOpener:
    """Open images at registries for the explorer. Thread-safe."""

    def __init__(self, store: Store, connect: Connect, root: Path) -> None:
        """`connect` opens a client with the credentials for a reference's registry. `root` keeps the indexes."""
        self._store = store
        self._connect = connect
        self._kept = KeptLayers(root)
        self._known: LruCache[tuple[str, Digest], _Known] = LruCache(_REMEMBERED)

    def kept_sizes(self) -> Mapping[str, int]:
        """Return the bytes that each layer takes here, by a name of it. They go when they are in the way."""
        return self._kept.sizes()

    @contextmanager
    def __call__(
        self, name: str, credentials: Mapping[str, Credentials], cancellation: Cancellation
    ) -> Iterator[OpenImage]:
        reference = Reference.parse(name).with_default_tag()
        with ExitStack() as stack:
            client = stack.enter_context(self._connect(reference, credentials, cancellation))
            lease = stack.enter_context(self._store.lease())
            repository, image = self._resolve(client, reference)
            trees: list[Tree] = []
            sources: list[LayerSource] = []
            sizes: list[int] = []
            names: list[str] = []
            for blob, diff_id in zip(image.manifest.layers, image.config.diff_ids, strict=True):
                cancellation.check()
                layer = RemoteLayer(repository, blob, diff_id, self._kept, image.count, cancellation)
                opened = self._here(layer, lease, stack) or self._there(layer, stack)
                trees.append(opened.tree)
                sources.append(opened.source)
                sizes.append(opened.file_bytes)
                names.append(opened.name)
            pinned = reference.without_tag().with_digest(image.manifest.digest)
            yield OpenImage(
                image.config,
                ImageSources(
                    reference=f"registry://{pinned}",
                    id=str(image.config.digest),
                    layers=tuple(sources),
                    size=sum(blob.size for blob in image.manifest.layers),
                    fetched=image.fetched,
                ),
                layer_summaries(image.config, sizes, names),
                tuple(trees),
                (reference.familiar(),),
            )

    def _resolve(self, client: RegistryClient, reference: Reference) -> tuple[Repository, _Known]:
        digest = reference.digest
        if digest is not None and (image := self._known.get((reference.name, digest))) is not None:
            return client.repository(reference), image
        target = digest or reference.tag or ""
        repository, document = client.first(reference, lambda place: place.manifest(target))
        indexes, manifest = choose_manifest(repository, document, Platform.host())
        image = self._known.get((reference.name, manifest.digest))
        read = sum(len(index.raw) for index in indexes) + len(manifest.raw)
        if image is None:
            if not manifest.is_image:
                raise Unsupported(f"{reference.familiar()} is not a container image")
            config = ImageConfig.parse(repository.small_blob(manifest.config))
            if len(config.diff_ids) != len(manifest.layers):
                raise InvalidInput(
                    f"The config names {len(config.diff_ids)} layers, the manifest {len(manifest.layers)}"
                )
            image = _Known(manifest, config, len(config.raw))
            self._known.put((reference.name, manifest.digest), image)
        image.count(read)
        return repository, image

    def _here(self, layer: RemoteLayer, lease: Lease, stack: ExitStack) -> _OpenLayer | None:
        """Return a layer that this store has anyway."""
        if not lease.add(layer.diff_id) or not self._store.layers.has(layer.diff_id):
            return None
        stored = self._store.layers.get(layer.diff_id)
        tree = stack.enter_context(LayerTree.open(stored.index, stored.tar))
        source = LayerSource(digest=str(layer.blob.digest), size=layer.blob.size, read_from="disk")
        return _OpenLayer(tree, source, self._file_bytes(layer.diff_id), str(layer.diff_id))

    def _file_bytes(self, diff_id: Digest) -> int:
        return self._store.layers.sizes([diff_id])[0].file_bytes

    def _there(self, layer: RemoteLayer, stack: ExitStack) -> _OpenLayer:
        place = stack.enter_context(self._kept.use(layer.key, layer.cancellation))
        kept, read_from = layer.prepare(place)
        tree = stack.enter_context(closing(RemoteTree(layer, place, verified=kept.verified)))
        source = LayerSource(digest=str(layer.blob.digest), size=layer.blob.size, read_from=read_from)
        # A list that nobody has checked against the layer may not pass for the layer.
        name = str(layer.diff_id) if kept.verified else f"list:{layer.key}"
        return _OpenLayer(tree, source, kept.file_bytes, name)


@dataclass(frozen=True, slots=True)
class _OpenLayer:
    tree: Tree
    source: LayerSource
    file_bytes: int
    name: str
