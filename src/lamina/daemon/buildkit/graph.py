"""Build graphs, as far as they are understood: one image that an earlier part of a build made or a client names.

Rule: moby/buildkit, solver/pb/ops.proto. A graph is a list of operations, each named by its digest. The last one only
points at the result. What we give out as the graph of a result is that image by its ID.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from lamina.daemon.buildkit.messages.control import Definition, Platform
from lamina.daemon.buildkit.protobuf import Message
from lamina.errors import Unsupported
from lamina.images.image import Image

_OURS = "docker-image://lamina.result/"


class Input(Message, frozen=True):
    """One output of an operation."""

    digest: Annotated[str, 1] = ""
    index: Annotated[int, 2] = 0


class SourceOperation(Message, frozen=True):
    """Something that comes from outside, by its address."""

    identifier: Annotated[str, 1] = ""


class Operation(Message, frozen=True):
    """A node of the graph, if it is a source or the end."""

    inputs: Annotated[tuple[Input, ...], 1] = ()
    source: Annotated[SourceOperation | None, 3] = None
    platform: Annotated[Platform | None, 10] = None


def definition_of(image: Image) -> Definition:
    """Return the graph that stands for an image of this engine."""
    platform = Platform(image.platform.architecture, image.platform.os, image.platform.variant)
    name = f"{_OURS}image@{image.id}"
    source = Operation(source=SourceOperation(name), platform=platform).encode()
    digest = _digest(source)
    end = Operation((Input(digest),)).encode()
    return Definition((source, end), {digest: b"", _digest(end): b""})


def _digest(operation: bytes) -> str:
    return f"sha256:{hashlib.sha256(operation).hexdigest()}"


def address_of(definition: Definition) -> str:
    """Return the ID of the image that a graph of ours stands for, or the address of its only source.

    Raise Unsupported for a graph that does more.
    """
    operations = [Operation.decode(raw) for raw in definition.operations]
    sources = [operation.source for operation in operations if operation.source is not None]
    if len(operations) > 2 or len(sources) != 1:
        raise Unsupported("this daemon does not solve build graphs, only Dockerfiles")
    identifier = sources[0].identifier
    return identifier.rpartition("@")[2] if identifier.startswith(_OURS) else identifier
