"""A gallery of images, an explorer that looks into them, and a registry for images that are elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.explorer.explorer import Explorer
from support.gallery import Gallery, open_gallery
from support.registry_fixtures import raw, registry, start

__all__ = ["explorer", "gallery", "raw", "registry", "start"]


@pytest.fixture
def gallery(data_root: Path) -> Iterator[Gallery]:
    with open_gallery(data_root) as opened:
        yield opened


@pytest.fixture
def explorer(gallery: Gallery) -> Explorer:
    return Explorer(gallery.images)
