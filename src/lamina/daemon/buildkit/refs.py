"""The results of a build, as its client holds them: images that a frontend built, and edges of the client's graphs.

The files of an edge are made when somebody first needs them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from lamina.builder.export.files import files_of
from lamina.builder.export.result import PlatformImage
from lamina.builder.graph.vertex import Edge
from lamina.builder.ops.graph_build import GraphBuild
from lamina.builder.ops.image_config import config_of
from lamina.builder.ops.result import Result
from lamina.daemon.buildkit.graph import definition_of
from lamina.daemon.buildkit.messages.control import Definition
from lamina.formats.platform import Platform
from lamina.images.images import Images
from lamina.layers.tree import MemoryTree, Tree


class Ref(Protocol):
    """One result. Its methods block."""

    @property
    def definition(self) -> Definition:
        """Return the graph by which the result can be an input."""
        ...

    def tree(self) -> Tree:
        """Return its files. Raise what making them raises."""
        ...

    def image(self, config: bytes, platform: Platform | None) -> PlatformImage:
        """Return it as an image with the client's config; b"" for none. Raise as `tree`, InvalidInput."""
        ...


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image that a frontend built."""

    built: PlatformImage
    images: Images

    @property
    def definition(self) -> Definition:
        return definition_of(self.built.image)

    def tree(self) -> Tree:
        return files_of(self.built.image)

    def image(self, config: bytes, platform: Platform | None) -> PlatformImage:
        image = self.built.image
        if config not in (b"", image.config.raw):
            with self.images.held([image]):
                image = self.images.create(config_of(config, image.diff_ids, 0, platform), built=True)
        return replace(self.built, image=image, platform=platform or self.built.platform)


@dataclass(frozen=True, slots=True)
class GraphRef:
    """An output of a client's graph; without an edge an empty one."""

    edge: Edge | None
    definition: Definition
    build: GraphBuild
    images: Images

    def tree(self) -> Tree:
        return self.build.result(self.edge).tree if self.edge is not None else MemoryTree()

    def image(self, config: bytes, platform: Platform | None) -> PlatformImage:
        result = self.build.result(self.edge) if self.edge is not None else Result()
        platform = platform or (self.edge.vertex.platform if self.edge is not None else None)
        diff_ids = [layer.diff_id for layer in result.layers]
        image = self.images.create(config_of(config, diff_ids, result.time_ns, platform), built=True)
        return PlatformImage(image.platform.normalised(), image, cached=self.build.cached())
