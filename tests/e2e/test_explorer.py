"""Looking into images from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
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


def test_findings_are_printed_with_what_to_change(lamina: Cli, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM one\nENV DB_PASSWORD=hunter2\nCOPY lists /var/lib/apt/lists/x\n")
    (tmp_path / "lists").write_bytes(b"l" * 5000)
    lamina("build", "-t", "findings", str(tmp_path))
    savings = lamina("explore", "--savings", "--exit-code", "findings", check=False)
    assert savings.returncode == 1
    assert "rm -rf /var/lib/apt/lists/*" in savings.stdout.decode()
    assert [saving["Kind"] for saving in json.loads(lamina.text("explore", "--savings", "--json", "findings"))] == [
        "cache"
    ]
    secrets = lamina("explore", "--secrets", "--exit-code", "findings", check=False)
    assert secrets.returncode == 1
    assert "DB_PASSWORD" in secrets.stdout.decode()
    assert "hunter2" not in secrets.stdout.decode()
    assert lamina("explore", "--secrets", "--exit-code", "one").stdout == b""
    assert lamina.text("explore", "--shared-with", "one", "findings").startswith("Shared: 1 layers, ")
    assert lamina("explore", "--packages", "one").stdout == b""
    refused = lamina("explore", "--packages", "--secrets", "one", check=False)
    assert "exclude each other" in refused.stderr.decode()


def test_archives_are_looked_into_and_compared_without_a_daemon(lamina: Cli, tmp_path: Path) -> None:
    archive = tmp_path / "built.tar"
    lamina("save", "-o", str(archive), "built")
    alone = Cli("unix:///nowhere/at/all", tmp_path)
    assert "Hidden by later layers: 1 files, 2B" in alone.text("explore", str(archive))
    assert "COPY file:" in alone.text("image", "blame", f"archive://{archive}", "conf").splitlines()[2]
    assert alone("image", "diff", "--exit-code", str(archive), str(archive)).stdout == b""
    assert "C /conf  (content)" in lamina.text("image", "diff", "one", str(archive))
    (tmp_path / "no.tar").write_bytes(b"no archive")
    refused = alone("explore", str(tmp_path / "no.tar"), check=False)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert "Traceback" not in refused.stderr.decode()


def test_containers_are_looked_into_by_their_name(lamina: Cli) -> None:
    lamina("create", "--name", "box", "one", "x")
    try:
        assert "changes of the container box" in lamina.text("explore", "box")
        assert lamina.text("image", "diff", "one", "container://box").splitlines() == ['+ Cmd=["x"]']
    finally:
        lamina("rm", "box")
    refused = lamina("explore", "box", check=False)
    assert "registry://box" in refused.stderr.decode()


def test_a_page_of_differences_holds_no_markup_of_the_images(lamina: Cli, tmp_path: Path) -> None:
    """Names and texts of hostile images are text in the page, and the page asks for nothing."""
    evil = "<img src=x onerror=alert(1)>"
    for name, line in (("evil1", "a"), ("evil2", "b")):
        (tmp_path / name).write_bytes(tar({f"x{FORGED}{evil.replace('/', '')}": f"<script>{line}</script>\n".encode()}))
        lamina("import", "--change", f"ENV V={line}<b>", str(tmp_path / name), name)
    page = lamina.text("image", "diff", "--html", "evil1", "evil2")
    parser = Elements()
    parser.feed(page)
    assert parser.names <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "code", "br", "table", "thead"),
        *("tbody", "tr", "th", "td", "div", "span", "details", "summary", "pre"),
    }
    assert parser.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope", "open"}
    assert "default-src 'none'" in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert "&lt;script&gt;b&lt;/script&gt;" in page
    refused = lamina("image", "diff", "--html", "--json", "one", "two", check=False)
    assert refused.returncode == 1


class Elements(HTMLParser):
    """The names of all elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
