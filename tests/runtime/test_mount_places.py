"""Places that something is mounted on, made where they are missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.runtime.mount_places import open_place


@pytest.mark.parametrize("is_directory", [True, False])
def test_another_container_may_make_a_place_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_directory: bool
) -> None:
    """Two steps that share a cache mount in another cache."""

    real: Callable[..., Any] = os.mkdir if is_directory else os.open

    def beaten(name: str, *arguments: Any, **words: Any) -> Any:
        if name == "place" and (is_directory or arguments[0] & os.O_CREAT):
            real(name, *arguments, **words)  # the other container
        return real(name, *arguments, **words)

    monkeypatch.setattr(os, real.__name__, beaten)
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        place = open_place(root, "/place", is_directory)
        assert os.path.samestat(os.fstat(place), os.stat(tmp_path / "place"))
        os.close(place)
    finally:
        os.close(root)
