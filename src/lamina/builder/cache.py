"""The cache of a build: from a parent image and a step to the image that the step made before.

A key holds everything that decides the result (parent, wording, config, content with mode and owner), and never a
modification time. A record is a hint: it counts only while its image is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lamina.formats.config import ImageConfig, RunConfig
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.platform import Platform
from lamina.formats.times import format_time
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.record import IMAGES
from lamina.store.store import Store

BUCKET = "build-step"  # key → image ID
COPIES = "build-copy"  # a COPY --from as written → the step it became (see copy.step)


@dataclass(frozen=True, slots=True)
class Step:
    """What identifies a step. `content` stands for the files that it copies.

    `epoch_ns` is the time that the build asks for: the time in an image must not depend on earlier builds.
    """

    parent: Image | None
    created_by: str
    config: RunConfig
    platform: Platform
    content: str = ""
    epoch_ns: int | None = None

    @property
    def key(self) -> str:
        """Return the cache key."""
        parts = [
            str(self.parent.id) if self.parent else "",
            self.created_by,
            self.content,
            str(self.platform),
            encode_key(self.config.to_json()).decode(),
        ]
        if self.epoch_ns is not None:
            parts.append(str(self.epoch_ns))
        return str(Digest.of(encode_key(parts)))


@dataclass(slots=True)
class StepCache:
    """Finds and remembers steps. `sources` are the images of `--cache-from`: with them only their steps count."""

    store: Store
    images: Images
    enabled: bool = True
    sources: Sequence[Image] = field(default_factory=tuple)

    def find(self, step: Step) -> Image | None:
        """Return the image that `step` made before; None when the step must run."""
        if not self.enabled:
            return None
        if self.sources:
            return self._from_sources(step)
        return self._local(step.key)

    def _local(self, key: str) -> Image | None:
        with self.store.read() as tx:
            raw = tx.get(BUCKET, key)
        return None if raw is None else self.images.find(Digest.parse(raw.decode()))

    def remember(self, step: Step, image: Image) -> None:
        """Record `image` as the result of `step`."""
        with self.store.transaction() as tx:
            tx.put(BUCKET, step.key, str(image.id).encode())

    def _from_sources(self, step: Step) -> Image | None:
        """Return the image of `step` in a source whose history and layers begin with the parent's: Docker's rule."""
        local = self._local(step.key)
        if local is not None and any(_begins(source.config, local.config) for source in self.sources):
            return local
        position = len(step.parent.config.history) if step.parent else 0
        for source in self.sources:
            history = source.config.history
            if len(history) <= position or history[position].created_by != step.created_by:
                continue
            if step.parent is not None and not _begins(source.config, step.parent.config):
                continue
            if step.epoch_ns is not None and history[position].created != format_time(step.epoch_ns):
                continue
            if len(history) > position + 1:
                return self._restored(source, step, position)
            self.remember(step, source)
            return source
        return None

    def _restored(self, source: Image, step: Step, position: int) -> Image:
        """Make the image of an inner step of `source` again, from its history and layers."""
        history = source.config.history[: position + 1]
        layers = sum(not entry.empty_layer for entry in history)
        config = ImageConfig.build(
            platform=source.platform,
            config=step.config,
            diff_ids=source.config.diff_ids[:layers],
            history=history,
            created=history[-1].created,
            author=history[-1].author,
        )
        image = self.images.create(config, parent=step.parent.id if step.parent else None, built=True)
        self.remember(step, image)
        return image


def _begins(image: ImageConfig, parent: ImageConfig) -> bool:
    """Return whether `image` was built on `parent`: same steps, same layers, and possibly more of both."""
    steps = [(entry.created_by, entry.empty_layer) for entry in parent.history]
    return [(entry.created_by, entry.empty_layer) for entry in image.history[: len(steps)]] == steps and image.diff_ids[
        : len(parent.diff_ids)
    ] == parent.diff_ids


def forget_lost(store: Store) -> int:
    """Drop the records whose image is gone, and all records of copies. Return how many steps were forgotten."""
    with store.transaction() as tx:
        lost_keys = [key for key, raw in tx.items(BUCKET) if tx.get(IMAGES, raw.decode()) is None]
        for key in lost_keys:
            tx.delete(BUCKET, key)
        for key, _ in tx.items(COPIES):
            tx.delete(COPIES, key)
    return len(lost_keys)
