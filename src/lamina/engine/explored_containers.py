"""A container as the explorer looks at it: its image's layers, and what it changed as the topmost one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from lamina.api.explorer import LayerSummary
from lamina.api.explorer_findings import ImageSources, LayerSource
from lamina.cancellation import Cancellation
from lamina.containers.catalog import Catalog
from lamina.credentials import Credentials
from lamina.errors import LaminaError
from lamina.explorer.opened import OpenImage, layer_summaries
from lamina.formats.config import ImageConfig, RunConfig
from lamina.formats.platform import Platform
from lamina.images.images import Images
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import Tree
from lamina.snapshots.directory import DirectoryTree
from lamina.snapshots.driver import Driver, Snapshot


class ContainerOpener:
    """Open containers for the explorer. A running one goes on meanwhile, and what it writes may show or not."""

    def __init__(
        self, catalog: Callable[[], Catalog], images: Images, snapshots: Callable[[], Driver], temporary: Path
    ):
        self._catalog = catalog
        self._images = images
        self._snapshots = snapshots
        self._temporary = temporary

    @contextmanager
    def __call__(
        self, name: str, credentials: Mapping[str, Credentials], cancellation: Cancellation
    ) -> Iterator[OpenImage]:
        container = self._catalog().get(name)
        record = container.record
        snapshot = self._snapshots().get(record.id)
        with container.still_there(name), ExitStack() as closing, self._images.store.lease() as lease:
            for layer in snapshot.layers:
                lease.add(layer.diff_id)
            config, sizes = self._base(record.image, snapshot, Platform.parse(record.platform or "linux"))
            layers = layer_summaries(config, sizes)
            # The layers behind those of the image hold what every container gets: its mount points.
            below = snapshot.layers[: len(layers)]
            trees: list[Tree] = [closing.enter_context(LayerTree.open(layer.index, layer.tar)) for layer in below]
            changes = LayerSummary(
                number=len(layers),
                diff_id=f"container:{record.id}",
                created_by=f"changes of the container {record.name}",
                created=record.created,
                size=snapshot.usage(),
            )
            trees.append(closing.enter_context(self._changes(snapshot, cancellation)))
            run_config = _run_config(record.config)
            yield OpenImage(
                dataclasses.replace(config, config=run_config),
                _sources(record.id, below),
                (*layers, changes),
                tuple(trees),
                (record.name,),
            )

    def _base(self, image_id: str, snapshot: Snapshot, platform: Platform) -> tuple[ImageConfig, tuple[int, ...]]:
        """Return the config of the container's image, or of one like it where that is gone, and its layers' sizes."""
        try:
            image = self._images.get(image_id)
        except LaminaError:
            layers = snapshot.layers
            config = ImageConfig.build(
                config=RunConfig(), diff_ids=[layer.diff_id for layer in layers], platform=platform
            )
            return config, tuple(layer.size for layer in layers)
        return image.config, image.layer_sizes

    @contextmanager
    def _changes(self, snapshot: Snapshot, cancellation: Cancellation) -> Iterator[Tree]:
        """Provide what the container changed: its upper directory, or a copy where the driver keeps none."""
        directories = snapshot.directories
        if directories.upper is not None and directories.work is not None:
            yield DirectoryTree(directories.upper, overlay=True)
            return
        self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._temporary, prefix="explorer-") as folder:
            tar, index = Path(folder, "changes.tar"), Path(folder, "changes.erofs")
            with LayerBuilder(tar, index, cancellation) as builder:
                snapshot.write_diff(builder)
                builder.finish()
            with LayerTree.open(index, tar) as tree:
                yield tree


def _run_config(config: RunConfig) -> RunConfig:
    """Return the part of a container's config that an image would have."""
    fields = {field.name: getattr(config, field.name) for field in msgspec.structs.fields(RunConfig)}
    return RunConfig(**fields | {"hostname": "", "domainname": "", "image": "", "mac_address": ""})


def _sources(container_id: str, below: Sequence[Layer]) -> ImageSources:
    layers = [LayerSource(digest=str(layer.diff_id), size=layer.size, read_from="disk") for layer in below]
    changes = LayerSource(digest=f"container:{container_id}", size=0, read_from="disk")
    return ImageSources(reference=f"container://{container_id}", id=container_id, layers=(*layers, changes))
