"""The graph that stands for an image of this engine, so that a client can use a result as an input.

Rule: moby/buildkit, solver/pb/ops.proto. It is one source, the image by its ID, and the end that points at it.
"""

from __future__ import annotations

from lamina.daemon.buildkit.definition import digest_of
from lamina.daemon.buildkit.messages.control import Definition, Platform
from lamina.daemon.buildkit.messages.ops import Input, Op, SourceOp
from lamina.images.image import Image

_OURS = "lamina.result/image"


def definition_of(image: Image) -> Definition:
    """Return the graph that stands for an image of this engine."""
    platform = Platform(image.platform.architecture, image.platform.os, image.platform.variant)
    source = Op(source=SourceOp(f"docker-image://{_OURS}@{image.id}"), platform=platform).encode()
    digest = digest_of(source)
    end = Op((Input(digest),)).encode()
    return Definition((source, end), {digest: b"", digest_of(end): b""})


def own_image(name: str) -> str | None:
    """Return the ID of the image that the name of a source stands for in such a graph; None for other names."""
    repository, _, id = name.rpartition("@")
    return id if repository == _OURS else None
