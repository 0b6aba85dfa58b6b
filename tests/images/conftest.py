"""A gallery of images over a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gallery import Gallery, open_gallery


@pytest.fixture
def gallery(data_root: Path) -> Iterator[Gallery]:
    with open_gallery(data_root) as opened:
        yield opened


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Gallery]:
    """A second one, to move images to."""
    with open_gallery(tmp_path / "other") as opened:
        yield opened
