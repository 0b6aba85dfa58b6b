"""What was built before: from a parent and what a step does to the image that came of it.

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
COPIES = "build-copy"  # a COPY --from as asked → what it came to (see copy.shortcut)


@dataclass(frozen=True, slots=True)
class Step:
    """What is looked up. `content` identifies files that come from outside, for steps that have them.

    `epoch_ns` is the time that was asked for: what an image says must not depend on what was built before.
    """

    parent: Image | None
    created_by: str
    config: RunConfig
    platform: Platform
    content: str = ""
    epoch_ns: int | None = None

    @property
    def key(self) -> str:
        """The cache key."""
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
        """The image that `step` gave before, None when it must run."""
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
        """Let the next build find `image` for `step`."""
        with self.store.transaction() as tx:
            tx.put(BUCKET, step.key, str(image.id).encode())

    def _from_sources(self, step: Step) -> Image | None:
        """Docker's rule: a source whose history and layers begin with the parent's, and go on with this very step."""
        local = self._local(step.key)
        if local is not None and any(_begins(source.config, local.config) for source in self.sources):
            return local
        at = len(step.parent.config.history) if step.parent else 0
        for source in self.sources:
            history = source.config.history
            if len(history) <= at or history[at].created_by != step.created_by:
                continue
            if step.parent is not None and not _begins(source.config, step.parent.config):
                continue
            if step.epoch_ns is not None and history[at].created != format_time(step.epoch_ns):
                continue
            if len(history) > at + 1:
                return self._restored(source, step, at)
            self.remember(step, source)
            return source
        return None

    def _restored(self, source: Image, step: Step, at: int) -> Image:
        """The image of an inner step of `source`, made again from its history and layers."""
        history = source.config.history[: at + 1]
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


def _begins(whole: ImageConfig, part: ImageConfig) -> bool:
    """Whether `whole` was built on `part`: same steps, same layers, and possibly more of both."""
    steps = [(entry.created_by, entry.empty_layer) for entry in part.history]
    return [(entry.created_by, entry.empty_layer) for entry in whole.history[: len(steps)]] == steps and whole.diff_ids[
        : len(part.diff_ids)
    ] == part.diff_ids


def forget_lost(store: Store) -> int:
    """Drop the records whose image is gone, and all shortcuts, as `prune` does; tells how many steps were forgotten."""
    with store.transaction() as tx:
        lost = [key for key, raw in tx.items(BUCKET) if tx.get(IMAGES, raw.decode()) is None]
        for key in lost:
            tx.delete(BUCKET, key)
        for key, _ in tx.items(COPIES):
            tx.delete(COPIES, key)
    return len(lost)
