"""Graphs that stand for an image of this engine, so that a client can use a result as an input, and for its files.

Rule: moby/buildkit, solver/pb/ops.proto. Each is one source, and the end that points at it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from lamina.daemon.buildkit.definition import RESULT, digest_of
from lamina.daemon.buildkit.messages.control import Definition, Platform
from lamina.daemon.buildkit.messages.ops import Input, Op, SourceOp
from lamina.images.image import Image


def definition_of(image: Image) -> Definition:
    """Return the graph that stands for an image of this engine."""
    own = image.platform
    platform = Platform(own.architecture, own.os, own.variant, own.os_version, own.os_features)
    source = Op(source=SourceOp(f"docker-image://{RESULT}@{image.id}"), platform=platform).encode()
    digest = digest_of(source)
    end = Op((Input(digest),)).encode()
    return Definition((source, end), {digest: b"", digest_of(end): b""})


def definition_of_folder(name: str, files: Sequence[str]) -> Definition:
    """Return the graph that stands for some files of a folder that the client offers."""
    attributes = {"local.followpaths": json.dumps(list(files))}
    source = Op(source=SourceOp(f"local://{name}", attributes)).encode()
    digest = digest_of(source)
    end = Op((Input(digest),)).encode()
    return Definition((source, end), {digest: b"", digest_of(end): b""})
