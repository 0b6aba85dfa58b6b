"""`lamina build --check` and `--call`: what is printed, in which format, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.daemons import Daemon
from support.engines import Cli

pytestmark = pytest.mark.root
FILE = "# Main is what runs\nFROM base AS Main\n# V chooses\nARG V=1\nRUN --mount=type=secret,id=key true\nCMD run\n"


@pytest.fixture
def folder(tmp_path: Path, engine: Daemon) -> Path:
    if engine.command[0].endswith("dockerd"):
        pytest.skip("Docker's classic builder only builds")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/Dockerfile").write_text(FILE)
    return tmp_path / "c"


def test_a_check_prints_lines_and_fails_when_it_finds_something(lamina: Cli, folder: Path) -> None:
    done = lamina("build", "--check", str(folder), check=False)
    assert done.returncode == 1
    assert b"WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n" in done.stdout
    assert b"   2 | >>> FROM base AS Main\n" in done.stdout
    assert done.stdout.endswith(b"\nThe check found 2 warnings.\n")
    (folder / "Dockerfile").write_text("FROM base\n")
    assert lamina.text("build", "--check", str(folder)) == "\nThe check found no warnings.\n"
    (folder / "Dockerfile").write_text("FROM base\nNONSENSE\n")
    done = lamina("build", "--check", str(folder), check=False)
    assert (done.returncode, b"unknown instruction: NONSENSE" in done.stdout) == (1, True)


def test_a_check_writes_json_and_sarif(lamina: Cli, folder: Path) -> None:
    found = json.loads(lamina("build", "--call", "check,format=json", str(folder), check=False).stdout)
    assert [warning["ruleName"] for warning in found["warnings"]] == ["StageNameCasing", "JSONArgsRecommended"]
    log = json.loads(lamina("build", "--check", "--format", "sarif", str(folder), check=False).stdout)
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["JSONArgsRecommended", "StageNameCasing"]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "Dockerfile"}, "region": {"startLine": 6, "endLine": 6}}


def test_targets_and_an_outline_are_tables(lamina: Cli, folder: Path) -> None:
    assert lamina.text("build", "--call", "targets", str(folder)).split() == (
        ["TARGET", "DESCRIPTION", "main", "(default)"]
    )
    outline = lamina.text("build", "--call=outline", "--build-arg", "V=2", str(folder))
    assert ["V", "2", "chooses"] in [line.split() for line in outline.splitlines()]
    assert ["key"] in [line.split() for line in outline.splitlines()]
    document = json.loads(lamina.text("build", "--call=outline,format=json", str(folder)))
    assert document["args"][0]["location"]["ranges"][0]["start"] == {"line": 4}


def test_a_shell_opens_where_a_command_failed(lamina: Cli, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM base\nARG WHO=ada\nWORKDIR /w\nRUN echo partial > half; exit 7\n")
    before = lamina.text("images", "-aq").split()
    flags = ("build", "--network", "none", "--on-error", "shell", str(folder))
    done = lamina(*flags, stdin=b"cat half; echo $WHO; pwd; exit 3\n", check=False)
    assert done.returncode == 7
    assert done.stdout.endswith(b"partial\nada\n/w\n")
    assert b"returned a non-zero code: 7" in done.stderr
    assert not lamina.text("ps", "-aq")
    kept = set(lamina.text("images", "-aq").split()) - set(before)
    assert len(kept) == 2  # the steps that went well
    lamina("image", "prune", "-f")


def test_what_cannot_be_asked_is_refused(lamina: Cli, folder: Path) -> None:
    assert "unknown call 'guess'" in lamina.fails("build", "--call", "guess", str(folder), code=1)
    assert "unknown format 'sarif'" in lamina.fails("build", "--call", "outline,format=sarif", str(folder), code=1)
    assert "--format is for" in lamina.fails("build", "--format", "json", str(folder), code=1)
    assert "invalid setting" in lamina.fails("build", "--call", "check,color=red", str(folder), code=1)


def test_another_daemon_is_not_asked(lamina: Cli, engine: Daemon, tmp_path: Path) -> None:
    """It would take the request for a build."""
    if not engine.command[0].endswith("dockerd"):
        pytest.skip("lamina's daemon checks")
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    assert "this daemon builds over the classic API" in lamina.fails("build", "--check", str(tmp_path), code=1)
