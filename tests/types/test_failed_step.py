"""The error of a failed command, by an engine and by a client: its files, a shell in them, another try."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import lamina
from lamina.types import BuildRequest, HostConfig, Library, NotFound, StepFailed
from support.daemons import lamina_daemon

pytestmark = pytest.mark.root
DOCKERFILE = """FROM base
ENV A=1
RUN --mount=type=bind,target=/context echo half > /half; grep -q done /context/note
"""
REQUEST = BuildRequest(keep_failed=True, network="none")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "note").write_text("begun")
    return folder


def failure_of(library: Library, context: Path) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        library.builds.build(str(context), REQUEST)
    return caught.value


def test_one_can_look_and_try_again(library: Library, context: Path) -> None:
    with failure_of(library, context) as failure:
        assert (failure.facts["exit_code"], failure.facts["line"]) == (1, 3)
        assert failure.files.read("/half") == b"half\n"
        assert "half" in [file.name for file in failure.files.list("/")]
        done = failure.shell("cat /half; echo $A; exit 3", host_config=HostConfig(network_mode="none"))
        assert (done.exit_code, done.stdout) == (3, b"half\n1\n")
        assert failure.shell("cat", stdin=b"typed").stdout == b"typed"
        (context / "note").write_text("done")
        built = failure.retry().image
        assert built.run_config.env[-1] == "A=1"
        with pytest.raises(NotFound):
            library.images.get(failure.image)
    assert library.containers.list(all=True) == []


def test_nothing_is_left_when_the_error_is_dropped(library: Library, context: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        try:
            library.builds.build(str(context), REQUEST)
        except StepFailed as failure:
            image = failure.image
            assert library.images.get(image).tags == ()
    finally:
        gc.enable()
    with pytest.raises(NotFound):
        library.images.get(image)


def test_the_next_start_removes_what_a_crash_left(context: Path, busybox_tar: Path) -> None:
    with lamina_daemon() as daemon:
        images = []
        with lamina.connect(daemon.host) as client:
            with busybox_tar.open("rb") as source:
                client.images.import_tar(source, "base")
            failures = [failure_of(client, context)]
            (context / "Dockerfile").write_text(DOCKERFILE.replace("A=1", "A=2"))
            failures.append(failure_of(client, context))
            images = [failure.image for failure in failures]
            client.images.tag(images[1], "named")
            daemon.kill()
        daemon.start()
        with lamina.connect(daemon.host) as client:
            with pytest.raises(NotFound):
                client.images.get(images[0])
            assert client.images.get("named").id == images[1]
