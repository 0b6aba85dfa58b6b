"""The images of one engine: everything people do with them, each verb one short composition."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from lamina.cancellation import NEVER, Cancellation, CheckedReader, CheckedWriter
from lamina.errors import Conflict, NotFound
from lamina.events import EventBus
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.matching import Filters
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.text import several_texts
from lamina.images import create as creation
from lamina.images.archive.choice import images_to_save
from lamina.images.archive.load import load
from lamina.images.archive.save import Piece, copy_to, pieces
from lamina.images.catalog import ImageCatalog, index_of, no_such_image
from lamina.images.create import Changed, CommitOptions, NewImage, commit, import_tar
from lamina.images.filters import LIST_FILTERS, PRUNE_FILTERS, ImageFilters
from lamina.images.image import Image, ImageUser, Users, check_platform, no_users
from lamina.images.indexes import Indexes, Statement
from lamina.images.listing import HistoryStep, ImagesUsage, ListedImage, Listing, history
from lamina.images.platform_removal import remove_platforms
from lamina.images.record import add_names, check_tag, children
from lamina.images.remove import Deleted, Pruned, Removal, Untagged, prune, remove
from lamina.images.remove import plan as plan_removal
from lamina.progress import Report, ignore
from lamina.store.leases import Lease
from lamina.store.store import Store
from lamina.types import images

__all__ = ["Image", "ImageUser", "Images"]


class Images(images.Images):
    """The images in a store, with the verbs of `lamina.types.Images`. Thread-safe; holds nothing open itself."""

    def __init__(self, store: Store, events: EventBus, users: Users = no_users) -> None:
        """`users` returns the containers that were made from an image."""
        self.store = store
        self.events = events
        self.users = users
        self.catalog = ImageCatalog(store)
        self.indexes = Indexes(self.catalog)
        self._listing = Listing(self.catalog, users)
        self._pruning = threading.Lock()
        self.catalog.drop_broken()

    def get(self, reference: str, *, platform: str = "") -> Image:
        if platform and (index := self.indexes.find(reference)) is not None:
            image = index.image_for(Platform.parse(platform))
            if image is not None:
                return image
        image_id = reference if isinstance(reference, Digest) else self.catalog.find(reference)
        with self.store.read() as tx:
            image = self.catalog.load(tx, image_id)
        check_platform(image, platform)
        return image

    def find(self, reference: str) -> Image | None:
        """Like `get`, with None for an image that is not here."""
        try:
            return self.get(reference)
        except NotFound:
            return None

    def manifest(self, image: Image) -> Manifest:
        """Return the manifest the image came with, else one that names its layers uncompressed."""
        return self.catalog.manifest(image)

    def children(self, image_id: Digest) -> tuple[Digest, ...]:
        """Return the images that were made from this one here; the build cache looks among them for its steps."""
        with self.store.read() as tx:
            return children(tx, image_id)

    def create(
        self,
        config: ImageConfig,
        *,
        manifest: Manifest | None = None,
        references: Sequence[Reference] = (),
        parent: Digest | None = None,
        built: bool = False,
    ) -> Image:
        """Make an image of layers that are in the store (hold them by a lease until then).

        An image with this config that exists keeps its names and gets the new ones. `parent` is the image it was made
        from, `built` tells that a build made it just now. Publish a `tag` event for each tag. Raise NotFound for a
        missing layer, NoSpace.
        """
        (image,) = creation.create(self.catalog, [NewImage(config, manifest, references, parent, built)]).images
        for reference in references:
            if reference.tag:
                self.publish("tag", image, reference.familiar())
        return image

    def attestations(
        self, reference: str, *, platform: str = "", types: Sequence[str] = (), statements: bool = False
    ) -> Sequence[Statement]:
        image = self.get(reference, platform=platform)
        index = self.indexes.find(reference)
        if index is None:
            return []
        return self.indexes.statements(index, image, several_texts("types", types), read=statements)

    def tag(self, reference: str, name: str) -> None:
        new_name = check_tag(Reference.parse(name))
        image = self.get(reference)
        with self.store.transaction() as tx:
            add_names(tx, image.id, [new_name], index_of(tx, reference))
        self.publish("tag", image, new_name.familiar())

    def add_digest(self, image: Image, reference: Reference, manifest: Manifest | None = None) -> None:
        """Remember the `name@digest` under which a registry knows the image, and the manifest it has there."""
        with self.store.lease():
            if manifest is not None:
                self.store.blobs.put(manifest.raw, manifest.digest.algorithm)
            with self.store.transaction() as tx:
                if manifest is not None:
                    creation.rename_manifest(tx, image.id, manifest)
                add_names(tx, image.id, [reference])

    def remove(
        self, reference: str, *, force: bool = False, prune: bool = True, platforms: Sequence[str] = ()
    ) -> list[Removal]:
        chosen = [Platform.parse(text) for text in several_texts("platforms", platforms)]
        removed = None  # unless others stay
        if chosen:
            removed = remove_platforms(self.catalog, self.indexes, self.users, reference, chosen, force=force)
        if removed is None:
            removed = remove(self.catalog, self.users, reference, force=force, prune=prune)
        self._publish_removal(removed)
        return removed

    def _publish_removal(self, removed: Sequence[Removal]) -> None:
        for item in removed:
            if isinstance(item, Untagged):
                self._publish_id("untag", item.image_id, {"name": str(item.image_id)})
            elif isinstance(item, Deleted) and item.is_image:
                self._publish_id("delete", item.digest, {**item.labels, "name": str(item.digest)})

    def removal_plan(self, reference: str, *, force: bool = False, prune: bool = True) -> Pruned:
        return plan_removal(self.catalog, self.users, reference, force=force, prune=prune)

    def history(self, reference: str, *, platform: str = "") -> list[HistoryStep]:
        image = self.get(reference, platform=platform)
        with self.store.read() as tx:
            return history(self.catalog, tx, image)

    def list(
        self, *, all: bool = False, filters: Filters | None = None, shared_size: bool = False
    ) -> list[ListedImage]:
        parsed = ImageFilters.parse(filters or {}, LIST_FILTERS)
        return self._listing.select(parsed, all_images=all, shared_size=shared_size)

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        parsed = ImageFilters.parse(filters or {}, PRUNE_FILTERS)
        if not self._pruning.acquire(blocking=False):
            raise Conflict("a prune operation is already running")
        try:
            pruned = prune(self.catalog, parsed, self.remove, cancellation)
        finally:
            self._pruning.release()
        self.events.publish("image", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return pruned

    def import_tar(
        self,
        source: IO[bytes],
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        cancellation: Cancellation = NEVER,
    ) -> Image:
        tag = check_tag(Reference.parse(reference)) if reference else None
        image = import_tar(
            self.catalog,
            CheckedReader(source, cancellation),
            tag,
            message=message or "Imported from -",
            changes=several_texts("changes", changes),
            platform=Platform.parse(platform) if platform else None,
        )
        if tag:
            self.publish("tag", image, tag.familiar())
        self.publish("import", image, str(image.id))
        return image

    def commit(
        self, base: Image | None, snapshot: Changed, options: CommitOptions, cancellation: Cancellation = NEVER
    ) -> Image:
        """Make an image of what `snapshot` changed on top of `base`; the caller has paused the container.

        Publishes `tag` where it gets names; the container's `commit` event is the caller's. Raise InvalidInput for a
        bad change, NoSpace, Cancelled.
        """
        tags = [check_tag(reference) for reference in options.references]
        image = commit(self.catalog, base, snapshot, replace(options, references=tags), cancellation)
        for tag in tags:
            self.publish("tag", image, tag.familiar())
        return image

    def load(
        self,
        source: IO[bytes],
        *,
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        chosen = Platform.parse(platform) if platform else None
        images = [item.image for item in load(self.catalog, CheckedReader(source, cancellation), chosen, report)]
        for image in images:
            self.publish("load", image, str(image.id))
        return images

    def save(
        self, references: Sequence[str], sink: IO[bytes], *, platform: str = "", cancellation: Cancellation = NEVER
    ) -> None:
        with self.archive(references, platform=platform) as parts:
            copy_to(parts, CheckedWriter(sink, cancellation).write)

    @contextmanager
    def archive(
        self, references: Sequence[str], *, platform: str = "", docker_archive: bool = True
    ) -> Iterator[tuple[Piece, ...]]:
        """Yield what `save` writes, in pieces, for those who can let the kernel copy files.

        Without `docker_archive` it is an OCI layout alone. The files stay while the block runs, in one thread;
        publishes `save` when it ends well. Raise NotFound, also for an image that is not for `platform`, InvalidInput.
        """
        with self.store.lease() as lease:
            images = images_to_save(self.catalog, self.indexes, several_texts("references", references), platform)
            for item in images:
                for image in item.images:
                    self._hold(lease, image)
            yield pieces(images, self.store, docker_archive=docker_archive)
        for item in images:
            self.publish("save", item.image, str(item.image.id))

    @contextmanager
    def held(self, images: Sequence[Image]) -> Iterator[None]:
        """Keep the content of images while the block runs. Raise NotFound when one has just been removed."""
        with self.store.lease() as lease:
            for image in images:
                self._hold(lease, image)
            yield

    def _hold(self, lease: Lease, image: Image) -> None:
        """Keep the image's content while it is read. Raise NotFound when it went just now."""
        if not all(lease.add(digest) for digest in (image.id, *image.config.diff_ids)):
            raise no_such_image(str(image.id))

    def usage(self) -> ImagesUsage:
        """Return what all images take, for `system df`."""
        return self._listing.usage()

    def publish(self, action: str, image: Image, name: str) -> None:
        """Tell listeners that `action` happened to an image."""
        self._publish_id(action, image.id, {**image.labels, "name": name})

    def _publish_id(self, action: str, image_id: Digest, attributes: Mapping[str, str]) -> None:
        self.events.publish("image", action, str(image_id), attributes)
