"""Summaries of containers as lists showed them last: kept until something that they tell has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

    def is_of(
        self, record: Record, endpoints: dict[str, Endpoint], link_names: tuple[str, ...], generation: int
    ) -> bool:
        """Return whether a summary of these would be the same."""
        if self.generation != generation or self.link_names != link_names:
            return False
        return (self.record is record or self.record == record) and self.endpoints == endpoints


class Summaries:
    """The summaries of one engine's containers. Thread-safe."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._kept: LruCache[str, tuple[_Basis, ContainerSummary]] = LruCache(KEPT)
        self._sized: LruCache[str, tuple[ContainerSummary, ContainerSummary]] = LruCache(
            KEPT
        )  # without sizes, and with
        self._image_sizes: LruCache[str, tuple[int, int]] = LruCache(KEPT)  # with the generation of the images

    def of(
        self, containers: Iterable[Container], link_names: Mapping[str, Sequence[str]], *, size: bool = False
    ) -> list[ContainerSummary]:
        """Return what a list shows of containers; with `size` also the bytes of their files, counted anew each time."""
        generation = self._rooms.store.generation(IMAGES, REFERENCES, NETWORKS)
        items = []
        for container in containers:
            item = self._get(container, tuple(link_names.get(container.id, ())), generation)
            items.append(self._with_size(container, item, generation) if size else item)
        return items

    def _with_size(self, container: Container, item: ContainerSummary, generation: int) -> ContainerSummary:
        own = changed_bytes(container, self._rooms)
        total = own + self._image_size(container.record.image, generation)
        sized = self._sized.get(container.id)
        if sized is None or sized[0] is not item or (sized[1].size_rw, sized[1].size_root_fs) != (own, total):
            sized = item, replace(item, size_rw=own, size_root_fs=total)
            self._sized.put(container.id, sized)
        return sized[1]

    def _image_size(self, image_id: str, generation: int) -> int:
        entry = self._image_sizes.get(image_id)
        if entry is None or entry[0] != generation:
            entry = generation, image_bytes(image_id, self._rooms)
            self._image_sizes.put(image_id, entry)
        return entry[1]

    def _get(self, container: Container, link_names: tuple[str, ...], generation: int) -> ContainerSummary:
        record = container.record
        endpoints = endpoints_of(record, self._rooms)
        entry = self._kept.get(container.id)
        if entry is None or not entry[0].is_of(record, endpoints, link_names, generation):
            item = summary(container, self._rooms, link_names)
        else:
            item = entry[1]
            if (status := status_text(record.state)) == item.status:
                return item
            item = replace(item, status=status)
        if item.record is record:  # it has not changed meanwhile
            self._kept.put(container.id, (_Basis(record, endpoints, link_names, generation), item))
        return item
