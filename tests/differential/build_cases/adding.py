"""ADD: archives of all kinds, what is none, and its flags."""

from __future__ import annotations

from differential.build_cases.case import BOTH, TREE, Case
from differential.differences import paths
from support.context import File

ARCHIVE = File(
    archive={
        "top": File(directory=True, mode=0o750),
        "top/file": File("from archive\n", mode=0o640, uid=1000, gid=1001),
        "top/link": File(link="file"),
    }
)
_ONTO = File(
    archive={"lib/x": File("1"), "etc": File(directory=True, mode=0o700), "etc/new": File("n"), "a/b/c": File("deep")}
)
_SPECIAL = File(archive={"suid": File("s", mode=0o4755), "sticky": File(directory=True, mode=0o1777)})
_EMPTY = File(archive={})


def _packed(compression: str) -> File:
    return File(archive=ARCHIVE.archive, compression=compression)


_CASES_OF_ARCHIVES = [
    Case("add-tar", "FROM base\nADD t.tar /x/\n", files={"t.tar": ARCHIVE}, builders=BOTH),
    Case("add-tar-gz", "FROM base\nADD t.tgz /x\n", files={"t.tgz": _packed("gz")}, builders=BOTH),
    Case("add-tar-bz2", "FROM base\nADD t.tbz /x/\n", files={"t.tbz": _packed("bz2")}),
    Case("add-tar-xz", "FROM base\nADD t.txz /x/\n", files={"t.txz": _packed("xz")}),
    Case("add-tar-whatever-its-name", "FROM base\nADD t.txt /x/\n", files={"t.txt": _packed("gz")}),
    Case("add-archive-and-file", "FROM base\nADD t a.txt /x/\n", files={**TREE, "t": ARCHIVE}),
    Case("add-archive-by-wildcard", "FROM base\nADD t* /x/\n", files={"t1": ARCHIVE, "t2": _ONTO}),
    Case("add-special-bits", "FROM base\nADD t /x/\n", files={"t": _SPECIAL}),
    Case("add-empty-archive", "FROM base\nADD t /x/\n", files={"t": _EMPTY}),
    Case("add-to-scratch", "FROM scratch\nADD t /x/\nWORKDIR /y\n", files={"t": ARCHIVE}),
    Case(
        "add-tar-through-link",
        "FROM base\nRUN mkdir -p /u/lib && ln -s u/lib /lib\nADD t /\n",
        files={"t": _ONTO},
    ),
    Case(
        "add-tar-over-dirs",
        "FROM base\nRUN mkdir -m 711 /o /o/a && mkdir -m 755 /o/etc\nADD t /o\n",
        files={"t": _ONTO},
    ),
    Case("add-tar-onto-file", "FROM base\nRUN echo 1 > /f\nADD t /f\n", files={"t": _ONTO}, fails=True),
    Case(
        "add-tar-below-file",
        "FROM base\nRUN mkdir /o && echo old > /o/lib\nADD t /o/\n",
        files={"t": _ONTO},
        fails=True,
    ),
]
_CASES_OF_FLAGS = [
    Case(
        "add-tar-chown",
        "FROM base\nADD --chown=5:6 t.tar /x/\n",
        files={"t.tar": ARCHIVE},
        tolerated={"classic": paths("owner of archives", "x", "x/top", "x/top/link", "x/top/file")},
        builders=BOTH,
    ),
    Case("add-tar-chmod", "FROM base\nADD --chmod=700 t.tar /x/\n", files={"t.tar": ARCHIVE}),
    Case("add-unpack-off", "FROM base\nADD --unpack=false t.tgz /x/\n", files={"t.tgz": _packed("gz")}),
    Case("add-unpack-on", "FROM base\nADD --unpack=true t.tgz /x/\n", files={"t.tgz": _packed("gz")}),
    Case("add-chmod-file", "FROM base\nADD --chmod=0640 a.txt /x/\n"),
]
_CASES_OF_OTHER_FILES = [
    Case("add-file", "FROM base\nADD a.txt /x/\n"),
    Case("add-not-a-tar", "FROM base\nADD t.tar /x/\n", files={"t.tar": "no archive\n"}, builders=BOTH),
    Case("add-link-to-archive", "FROM base\nADD l /x/\n", files={"t.tar": ARCHIVE, "l": File(link="t.tar")}),
]
CASES = [*_CASES_OF_ARCHIVES, *_CASES_OF_FLAGS, *_CASES_OF_OTHER_FILES]
