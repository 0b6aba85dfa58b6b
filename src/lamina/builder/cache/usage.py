"""What the build cache holds, how large it is on disk, and what a prune removes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.api.build_cache import CacheLimits, CacheObject, matches
from lamina.builder.cache.holders import Holders
from lamina.builder.cache.records import StepRecord, all_records
from lamina.builder.context.saved_files import SavedContexts
from lamina.builder.keys.records import ResultRecords
from lamina.builder.run.cache_mounts import CacheMounts
from lamina.errors import Conflict, NotFound
from lamina.formats.digest import Digest
from lamina.formats.matching import Filters
from lamina.images.images import Images
from lamina.store.content import Collected


@dataclass(frozen=True, slots=True)
class CacheUsage:
    """The cache of one engine: layers of steps, results of graphs, cache mounts, saved files of contexts."""

    images: Images
    mounts: CacheMounts
    contexts: SavedContexts
    disk: Path  # a folder on the disk that all of it is on

    def objects(self) -> list[CacheObject]:
        """Return all objects, those that were used last first."""
        objects = [*self._steps(), *self._results.objects(), *self.mounts.objects(), *self.contexts.objects()]
        return sorted(objects, key=lambda each: each.used, reverse=True)

    @property
    def _results(self) -> ResultRecords:
        return ResultRecords(self.images.store)

    def _steps(self) -> Iterator[CacheObject]:
        """Yield one object for each layer: records that share one count once."""
        store = self.images.store
        with store.read() as tx:
            holders = Holders(tx, self.images.users)
            latest: dict[str, StepRecord] = {}
            for _, record in all_records(tx):
                if record.layer and (record.layer not in latest or latest[record.layer].used < record.used):
                    latest[record.layer] = record
            reasons = {layer: holders.reason(Digest.parse(record.image)) for layer, record in latest.items()}
        for layer, record in latest.items():
            digest = Digest.parse(layer)
            if store.layers.has(digest):
                (size,) = store.layers.sizes([digest])
                yield CacheObject(
                    id=layer,
                    type="regular",
                    description=record.instruction,
                    size=size.tar_bytes + size.index_bytes,
                    used=record.used,
                    kept_for=reasons[layer],
                )

    def prune(self, filters: Filters, limits: CacheLimits) -> Collected:
        """Delete what nobody needs and what fits the filters, the least recently used first, down to the limits.

        Return the IDs of what went, and its bytes on disk.
        """
        objects = list(self.objects())
        removable = [each for each in objects if each.reclaimable and matches(each, filters)]
        # Layers that images need are not the cache's. Rule: moby/buildkit, cache/manager.go, pruneOnce.
        total = sum(each.size for each in objects if not each.kept_for)
        state = os.statvfs(self.disk)
        keep = limits.to_keep(total, state.f_bavail * state.f_frsize)
        removed: dict[str, int] = {}
        for each in reversed(removable):
            if keep and total <= keep:
                break
            if self._drop(each):
                removed[each.id] = each.size
                total -= each.size
        return Collected(tuple(map(Digest.parse, removed)), sum(removed.values()))

    def _drop(self, cache_object: CacheObject) -> bool:
        if cache_object.type == "exec.cachemount":
            return self.mounts.remove(Digest.parse(cache_object.id))
        if cache_object.type == "source.local":
            return self.contexts.remove(Digest.parse(cache_object.id))
        return self._results.remove(cache_object.id) or self._drop_layer(cache_object.id)

    def _drop_layer(self, layer: str) -> bool:
        """Remove the images that hold a layer only as steps. Return whether it is gone."""
        store = self.images.store
        with store.read() as tx:
            holders = Holders(tx, self.images.users)
            steps = {Digest.parse(record.image) for _, record in all_records(tx) if record.layer == layer}
            lines = [holders.line(image) for image in steps if not holders.reason(image)]
        for image in dict.fromkeys(image for line in lines for image in line):
            with suppress(Conflict, NotFound):  # somebody uses it since, or it went with another
                self.images.remove(str(image), prune=False)
        return not store.layers.has(Digest.parse(layer))
