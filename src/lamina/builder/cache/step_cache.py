"""The cache of a build: from a parent image and a step to the image that the step made before.

A step is looked up twice. Its own key holds everything that decides about the *image*: parent, wording, config, and
content with mode and owner. The key of its inputs holds what decides about the *files*: the layers below, and what the
step does with them. So a step whose parent differs only in a label is not run again; its image is made anew of the
layer that is here. Neither key holds a modification time. A record is a hint: it counts only while its image is here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lamina.builder.buildkit_keys.key_records import KeyRecord
from lamina.builder.cache.holders import FINAL
from lamina.builder.cache.records import (
    FILE_STEPS,
    CachedKey,
    CachedStep,
    Inputs,
    StepPlace,
    find_record,
    forget_lost_records,
    result_key,
    touch_records,
    write_record,
)
from lamina.builder.console import Console
from lamina.cancellation import Cancellation
from lamina.formats.config import ImageConfig, RunConfig
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.platform import Platform
from lamina.formats.times import format_time
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.record import IMAGES
from lamina.layers.layer import Layer
from lamina.store.store import Store

BUCKET = "build-step"  # key → image ID, and the key of the record of its inputs
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


@dataclass(frozen=True, slots=True)
class StepResult:
    """The files that a step made before: the layer on top of `image`, None where it changed nothing."""

    image: Image
    layer: Layer | None


class StepSource(Protocol):
    """Steps that other engines made."""

    def find(self, key: str, console: Console, cancellation: Cancellation) -> tuple[CachedStep, Layer | None] | None:
        """Return the step with this key and its layer, which a lease holds; None where there is none.

        The console hears why a layer cannot be had.
        """
        ...

    def find_keyed(
        self, record: KeyRecord, below: Sequence[Digest], console: Console, cancellation: Cancellation
    ) -> tuple[CachedStep, Layer | None] | None:
        """Return the step with this key of BuildKit's on top of the layers `below`, as `find` does."""
        ...


@dataclass(slots=True)
class StepCache:
    """Finds and remembers steps. `sources` are the images of `--cache-from`: with them only their steps count.

    `imports` are asked for what is not here. Thread-safe.
    """

    store: Store
    images: Images
    enabled: bool = True
    sources: Sequence[Image] = field(default_factory=tuple)
    imports: StepSource | None = None
    _steps: dict[str, CachedStep | CachedKey] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _written: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def find(self, step: Step, keyword: str = "") -> Image | None:
        """Return the image that `step` made before; None when the step must run."""
        if not self.enabled:
            return None
        if self.sources:
            return self._from_sources(step, keyword)
        return self._local(step, keyword)

    def result(self, keyword: str, inputs: Inputs) -> StepResult | None:
        """Return what a step of this kind made of the same inputs; None when the step must run."""
        if not self.enabled or self.sources:
            return None
        key = result_key(keyword, inputs)
        with self.store.read() as tx:
            record = find_record(tx, key)
        image = None if record is None else self.images.find(Digest.parse(record.image))
        if record is None or image is None:
            return None
        layer = image.layers[-1] if record.layer and image.layers else None
        if record.layer and (layer is None or str(layer.diff_id) != record.layer):
            return None
        self._use(key)
        return StepResult(image, layer)

    def imported(
        self,
        keyword: str,
        inputs: Inputs,
        keys: Iterable[tuple[KeyRecord, Sequence[Digest]]],
        console: Console,
        cancellation: Cancellation,
    ) -> tuple[CachedStep, Layer | None] | None:
        """Return what another engine made of the same inputs, with its layer; None when the step must run.

        `keys` are BuildKit's keys of the step, where it has some, each with the layers below the step's own.
        """
        if not self.enabled or self.imports is None:
            return None
        step = self.imports.find(result_key(keyword, inputs), console, cancellation)
        for record, below in keys if step is None else ():
            step = step or self.imports.find_keyed(record, below, console, cancellation)
        return step

    def note_key(self, record: KeyRecord, layers: tuple[Digest, ...]) -> None:
        """Note that the step with this key of BuildKit's has files in these layers."""
        with self._guard:
            self._steps[record.identity] = CachedKey(record, layers)

    def steps(self) -> tuple[CachedStep | CachedKey, ...]:
        """Return the steps of this build that other engines can use: those that ran, and those that were found.

        They are in the order of their keys, so that a cache has the same bytes whichever stage was built first.
        """
        with self._guard:
            return tuple(self._steps[key] for key in sorted(self._steps))

    def _local(self, step: Step, keyword: str) -> Image | None:
        with self.store.read() as tx:
            raw = tx.get(BUCKET, step.key)
        if raw is None:
            return None
        id, _, result = raw.decode().partition(" ")
        if result:
            self._use(result)
        image = self.images.find(Digest.parse(id))
        if image is not None and result:
            self._note(keyword, result, step, image)
        return image

    def _use(self, key: str) -> None:
        with self._guard:
            self._used.add(key)

    def _note(self, keyword: str, key: str, step: Step, image: Image) -> None:
        if keyword in FILE_STEPS:
            cached = CachedStep(key, _layer_of(step, image), image.config.created or "")
            with self._guard:
                self._steps[key] = cached

    def remember(self, step: Step, image: Image, place: StepPlace | None = None, inputs: Inputs | None = None) -> None:
        """Record `image` as the result of `step`, and of the inputs of its files where they are given."""
        layer = str(_layer_of(step, image) or "")
        text = str(image.id)
        with self.store.transaction() as tx:
            if place is not None and inputs is not None:
                key = result_key(place.keyword, inputs)
                write_record(tx, key, place, inputs, text, layer)
                text = f"{text} {key}"
                self._note(place.keyword, key, step, image)
            tx.put(BUCKET, step.key, text.encode())
        with self._guard:
            self._written = True

    def remember_base(self, image: Image, place: StepPlace, inputs: Inputs) -> None:
        """Record the image that a FROM began with."""
        with self.store.transaction() as tx:
            write_record(tx, result_key(place.keyword, inputs), place, inputs, str(image.id), "")
        with self._guard:
            self._written = True

    def settle(self) -> None:
        """Note at the end of a build which records it used, and keep their number in bounds."""
        with self._guard:
            used, written = self._used, self._written
            self._used, self._written = set(), False
        if used or written:
            touch_records(self.store, used)

    def _from_sources(self, step: Step, keyword: str) -> Image | None:
        """Return the image of `step` in a source whose history and layers begin with the parent's: Docker's rule."""
        local = self._local(step, keyword)
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


def _layer_of(step: Step, image: Image) -> Digest | None:
    """Return the diff-id of what the step added to its parent; None where it changed no file."""
    below = step.parent.config.diff_ids if step.parent else ()
    return image.config.diff_ids[-1] if image.config.diff_ids != below else None


def _begins(image: ImageConfig, parent: ImageConfig) -> bool:
    """Return whether `image` was built on `parent`: same steps, same layers, and possibly more of both."""
    steps = [(entry.created_by, entry.empty_layer) for entry in parent.history]
    return [(entry.created_by, entry.empty_layer) for entry in image.history[: len(steps)]] == steps and image.diff_ids[
        : len(parent.diff_ids)
    ] == parent.diff_ids


def forget_lost(store: Store) -> int:
    """Drop the records whose image is gone, and all records of copies. Return how many steps were forgotten."""
    with store.transaction() as tx:
        lost_keys = [key for key, raw in tx.items(BUCKET) if tx.get(IMAGES, raw.decode().partition(" ")[0]) is None]
        for key in lost_keys:
            tx.delete(BUCKET, key)
        for key, _ in tx.items(COPIES):
            tx.delete(COPIES, key)
        forget_lost_records(tx)
        for image, _ in tx.items(FINAL):
            if tx.get(IMAGES, image) is None:
                tx.delete(FINAL, image)
    return len(lost_keys)
