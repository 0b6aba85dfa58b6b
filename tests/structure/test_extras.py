"""An install without extras, as `pip install lamina` makes it, serves everything but the registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from support.daemons import Daemon
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORT_ALL = """
import importlib, pkgutil, lamina
for module in pkgutil.walk_packages(lamina.__path__, "lamina."):
    if module.name != "lamina.__main__" and not module.name.startswith(("lamina.registry", "lamina.cli.explorer")):
        importlib.import_module(module.name)
"""


def closure(requirements: list[str]) -> Iterator[str]:
    """Names of the packages that these requirements bring, and what those need, but for extras."""
    waiting, seen = list(requirements), set()
    while waiting:
        text = waiting.pop()
        name = re.split(r"[\s<>=~!;\[(]", text)[0].lower()
        if name in seen or "extra ==" in text or (";" in text and not _is_installed(name)):
            continue
        seen.add(name)
        yield name
        waiting += distribution(name).requires or []


def _is_installed(name: str) -> bool:
    try:
        return bool(distribution(name))
    except ImportError:
        return False


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an interpreter that has the packages without extras and no others."""
    folder = tmp_path_factory.mktemp("site")
    for name in closure(PROJECT["dependencies"]):
        site = Path(str(distribution(name).locate_file("")))
        for place in {file.parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}:
            if not (folder / place).exists():
                (folder / place).symlink_to(site / place)
    return os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{folder}"}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter that sees nothing of this one's packages (-S)."""
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_everything_but_the_registry_can_be_imported(light: dict[str, str]) -> None:
    assert run(light, "-c", IMPORT_ALL).stderr == ""


def test_the_registry_says_which_extra_to_install(light: dict[str, str]) -> None:
    done = run(light, "-c", "import lamina.registry")
    sentence = "is missing: install the registry with `pip install 'lamina[registry]'`"
    assert done.stderr.splitlines()[-1].endswith(sentence)
    for verb in ("serve", "gc", "ls", "verify", "retain", "undelete"):
        operands = ["a", f"sha256:{0:064}"] if verb == "undelete" else []
        done = run(light, "-m", "lamina", "registry", verb, "--root", "/nonexistent", *operands)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert done.stderr.startswith("lamina: ")
        assert done.stderr.strip().endswith(sentence)


@pytest.mark.root
def test_an_engine_without_extras_builds_runs_pushes_and_pulls(
    light: dict[str, str], registry: Running, busybox_tar: Path, tmp_path: Path
) -> None:
    socket, name = tmp_path / "s", f"{registry.address}/team/app:1"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nADD base.tar /\nRUN echo built > /made\nCMD cat /made\n")
    (tmp_path / "base.tar").write_bytes(busybox_tar.read_bytes())
    command = [sys.executable, "-S", "-m", "lamina", "daemon", "--host", f"unix://{socket}"]
    command += ["--data-root", str(tmp_path / "root"), "--exec-root", str(tmp_path / "run")]
    daemon = Daemon(tmp_path, socket, command, light)

    def lamina(*arguments: str) -> str:
        done = run(light, "-m", "lamina", "--host", daemon.host, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    daemon.start()
    try:
        lamina("build", "--network", "none", "-t", name, str(tmp_path))
        lamina("push", name)
        copied = lamina("registry", "copy", name, f"{registry.address}/copied:1")
        lamina("rmi", name)
        lamina("pull", f"{registry.address}/copied:1")
        assert lamina("run", "--rm", "--network", "none", f"{registry.address}/copied:1") == "built\n"
        assert copied.startswith("sha256:")
    finally:
        daemon.stop()
