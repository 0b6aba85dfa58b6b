"""The pages for users are true: their commands run, and their tables list what the code has."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from lamina.daemon.config import Options
from lamina.errors import OUTCOMES
from lamina.registry import config as registry
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA, engine_with_base

DOCS = Path(__file__).parents[2] / "docs"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def first_columns(page: str) -> list[str]:
    """Return the names that stand in backquotes in the first column of the page's tables."""
    return re.findall(r"^\| `([^`]+)` \|", (DOCS / page).read_text(), re.MULTILINE)


def test_every_key_of_daemon_json_is_explained() -> None:
    keys = [field.encode_name for field in msgspec.structs.fields(Options)]
    assert sorted(first_columns("daemon-json.md")) == sorted(keys)


def _settings_of_the_registry(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Yield the keys of a part of registry.toml, those of its own parts after a dot."""
    for field in msgspec.structs.fields(kind):
        yield prefix + field.encode_name
        for part in (field.type, *get_args(field.type)):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                yield from _settings_of_the_registry(part, f"{prefix}{field.encode_name}.")


def test_every_key_of_the_registry_is_explained() -> None:
    assert sorted(first_columns("registry-toml.md")) == sorted(_settings_of_the_registry(registry.Config))


def test_the_examples_of_a_registry_are_settings(tmp_path: Path) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```", (DOCS / "registry.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(examples) == 5
    for number, text in enumerate(examples):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        assert registry.load(file) != registry.Config()


def test_the_example_of_daemon_json_is_one() -> None:
    example = re.search(r"^```json\n(.*?)^```", (DOCS / "daemon-json.md").read_text(), re.DOTALL | re.MULTILINE)
    assert example is not None
    options = msgspec.json.decode(example[1], type=Options)
    assert options.data_root == "/srv/lamina"
    assert options.default_ulimits["nofile"].hard == 4096


def test_every_kind_of_error_is_explained_with_its_status_and_exit_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| ", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    codes = {kind.__name__: (outcome.http_status, outcome.exit_code) for kind, outcome in OUTCOMES.items()}
    assert {kind: (int(status), int(code)) for kind, status, code in rows} == codes


def commands_of(text: str) -> list[str]:
    """Return the commands of the console examples in `text`."""
    return [line.removeprefix("$ ") for block in CONSOLE.findall(text) for line in block.splitlines()]


def environment_of(daemon: Daemon, folder: Path) -> dict[str, str]:
    """Return variables with which `lamina` is this checkout's program and speaks with `daemon`."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "lamina").write_text(f'#!/bin/sh\nexec {shlex.join(LAMINA)} "$@"\n')
    (programs / "lamina").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LAMINA_HOST": daemon.host, "DOCKER_CONFIG": str(folder)}


@pytest.mark.root
def test_a_container_and_its_monitor_are_where_newcomers_are_told_to_look(busybox_tar: Path, tmp_path: Path) -> None:
    page = (DOCS / "development.md").read_text()
    commands = commands_of(page.partition("\n## Debug a container or its monitor\n")[2].partition("\n## ")[0])
    assert len(commands) == 4
    with engine_with_base("lamina", busybox_tar) as daemon:
        script = "\n".join(("set -eu", *commands)).replace(".venv/bin/lamina", "lamina")
        script = script.replace("/tmp/dev-run/", f"{daemon.folder}/e/").replace("/tmp/dev/", f"{daemon.folder}/d/")
        done = subprocess.run(
            ["bash", "-c", script], env=environment_of(daemon, tmp_path), capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    spec, end = json.JSONDecoder().raw_decode(done.stdout)
    monitor = done.stdout[end:]
    assert spec["process"]["args"] == ["sleep", "1000"]
    assert "lamina.runtime.monitor.server" in monitor
    assert f"{daemon.folder}/e/tasks" in monitor


@pytest.mark.root
def test_the_first_steps_run(tmp_path: Path) -> None:
    page = (DOCS / "getting-started.md").read_text()
    commands = commands_of(page)
    assert len(commands) > 15
    work = tmp_path / "work"
    work.mkdir()
    with lamina_daemon() as daemon:
        environment = environment_of(daemon, tmp_path)
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command], cwd=work, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
