"""Which files of the context count: wildcards, and the rules of `.dockerignore`."""

from __future__ import annotations

from differential.build_cases.case import BOTH, TREE, Case
from differential.differences import EMPTY_LAYER, Difference
from support.context import File

_NOTHING = {"buildkit": EMPTY_LAYER, "classic": Difference("nothing matches", refused_by="real")}
_MANY: dict[str, File | str] = {
    "a1.go": "1",
    "a2.go": "2",
    "b.go": "3",
    "[x].go": "4",
    "deep/a1.go": "5",
    "deep/er/a1.go": "6",
    "deep/er/b.py": "7",
    "other/a1.go": "8",
    ".hidden": "9",
    ".dir/a": "10",
}


def _ignoring(name: str, rules: str, dockerfile: str = "FROM base\nCOPY . /app\n", fails: bool = False) -> Case:
    """A build of the context without what the rules exclude."""
    return Case(name, dockerfile, files={**_MANY, "Dockerfile": dockerfile, ".dockerignore": rules}, fails=fails)


def _many(name: str, words: str) -> Case:
    """A COPY of some of many files."""
    return Case(name, f"FROM base\nCOPY {words}\n", files=_MANY)


_CASES_OF_WILDCARDS = [
    Case("copy-wildcard", "FROM base\nCOPY *.txt /t/\n", builders=BOTH),
    Case("copy-wildcard-dir", "FROM base\nCOPY d*/t?o /t/\n"),
    Case("copy-no-match", "FROM base\nCOPY *.nope /t/\n", tolerated=_NOTHING, builders=BOTH),
    Case("copy-one-match-of-two", "FROM base\nCOPY a.txt b.nope* /t/\n"),
    Case("wildcard-dirs", "FROM base\nCOPY d* *.txt /t/\n", builders=BOTH),
    _many("wildcard-star", "* /t/"),
    _many("wildcard-class", "[ab]*.go /t/"),
    _many("wildcard-negated-class", "[^a]*.go /t/"),
    _many("wildcard-escaped-bracket", "[[]x].go /t/"),
    _many("wildcard-in-folder", "deep/*/*.go /t/"),
    _many("wildcard-folder-and-file", "*/a1.go /t/"),
    Case("wildcard-one-file-renamed", "FROM base\nCOPY a.t* /x\n"),
    Case("wildcard-bad-pattern", "FROM base\nCOPY [a- /t/\n", fails=True),
]
_CASES_OF_IGNORE_FILES = [
    Case(
        "copy-dockerignore",
        "FROM base\nCOPY . /app\n",
        files={**TREE, ".dockerignore": "*.txt\n!b.txt\ndir/s*\n# c\n"},
        builders=BOTH,
    ),
    Case(
        "copy-dockerignore-deep",
        "FROM base\nCOPY . /app\n",
        files={**TREE, ".dockerignore": "**/t*\n!dir/sub/three\n"},
        builders=BOTH,
    ),
    Case(
        "copy-dockerignored-source",
        "FROM base\nCOPY a.txt /\n",
        files={**TREE, ".dockerignore": "a.txt\n"},
        fails=True,
        builders=BOTH,
    ),
    Case("ignore-part", "FROM base\nCOPY . /x\n", files={**TREE, ".dockerignore": "dir\n!dir/sub\n"}, builders=BOTH),
    _ignoring("ignore-everywhere", "**/a1.go\n"),
    _ignoring("ignore-below", "deep/**\n"),
    _ignoring("ignore-all-but-one", "*\n!b.go\n"),
    _ignoring("ignore-all-but-deep", "**\n!deep/er/*.py\n"),
    _ignoring("ignore-trailing-slash", "deep/\nother/\n"),
    _ignoring("ignore-and-back-again", "*.go\n!a*.go\na2.go\n"),
    _ignoring("ignore-hidden", ".*\n!.dir\n"),
    _ignoring("ignore-dockerfile-itself", "Dockerfile\n.dockerignore\n"),
    _ignoring("ignore-carriage-returns", "b.go\r\nother\r\n"),
    _ignoring("ignore-byte-order-mark", "\ufeffb.go\n"),
    _ignoring("ignore-folder-source", "deep/er\n", "FROM base\nCOPY deep /t/\n"),
    _ignoring("ignore-folder-itself", "deep\n", "FROM base\nCOPY deep /t/\n", fails=True),
    Case(
        "ignore-file-of-the-dockerfile",
        "FROM base\nCOPY . /app\n",
        files={**_MANY, "Dockerfile.dockerignore": "deep\n", ".dockerignore": "other\n"},
    ),
]
CASES = [*_CASES_OF_WILDCARDS, *_CASES_OF_IGNORE_FILES]
