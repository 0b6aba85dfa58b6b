"""Looking into images from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import lamina_daemon
from support.engines import Cli
from support.tars import tar

pytestmark = pytest.mark.root

FORGED = "a\x1b[2K\u202efile\n"


@pytest.fixture(scope="module")
def lamina(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("images")
    with lamina_daemon() as daemon:
        cli = Cli(daemon.host, daemon.folder)
        for name, files in (("one", {"conf": b"a\n", FORGED: b"1"}), ("two", {"conf": b"b\n", FORGED: b"22"})):
            (folder / name).write_bytes(tar(files))
            cli("import", "--change", f"ENV V={name}", str(folder / name), name)
        (folder / "Dockerfile").write_text("FROM one\nCOPY conf /conf\nLABEL x=y\n")
        (folder / "conf").write_text("changed\n")
        cli("build", "-t", "built", str(folder))
        yield cli


def test_explore_shows_layers_and_what_is_hidden(lamina: Cli) -> None:
    shown = lamina.text("explore", "built")
    assert "COPY file:" in shown
    assert "Hidden by later layers: 1 files, 2B" in shown
    assert shown.rstrip().endswith("/conf")
    assert "\x1b" not in lamina.text("explore", "two")
    report = json.loads(lamina.text("explore", "--json", "built"))
    assert [layer["Number"] for layer in report["Layers"]] == [0, 1]
    assert report["Hidden"] == [{"Path": "/conf", "Layer": 0, "HiddenBy": 1, "Size": 2}]


def test_rules_are_kept_or_broken(lamina: Cli, tmp_path: Path) -> None:
    kept = lamina("explore", "--ci", "one", cwd=tmp_path)
    assert kept.stdout.decode().splitlines() == [
        "PASS: lowestEfficiency: 1, the limit is 0.9",
        "SKIP: highestWastedBytes: disabled",
        "PASS: highestUserWastedPercent: 0, the limit is 0.1",
    ]
    (tmp_path / ".dive-ci").write_text("rules:\n  lowestEfficiency: disabled\n  highestUserWastedPercent: 0.999\n")
    broken = lamina("explore", "--ci", "--highest-wasted-bytes", "0.009kB", "built", cwd=tmp_path, check=False)
    assert broken.returncode == 1
    assert [line[:24] for line in broken.stdout.decode().splitlines()] == [
        "SKIP: lowestEfficiency: ",
        "FAIL: highestWastedBytes",
        "FAIL: highestUserWastedP",
    ]
    for wrong in ("rules: [1]", "rules:\n  lowestEfficiency: much", "a: b: c"):
        (tmp_path / ".dive-ci").write_text(wrong)
        refused = lamina("explore", "--ci", "one", cwd=tmp_path, check=False)
        assert refused.returncode == 1, wrong
        assert "Traceback" not in refused.stderr.decode()
        assert refused.stdout == b""


def test_blame_names_the_instruction(lamina: Cli) -> None:
    path, first, second = lamina.text("image", "blame", "built", "conf").splitlines()
    assert path == "/conf"
    assert first.split()[:3] == ["0", "added", "-0644"]
    assert second.split()[:2] == ["1", "modified"]
    assert "COPY file:" in second
    refused = lamina("image", "blame", "built", "/nothing", check=False)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert "no layer of the image has /nothing" in refused.stderr.decode()


def test_diff_shows_values_and_lines_and_nothing_that_drives_a_terminal(lamina: Cli) -> None:
    shown = lamina.text("image", "diff", "one", "two")
    lines = shown.splitlines()
    assert lines[:2] == ["- Env.V=one", "+ Env.V=two"]
    assert [line for line in lines if line.startswith("C ")] == [
        "C /a\\u001b[2K\\u202efile\\n  (content)",
        "C /conf  (content)",
    ]
    assert lines[-2:] == ["    -a", "    +b"]


def test_diff_tells_scripts_by_its_status(lamina: Cli) -> None:
    assert lamina("image", "diff", "one", "two").returncode == 0
    assert lamina("image", "diff", "--exit-code", "one", "two", check=False).returncode == 1
    same = lamina("image", "diff", "--exit-code", "one", "one")
    assert (same.returncode, same.stdout) == (0, b"")
