"""One engine over one data root: who may open it, what opens with it, and what it forgets."""

from __future__ import annotations

import functools
import http.server
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.api.containers import Config, HostConfig, NetworkingConfig
from lamina.builder.cache.step_cache import BUCKET
from lamina.engine import Engine
from lamina.errors import Conflict, InvalidInput, NotFound, Unavailable
from lamina.progress import Message


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


def test_a_registry_that_cannot_be_reached_is_told_with_the_image(engine: Engine, context: Path) -> None:
    name = "localhost:1/job:v1"
    with pytest.raises(Unavailable, match=f"^cannot pull {name}: "):
        engine.registries.pull(name)
    with pytest.raises(Unavailable, match=f"^cannot inspect {name}: "):
        engine.registries.inspect(name)
    engine.builds.build(context, BuildRequest(tags=(name,)))
    with pytest.raises(Unavailable, match=f"^cannot push {name}: "):
        engine.registries.push(name)
    (context / "Dockerfile").write_text("FROM localhost:1/job:v2\n")
    with pytest.raises(Unavailable, match=r"cannot pull localhost:1/job:v2: ") as caught:
        engine.builds.build(context)
    assert "Did you mean localhost:1/job:v1?" in str(caught.value)
    assert "Dockerfile line 1" in str(caught.value)


@pytest.mark.root
def test_a_closed_engine_leaves_no_folder_of_its_own_below_run(tmp_path: Path, busybox_tar: Path) -> None:
    with Engine(tmp_path / "data") as engine:
        with busybox_tar.open("rb") as tar:
            engine.images.import_tar(tar, "base")
        host = HostConfig(network_mode="none")
        config = Config(image="base", cmd=("true",))
        container = engine.containers.create(None, config, host, NetworkingConfig())
        engine.containers.start(container.id)
        assert engine.containers.wait(container.id, timeout=30).exit_code == 0
        assert list(engine.exec_root.iterdir())
    assert not engine.exec_root.exists()


def test_work_on_images_makes_no_mount_and_nothing_below_run(engine: Engine, context: Path) -> None:
    engine.builds.build(context, BuildRequest(tags=("app",)))
    assert engine.images.get("app").config.config.env[-1] == "A=b"
    assert not engine.exec_root.exists()
    assert not (engine.root / "snapshots").exists()


def test_pruning_the_cache_forgets_steps_whose_image_is_gone(engine: Engine, context: Path) -> None:
    engine.builds.build(context, BuildRequest(tags=("app",)))
    assert remembered_steps(engine) == 2
    engine.builds.prune()
    assert remembered_steps(engine) == 2

    engine.images.remove("app")
    engine.builds.prune()

    assert remembered_steps(engine) == 0


def test_what_is_not_here_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound):
        engine.images.get("app")


def test_an_import_from_an_address(engine: Engine, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "root.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, ThreadPoolExecutor(1) as threads:
        threads.submit(server.serve_forever)
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}"
            image = engine.registries.import_url(f"{address}/root.tar.gz", "fetched:1")
            assert image.comment == f"Imported from {address}/root.tar.gz"
            host = address.removeprefix("http://")
            assert engine.registries.import_url(f"{host}/root.tar.gz").comment == image.comment
            lines: list[Message] = []
            with pytest.raises(NotFound, match=rf"cannot fetch {address}/none: status 404"):
                engine.registries.import_url(f"{host}/none", report=lines.append)
            assert lines == []  # or the daemon had to tell the error in the stream
            with pytest.raises(InvalidInput):
                engine.registries.import_url("%2Fdata%2Ffile.tar")
        finally:
            server.shutdown()


def test_a_start_removes_what_dead_builds_left(engine: Engine) -> None:
    """Clones of repositories and the like; the folder of a RUN step stays until its container has been ended."""
    for name in ("git-clone/.git", "build-step"):
        (engine.root / "temporary" / name).mkdir(parents=True)
    engine.close()
    with Engine(engine.root, engine.exec_root) as again:
        assert [path.name for path in (again.root / "temporary").iterdir()] == ["build-step"]


@pytest.mark.root
def test_volumes_of_containers_are_in_use_before_the_containers_are_opened(engine: Engine, context: Path) -> None:
    image = engine.builds.build(context).image
    host = HostConfig(network_mode="none", binds=("data:/data",))
    config = Config(image=str(image.id), cmd=("none",))
    id = engine.containers.create(None, config, host, NetworkingConfig()).id
    engine.close()
    with Engine(engine.root, engine.exec_root) as again:
        with pytest.raises(Conflict, match=id):
            again.volumes.remove("data", force=True)
        assert again.volumes.prune({"all": ["true"]}) == ((), 0)
        again.containers.remove(id)
        again.volumes.remove("data")
