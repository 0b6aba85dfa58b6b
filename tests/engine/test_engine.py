"""One engine over one data root: who may open it, what opens with it, and what it forgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.build.cache import BUCKET
from lamina.build.options import BuildOptions
from lamina.engine import Engine
from lamina.errors import Conflict, NotFound
from lamina.formats.reference import Reference


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data", tmp_path / "run") as engine:
        yield engine


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /file\nENV A=b\n")
    (folder / "file").write_text("text")
    return folder


def remembered_steps(engine: Engine) -> int:
    with engine.store.read() as view:
        return sum(1 for _ in view.items(BUCKET))


def test_a_data_root_has_one_engine(engine: Engine) -> None:
    with pytest.raises(Conflict):
        Engine(engine.root)


def test_a_closed_engine_lets_go_and_may_be_closed_again(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "data", tmp_path / "run")
    engine.close()
    engine.close()
    Engine(tmp_path / "data", tmp_path / "run").close()


def test_work_on_images_makes_no_mount_and_nothing_below_run(engine: Engine, context: Path) -> None:
    engine.build(context, BuildOptions(tags=(Reference.parse("app"),)))
    assert engine.images.get("app").config.config.env[-1] == "A=b"
    assert not engine.exec_root.exists()
    assert not (engine.root / "snapshots").exists()


def test_pruning_the_cache_forgets_steps_whose_image_is_gone(engine: Engine, context: Path) -> None:
    engine.build(context, BuildOptions(tags=(Reference.parse("app"),)))
    assert remembered_steps(engine) == 2
    engine.prune_build_cache()
    assert remembered_steps(engine) == 2

    engine.images.remove("app")
    engine.prune_build_cache()

    assert remembered_steps(engine) == 0


def test_what_is_not_here_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound):
        engine.images.get("app")
