"""The documents agree with the code: rooms, decisions, dependencies, links and commands."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from lamina.cli.catalog import COMMANDS, GROUPS
from structure.test_layering import EDGES, ORDER

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "adr").glob("[!R]*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLACES = (ROOT, ROOT / "src", ROOT / "src/lamina")
MODULES = {"psycopg[binary]": "psycopg", "pyjwt": "jwt", "pyyaml": "yaml"}  # where a package's module has another name


def rooms_in_table(page: Path) -> list[str]:
    """The rooms of a page's map, in its order: names in the first column that look like files or folders."""
    cells = [line.split("|")[1] for line in page.read_text().splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)(?:/|\.py)`", cell)]


def requirements() -> dict[str, list[str]]:
    """Names of the packages of pyproject, without versions: for running, for the registry, and for development."""
    listed = {"run": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return {kind: [re.split(r"[<>=~!]", text)[0] for text in texts] for kind, texts in listed.items()}


def packages_with_a_reason() -> list[str]:
    """What the tables of docs/dependencies.md have in their first column, as far as they are about packages."""
    text = (DOCS / "dependencies.md").read_text().partition("## Programs")[0]
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    return [name for cell in cells for name in cell.split(", ") if name != "package"]


def imported_by(paths: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"lamina", "_typeshed"}


def test_the_map_has_every_room_in_the_order_of_imports() -> None:
    assert rooms_in_table(DOCS / "architecture.md") == [*ORDER, *EDGES]


def test_the_readme_shows_the_same_rooms() -> None:
    files = {
        "light",
        "errors",
        "events",
        "progress",
        "cancellation",
        "keylocks",
        "lru",
        "credentials",
    }  # single files, which the README leaves out
    assert rooms_in_table(ROOT / "README.md") == [room for room in [*ORDER, *EDGES] if room not in files]


def test_every_decision_stands_in_the_index_under_its_title() -> None:
    listed = dict(re.findall(r"^- \[(.+)\]\((.+)\)$", (DOCS / "adr/README.md").read_text(), re.MULTILINE))
    titles = {path.read_text().splitlines()[0].removeprefix("# "): path.name for path in DECISIONS}
    assert listed == titles


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_status_and_fits_a_page(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert re.fullmatch(r"\*\*Status\*\*: (accepted|superseded by \[.+\]\(.+\))", lines[2])
    assert len(lines) <= 70


def test_every_dependency_has_its_reason_and_nothing_else_has_one() -> None:
    wanted = [name.partition("[")[0] for names in requirements().values() for name in names]
    assert sorted(packages_with_a_reason()) == sorted(wanted)


READ_THROUGH_OTHERS = {"yaml"}  # msgspec.yaml imports it


def test_every_dependency_is_imported_and_every_import_is_one() -> None:
    wanted = {kind: {MODULES.get(name, name) for name in names} for kind, names in requirements().items()}
    folders = {"registry": "src/lamina/registry", "explore": "src/lamina/cli/explorer"}
    extras = {kind: set((ROOT / folder).rglob("*.py")) for kind, folder in folders.items()}
    others = set((ROOT / "src").rglob("*.py")).difference(*extras.values())
    assert imported_by(others) == wanted["run"] - READ_THROUGH_OTHERS
    for kind, files in extras.items():
        assert imported_by(files) - wanted["run"] == wanted[kind]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text())
    missing = [link for link in links if "://" not in link[0] and not _leads(page, *link)]
    assert not missing


def _leads(page: Path, name: str, heading: str) -> bool:
    """Return whether a link of `page` leads to a file and, if it names one after its "#", to a heading in it."""
    target = page.parent / name if name else page
    if not heading or not target.exists():
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return heading in [re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_in_the_text_exist(page: Path) -> None:
    """`room/file.py` in a text is a source file; `tests/…`, `docs/…` and the like are below the top folder."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*\w\.(?:py|md|txt|sql))`", page.read_text())
    missing = [name for name in named if not any((place / name).exists() for place in PLACES)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = {name for name in re.findall(r"(?:^\$ |`)make ([a-z-]+)", text, re.MULTILINE) if name not in targets}
    unknown |= {name for name in re.findall(r"(?:bin/|`)lamina ([a-z]+)", text) if name not in {*COMMANDS, *GROUPS}}
    assert not unknown


def test_files_to_touch_have_what_a_newcomer_looks_for() -> None:
    rows = re.findall(r"^\| `([\w./-]+)` \| `(.+?)` \|", (DOCS / "development.md").read_text(), re.MULTILINE)
    assert len(rows) > 20
    missing = [
        (file, text) for file, text in rows if not (ROOT / file).exists() or text not in (ROOT / file).read_text()
    ]
    assert not missing


def test_every_promise_of_security_names_tests_that_are_there() -> None:
    """A reference is a file of tests, or a file and a function in it."""
    text = (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:\[[\w-]+\])?`", text)
    assert len(named) > 100
    missing = [
        (file, function)
        for file, function in named
        if not (ROOT / file).exists() or (function and f"def {function}(" not in (ROOT / file).read_text())
    ]
    assert not missing
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| What is tried")]
    assert not [row for row in rows if "`tests/" not in row.split(" | ")[-1]]


def test_the_version_stands_in_one_place() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in PROJECT
    assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "lamina.__version__"}


def test_servers_are_not_built_on_an_aiohttp_that_is_not_out_yet() -> None:
    """They use private names of aiohttp's: see tests/daemon/test_private_names.py."""
    (requirement,) = [text for text in PROJECT["dependencies"] if text.startswith("aiohttp")]
    assert requirement.endswith(",<4")
