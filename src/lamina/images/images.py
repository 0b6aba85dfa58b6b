"""The images of one engine: everything people do with them, each verb one short composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lamina.errors import NotFound
from lamina.events import EventBus
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.images import create as creation
from lamina.images import listing
from lamina.images.catalog import Catalog, no_such_image
from lamina.images.create import NewImage
from lamina.images.filters import LIST_FILTERS, Filters, ImageFilters
from lamina.images.history import HistoryStep, history
from lamina.images.image import Image
from lamina.images.listing import ImagesUsage, ListedImage
from lamina.images.names import add_names, check_tag, remove_names
from lamina.images.record import REFERENCES, children
from lamina.images.remove import Deleted, ImageUser, Removal, Untagged, Users, remove
from lamina.store.store import Store

__all__ = ["Image", "ImageUser", "Images"]


def _nobody(image_id: Digest) -> Sequence[ImageUser]:
    return ()


class Images:
    """The images in a store. Thread-safe; holds nothing open itself.

    `users` answers which containers were made from an image: the room of containers sets it. Names are given as people
    write them: tag, `name@digest`, ID or its beginning.
    """

    def __init__(self, store: Store, events: EventBus) -> None:
        self.store = store
        self.events = events
        self.users: Users = _nobody
        self.catalog = Catalog(store)
        self.catalog.drop_broken()

    def get(self, name: str | Digest) -> Image:
        """The image called `name`. Raises NotFound, InvalidInput for an ambiguous ID."""
        image_id = name if isinstance(name, Digest) else self.catalog.find(name)
        with self.store.read() as tx:
            return self.catalog.load(tx, image_id)

    def find(self, name: str | Digest) -> Image | None:
        """Like `get`, with None for an image that is not here."""
        try:
            return self.get(name)
        except NotFound:
            return None

    def manifest(self, image: Image) -> Manifest:
        """The manifest the image came with, else one that names its layers uncompressed."""
        return self.catalog.manifest(image)

    def children(self, image_id: Digest) -> tuple[Digest, ...]:
        """Images made from this one here: where a build looks for what it has done before."""
        with self.store.read() as tx:
            return children(tx, image_id)

    def create(
        self,
        config: ImageConfig,
        *,
        manifest: Manifest | None = None,
        references: Sequence[Reference] = (),
        parent: Digest | None = None,
    ) -> Image:
        """Make an image of layers that are in the store (hold them by a lease until then).

        An image with this config that exists keeps its names and gets the new ones. `parent` is the image it was made
        from. Publishes a `tag` event for each tag. Raises NotFound for a missing layer, NoSpace.
        """
        creation.create(self.catalog, [NewImage(config, manifest, references, parent)])
        image = self.get(config.digest)
        for reference in references:
            if reference.tag:
                self.publish("tag", image, reference.familiar())
        return image

    def tag(self, name: str | Digest, reference: Reference) -> Reference:
        """Let `reference` (`latest` where it has no tag) mean the image; gives the reference as it is kept.

        Another image of that name loses it. Raises NotFound, InvalidInput.
        """
        reference = check_tag(reference)
        image = self.get(name)
        with self.store.transaction() as tx:
            add_names(tx, image.id, [reference])
        self.publish("tag", image, reference.familiar())
        return reference

    def add_digest(self, image: Image, reference: Reference, manifest: Manifest | None = None) -> None:
        """Remember the `name@digest` under which a registry knows the image, and the manifest it has there."""
        with self.store.lease():
            if manifest is not None:
                self.store.blobs.put(manifest.raw, manifest.digest.algorithm)
            with self.store.transaction() as tx:
                if manifest is not None:
                    creation.rename_manifest(tx, image.id, manifest)
                add_names(tx, image.id, [reference])

    def untag(self, reference: Reference) -> None:
        """Take a name away and leave the image, even when it was the last name. Raises NotFound."""
        name = str(reference.with_default_tag())
        with self.store.transaction() as tx:
            holder = tx.get(REFERENCES, name)
            if holder is None:
                raise no_such_image(reference.familiar())
            image = self.catalog.load(tx, Digest.parse(holder.decode()))
            remove_names(tx, image.id, [name])
        self.publish("untag", image, str(image.id))

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> list[Removal]:
        """`rmi`: take the name away; with its last name the image goes, and with `prune` its unneeded parents.

        Gives what happened, in order. Raises NotFound, and Conflict that names the container or says what else is in
        the way (`facts["container"]`, `facts["image"]`).
        """
        removed = remove(self.catalog, self.users, name, force=force, prune=prune)
        for item in removed:
            if isinstance(item, Untagged):
                self._publish_id("untag", item.image_id, {"name": str(item.image_id)})
            elif isinstance(item, Deleted) and item.is_image:
                self._publish_id("delete", item.digest, {**item.labels, "name": str(item.digest)})
        return removed

    def history(self, name: str | Digest) -> list[HistoryStep]:
        """The steps of an image, newest first. Raises NotFound."""
        image = self.get(name)
        with self.store.read() as tx:
            return history(self.catalog, tx, image)

    def list(
        self, *, all_images: bool = False, filters: Filters | None = None, shared_size: bool = False
    ) -> list[ListedImage]:
        """Images newest first; without `all_images` those that only carry others stay hidden.

        `filters` are Docker's (dangling, label, before, since, until, reference). Raises InvalidInput for others,
        NotFound where `before` or `since` names nothing.
        """
        wanted = ImageFilters.parse(filters or {}, LIST_FILTERS)
        return listing.list_images(self.catalog, self.users, wanted, all_images=all_images, shared_size=shared_size)

    def usage(self) -> ImagesUsage:
        """What all images take, for `system df`."""
        return listing.usage(self.catalog, self.users)

    def publish(self, action: str, image: Image, name: str) -> None:
        """Tell listeners that `action` happened to an image."""
        self._publish_id(action, image.id, {**image.labels, "name": name})

    def _publish_id(self, action: str, image_id: Digest, attributes: Mapping[str, str]) -> None:
        self.events.publish("image", action, str(image_id), attributes)
