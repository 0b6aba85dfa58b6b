"""The layer explorer `dive` opens images straight from lamina's daemon, as it does from Docker's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamina
from support.daemons import Daemon, lamina_daemon

DIVE = shutil.which("dive", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.skipif(DIVE is None, reason="dive is not installed")]

DOCKERFILE = "FROM base\nRUN mkdir /d && echo one > /d/a && echo two > /d/b\nRUN rm /d/a\nCOPY Dockerfile /\n"
WASTEFUL = """\
FROM base
RUN mkdir -p /d/sub && head -c 30000 /bin/busybox > /d/a && cp /d/a /d/sub/b && ln /d/a /d/c && ln -s a /d/link
RUN head -c 20000 /bin/busybox > /d/a && chmod 755 /d/sub/b
RUN rm -r /d/sub && mkdir -p /e && echo 1 > /e/f
RUN rm -r /e /d/link && mkdir /e && echo 22 > /e/f
COPY Dockerfile /d/a
"""


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as running:
        running.docker("import", str(busybox_tar), "base")
        yield running


def dives_report(daemon: Daemon, dockerfile: str, folder: Path) -> dict[str, Any]:
    """What dive says of the image that a Dockerfile makes, under the name x."""
    assert DIVE is not None
    (folder / "Dockerfile").write_text(dockerfile)
    report = folder.parent / f"{folder.name}.json"
    daemon.docker("build", "--network", "none", "-t", "x", str(folder))
    done = subprocess.run(
        [DIVE, "x", "--json", str(report)],
        env={**os.environ, "DOCKER_HOST": daemon.host},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def test_dive_sees_every_layer_and_what_was_wasted(daemon: Daemon, tmp_path: Path) -> None:
    found = dives_report(daemon, DOCKERFILE, tmp_path)
    paths = [{file["path"] for file in layer["fileList"]} for layer in found["layer"]]
    assert len(paths) == 4
    assert "bin/busybox" in paths[0]
    assert {"d/a", "d/b"} <= paths[1]
    assert "Dockerfile" in paths[3]
    assert found["layer"][3]["command"].startswith("COPY") or "COPY" in found["layer"][3]["command"]
    assert [waste["file"] for waste in found["image"]["fileReference"]] == ["/d/a"]


def test_lamina_counts_as_dive_does(daemon: Daemon, tmp_path: Path) -> None:
    dives = dives_report(daemon, WASTEFUL, tmp_path)["image"]
    with lamina.connect(daemon.host) as client:
        ours = client.explorer.report("x").efficiency
    assert ours.score == pytest.approx(dives["efficiencyScore"])
    assert ours.wasted == dives["inefficientBytes"]
