"""An engine's images without the engine: a store, an event bus, and quick ways to make images."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lamina.events import EventBus
from lamina.formats.config import History, ImageConfig, RunConfig
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.images.image import Image, ImageUser
from lamina.images.images import Images
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import ingest
from lamina.store.store import Store
from support.tars import tar

Files = Mapping[str, bytes]


@dataclass
class Gallery:
    """Images in a store of their own."""

    store: Store
    images: Images
    bus: EventBus
    users: dict[Digest, list[ImageUser]]  # what containers each image has

    def layer(self, files: Files) -> Layer:
        with self.store.layers.create() as work:
            return work.commit(ingest(io.BytesIO(tar(files)), work.tar, work.index))

    def image(
        self,
        *layers: Files,
        names: Sequence[str] = (),
        parent: Image | None = None,
        created: str | None = "2024-05-06T07:08:09Z",
        labels: Mapping[str, str] | None = None,
        author: str = "",
    ) -> Image:
        """An image with these layers on top of those of `parent`, one step of history for each."""
        with self.store.lease():
            made = [self.layer(files) for files in layers]
            steps = [History(created, f"STEP {n}") for n, _ in enumerate(layers)]
            config = ImageConfig.build(
                config=RunConfig(labels=dict(labels or {}), cmd=("/bin/sh",)),
                diff_ids=[*(parent.config.diff_ids if parent else ()), *(layer.diff_id for layer in made)],
                history=[
                    *(parent.config.history if parent else ()),
                    *(steps or [History(created, "NOTHING", empty_layer=True)]),
                ],
                created=created,
                author=author,
            )
            references = [Reference.parse(name).with_default_tag() for name in names]
            return self.images.create(config, references=references, parent=parent.id if parent else None)

    def names(self, all_images: bool = False, **filters: Sequence[str]) -> list[str]:
        """The first tags of the images that a list shows, `<none>` for those without."""
        listed = self.images.list(all=all_images, filters=filters)
        return [item.references[0].familiar() if item.references else "<none>" for item in listed]

    def events(self) -> list[tuple[str, str, str]]:
        """What was told so far: action, ID's beginning, name."""
        past = self.bus.past(0, 2**62)
        return [(event.action, event.actor_id[7:19], event.attributes.get("name", "")) for event in past]

    def content(self) -> set[Digest]:
        """Every blob and layer in the store."""
        folders = [self.store.root / kind / "sha256" for kind in ("blobs", "layers")]
        return {Digest("sha256", path.stem) for folder in folders for path in folder.iterdir()}


@contextmanager
def open_gallery(root: Path) -> Iterator[Gallery]:
    """The gallery below `root`, new or as it was left."""
    with Store.open(root) as store:
        bus = EventBus()
        users: dict[Digest, list[ImageUser]] = {}
        images = Images(store, bus, lambda image_id: users.get(image_id, ()))
        yield Gallery(store, images, bus, users)
