"""Summaries of containers as lists showed them last: kept until something that they tell has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from lamina.containers.container import Container
from lamina.containers.inspect import ContainerSummary, changed_bytes, endpoints_of, image_bytes, status_text, summary
from lamina.containers.record import Record
from lamina.containers.rooms import Rooms
from lamina.images.record import IMAGES, REFERENCES
from lamina.lru import LruCache
from lamina.network.catalog import BUCKET as NETWORKS
from lamina.network.model import Endpoint

KEPT = 16_384  # summaries; those of the containers that were listed last


class _Basis(NamedTuple):
    """What a summary was made of. Images and networks are told by the generation of their documents."""

    record: Record
    endpoints: dict[str, Endpoint]
    link_names: tuple[str, ...]
    generation: int


class Summaries:
    """The summaries of one engine's containers. Thread-safe."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._kept: LruCache[str, tuple[_Basis, ContainerSummary]] = LruCache(KEPT)
        self._sized: LruCache[str, tuple[ContainerSummary, ContainerSummary]] = LruCache(
            KEPT
        )  # without sizes, and with
        self._image_sizes: LruCache[str, tuple[int, int]] = LruCache(KEPT)  # with the generation of the images

    def get(self, container: Container, link_names: tuple[str, ...], *, size: bool = False) -> ContainerSummary:
        """Return what a list shows of a container; with `size` also the bytes of its files, counted anew each time."""
        item = self._get(container, link_names)
        if not size:
            return item
        own = changed_bytes(container, self._rooms)
        total = own + self._image_size(container.record.image)
        sized = self._sized.get(container.id)
        if sized is None or sized[0] is not item or (sized[1].size_rw, sized[1].size_root_fs) != (own, total):
            sized = item, replace(item, size_rw=own, size_root_fs=total)
            self._sized.put(container.id, sized)
        return sized[1]

    def _image_size(self, image_id: str) -> int:
        generation = self._rooms.store.generation(IMAGES)
        entry = self._image_sizes.get(image_id)
        if entry is None or entry[0] != generation:
            entry = generation, image_bytes(image_id, self._rooms)
            self._image_sizes.put(image_id, entry)
        return entry[1]

    def _get(self, container: Container, link_names: tuple[str, ...]) -> ContainerSummary:
        generation = self._rooms.store.generation(IMAGES, REFERENCES, NETWORKS)
        record = container.record
        basis = _Basis(record, endpoints_of(record, self._rooms), link_names, generation)
        entry = self._kept.get(container.id)
        if entry is None or entry[0] != basis:
            item = summary(container, self._rooms, link_names)
        else:
            item = entry[1]
            if (status := status_text(record.state)) == item.status:
                return item
            item = replace(item, status=status)
        if item.record is record:  # it has not changed meanwhile
            self._kept.put(container.id, (basis, item))
        return item
