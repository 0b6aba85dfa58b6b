"""`docker system prune --all --volumes`: the data root of an engine that did everything is that of a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import traces
from support.daemons import Daemon, lamina_daemon

pytestmark = [pytest.mark.root, pytest.mark.peer]

DOCKERFILE = """\
FROM base AS first
RUN --mount=type=cache,target=/cache echo kept > /cache/kept; echo made > /made
FROM base
COPY --from=first /made /copied
COPY . /context
VOLUME /data
"""


@pytest.fixture(params=["erofs", "overlay"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with lamina_daemon(driver=request.param) as daemon:
        yield daemon


def use(daemon: Daemon, folder: Path, base: Path) -> None:
    """Leave what each verb leaves: images with and without a name, containers, volumes, networks, caches."""
    (folder / "Dockerfile").write_text(DOCKERFILE)
    daemon.docker("import", "-c", "ENV PATH=/bin:/sbin", str(base), "base")
    for _ in range(2):  # the first becomes an image without a name
        daemon.docker("build", "--network", "none", "-t", "app", str(folder))
        (folder / "more").write_text("more")
    archive = daemon.docker("save", "app").stdout
    mounts = ("-v", "named:/named")
    daemon.docker("run", "--name", "ended", "--network", "none", *mounts, "app", "touch", "/new", "/data/new")
    daemon.docker("run", "--rm", "--network", "none", "app", "true")
    daemon.docker("commit", "ended", "committed")
    daemon.docker("network", "create", "unused")
    daemon.docker("volume", "create", "labelled")
    daemon.docker("rmi", "-f", "committed")
    daemon.docker("load", stdin=archive)


def in_data_root(daemon: Daemon) -> set[str]:
    return {path for path in traces.everything(daemon.folder) if path.startswith("d/")}


def test_nothing_is_left(daemon: Daemon, busybox_tar: Path, tmp_path: Path) -> None:
    prune = ("system", "prune", "--all", "--volumes", "--force")
    daemon.docker("run", "--rm", "nothing", check=False)  # opens the rooms that open when they are needed
    daemon.docker(*prune)
    fresh, fresh_rows = in_data_root(daemon), traces.rows(daemon.folder)
    use(daemon, tmp_path, busybox_tar)
    assert in_data_root(daemon) - fresh
    daemon.docker(*prune)
    assert in_data_root(daemon) - fresh == set()
    assert traces.rows(daemon.folder) == fresh_rows
