"""An image that is looked into: its config, its layers with what made them, and its files at each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from lamina.api.explorer import FileState, LayerSummary
from lamina.api.explorer_findings import ImageSources, LayerSource
from lamina.formats.config import History, ImageConfig
from lamina.images.image import Image
from lamina.layers.entry import Entry
from lamina.layers.index.tree import LayerTree
from lamina.layers.tree import Tree
from lamina.layers.union import UnionTree


@dataclass(frozen=True, slots=True)
class OpenImage:
    """The layers of an image, the bottom one first, each with its own tree, which has its deletions as whiteouts.

    A container is looked at as the image that a commit of it would make.
    """

    config: ImageConfig
    sources: ImageSources
    layers: tuple[LayerSummary, ...]
    trees: tuple[Tree, ...]
    tags: tuple[str, ...] = ()
    _stacks: dict[int, UnionTree] = field(default_factory=dict)  # those that were asked for, with what they remember

    def files(self, layer: int) -> UnionTree:
        """Return the files of the layers up to `layer`; -1 stands for no layer, and gives an empty tree."""
        if layer not in self._stacks:
            self._stacks[layer] = UnionTree(self.trees[: layer + 1])
        return self._stacks[layer]

    @property
    def id(self) -> str:
        """Return the digest of the config."""
        return self.sources.id

    @property
    def merged(self) -> UnionTree:
        """Return the files as a container sees them."""
        return self.files(len(self.trees) - 1)


@contextmanager
def open_image(image: Image) -> Iterator[OpenImage]:
    """Open an image's layers for the block. The caller keeps them from being removed. Raise Corrupt, OSError."""
    with ExitStack() as closing:
        trees = [closing.enter_context(LayerTree.open(layer.index, layer.tar)) for layer in image.layers]
        yield OpenImage(image.config, local_sources(image), summaries(image), tuple(trees), image.tags)


def local_sources(image: Image) -> ImageSources:
    """Return that all layers of an image are here."""
    layers = [LayerSource(digest=str(layer.diff_id), size=layer.size, read_from="disk") for layer in image.layers]
    return ImageSources(reference=str(image.id), id=str(image.id), layers=tuple(layers))


def summaries(image: Image) -> tuple[LayerSummary, ...]:
    """Return the layers with the steps of the history that made them, which say nothing where they do not fit."""
    return layer_summaries(image.config, image.layer_sizes)


def layer_summaries(config: ImageConfig, sizes: Sequence[int], names: Sequence[str] = ()) -> tuple[LayerSummary, ...]:
    """Return the layers of a config; `sizes` are the bytes of the files in each, `names` stand for their diff-ids."""
    steps: Sequence[History | None] = [step for step in config.history if not step.empty_layer]
    if len(steps) != len(config.diff_ids):
        steps = [None] * len(config.diff_ids)
    return tuple(
        LayerSummary(
            number=number,
            diff_id=names[number] if names else str(diff_id),
            created_by=step.created_by if step else "",
            created=(step.created or "") if step else "",
            size=size,
        )
        for number, (diff_id, size, step) in enumerate(zip(config.diff_ids, sizes, steps, strict=True))
    )


def state_of(entry: Entry) -> FileState:
    """Return what a list shows of a file."""
    return FileState(
        type=entry.type.value,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        target=entry.target,
    )
