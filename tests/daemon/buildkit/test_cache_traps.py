"""The cache as Docker's BuildKit client sees it judges as the classic one does.

CI tries some of the traps. LAMINA_ALL_TRAPS=1 tries all of them; tests/builder/test_cache_traps.py always does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.buildkit import build_with_docker
from support.cache_traps import FILES, RUN_TRAPS, TRAPS, Trap, expected_to_run, steps_run
from support.context import write_context
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA

pytestmark = [pytest.mark.root, pytest.mark.peer]
ALL = (*TRAPS, *RUN_TRAPS)
CHOSEN = {
    "times",
    "mode",
    "same size and time, other bytes",
    "ignored file",
    "changed base below --link",
    "renamed stage",
}
CHOSEN |= {"argument that no ARG declares", "argument declared before the RUN", "file behind a bind", "base of a RUN"}
TRIED = [trap for trap in ALL if trap.name in CHOSEN or os.environ.get("LAMINA_ALL_TRAPS")]


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        subprocess.run([*LAMINA, "--host", daemon.host, "import", str(busybox_tar), "busybox"], check=True)
        yield daemon


def built(daemon: Daemon, folder: Path, trap: Trap, number: int) -> str:
    (folder / "Dockerfile").write_text(trap.base_file(number))
    build_with_docker(daemon, "-t", "trap-base", str(folder))
    (folder / "Dockerfile").write_text(trap.dockerfile(number))
    arguments = [word for item in trap.arguments[number].items() for word in ("--build-arg", "=".join(item))]
    return build_with_docker(daemon, "-t", "trap", *arguments, str(folder)).stderr.decode()


@pytest.mark.parametrize("trap", TRIED, ids=lambda trap: trap.name)
def test_the_cache_judges_right(daemon: Daemon, tmp_path: Path, trap: Trap) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    write_context(folder, FILES)
    built(daemon, folder, trap, 0)
    if trap.change is not None:
        trap.change(folder)
    assert steps_run(trap, built(daemon, folder, trap, 1)) == expected_to_run(trap)
