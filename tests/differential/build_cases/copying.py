"""COPY: what lands, with which owner and mode, and its flags."""

from __future__ import annotations

from differential.build_cases.case import BOTH, Case
from differential.differences import SCRATCH, Difference, paths
from support.context import File

_SEVERAL = {"buildkit": Difference("several sources", refused_by="lamina")}
_BITS = {"classic": paths("special bits", "f")}
_CASES_OF_PLAIN_FILES = [
    Case("copy-file", "FROM base\nCOPY a.txt /\n", builders=BOTH),
    Case("copy-rename", "FROM base\nCOPY a.txt /etc/renamed\n"),
    Case("copy-into-slash", "FROM base\nCOPY a.txt /new/dir/\n"),
    Case("copy-many", "FROM base\nCOPY a.txt b.txt /many/\n", builders=BOTH),
    Case(
        "copy-many-no-slash",
        "FROM base\nCOPY a.txt b.txt /many\n",
        tolerated=_SEVERAL,
    ),
    Case("copy-many-onto-file", "FROM base\nRUN echo > /f\nCOPY a.txt b.txt /f\n", tolerated=_SEVERAL),
    Case("copy-dir", "FROM base\nCOPY dir /d\n"),
    Case("copy-dir-and-file", "FROM base\nCOPY dir a.txt /d/\n"),
    Case("copy-dirs-merge", "FROM base\nCOPY dir dir/sub /d/\n"),
    Case("copy-everything", "FROM base\nCOPY . /app\n", builders=BOTH),
    Case("copy-relative", "FROM base\nWORKDIR /w\nCOPY a.txt sub/\nCOPY b.txt .\nCOPY b.txt c\n"),
    Case("copy-json", 'FROM base\nCOPY ["a.txt", "/with space/"]\n'),
    Case("copy-empty-dir", "FROM base\nCOPY empty /e\n"),
    Case("copy-twice-same", "FROM base\nCOPY a.txt /\nCOPY a.txt /\n"),
    Case("copy-arg", "FROM base\nARG F=a.txt\nCOPY $F /$F\n"),
    Case(
        "copy-odd-names",
        "FROM base\nCOPY . /o\n",
        files={"naïve ü": "1", "a b": "2", "-dash": "3", "x" * 120: "4"},
        builders=BOTH,
    ),
    Case("copy-quoted-name", 'FROM base\nCOPY ["a b", "[c]", "/o/"]\n', files={"a b": "2", "[c]": "3", "c": "4"}),
    Case("copy-from-scratch", "FROM scratch\nCOPY a.txt /\nCOPY dir /d/\n", tolerated={"buildkit": SCRATCH}),
    Case("copy-missing", "FROM base\nCOPY nope /t/\n", fails=True),
    Case("copy-escape", "FROM base\nCOPY ../etc/passwd /\n", fails=True),
    Case(
        "copy-tar-stays", "FROM base\nCOPY t.tar /x/\n", files={"t.tar": File(archive={"f": File("x")})}, builders=BOTH
    ),
]
_CASES_OF_OWNERS_AND_MODES = [
    Case("copy-modes", "FROM base\nCOPY run.sh secret /m/\n"),
    Case("copy-dir-modes", "FROM base\nCOPY d /d\n", files={"d/e": File(directory=True, mode=0o711), "d/f": "1"}),
    Case("copy-owner-dropped", "FROM base\nCOPY f /\n", files={"f": File("x", uid=1234, gid=1234)}),
    Case(
        "copy-special-bits",
        "FROM base\nCOPY f /\n",
        files={"f": File("x", mode=0o6755)},
        tolerated=_BITS,
        builders=BOTH,
    ),
    Case("copy-chown", "FROM base\nCOPY --chown=1000:1001 dir /d\n", builders=BOTH),
    Case("copy-chown-number-alone", "FROM base\nCOPY --chown=77 dir /d\n"),
    Case(
        "copy-chown-name-without-group",
        "FROM base\nCOPY --chown=nobody a.txt /\n",
        tolerated={"classic": Difference("group of a user", refused_by="real")},
        builders=BOTH,
    ),
    Case("copy-chown-name-group", "FROM base\nCOPY --chown=nobody:nogroup a.txt /x/\n", builders=BOTH),
    Case("copy-chown-name-and-number", "FROM base\nCOPY --chown=nobody:5 a.txt /x/\n"),
    Case(
        "copy-chown-unknown",
        "FROM base\nCOPY --chown=ghost a.txt /\n",
        tolerated={"buildkit": Difference("unknown user", refused_by="lamina")},
    ),
    Case("copy-chown-existing-dir", "FROM base\nRUN mkdir -m 700 /x\nCOPY --chown=5:6 dir /x\n"),
    Case("copy-chmod", "FROM base\nCOPY --chmod=4711 a.txt /x/\n"),
    Case("copy-chmod-dir", "FROM base\nCOPY --chmod=750 dir /x\n"),
    Case("copy-chmod-symbols", "FROM base\nCOPY --chmod=u=rwX,go=rX dir run.sh /x/\n"),
    Case("copy-chmod-add", "FROM base\nCOPY --chmod=g+w,o-r . /x/\n"),
    Case("copy-chmod-and-chown", "FROM base\nCOPY --chown=3:4 --chmod=2755 dir /x\n"),
    Case("copy-chmod-wrong", "FROM base\nCOPY --chmod=99 dir /x\n", fails=True),
]
_CASES_OF_LINK = [
    Case("link-file", "FROM base\nCOPY --link a.txt /x/\n"),
    Case("link-dir", "FROM base\nCOPY --link dir /x\nCOPY --link dir/sub /x/more\n"),
    Case("link-over-file", "FROM base\nRUN echo 1 > /f\nCOPY --link a.txt /f\n"),
    Case("link-chown", "FROM base\nCOPY --link --chown=8:9 dir /p/q\n"),
    Case(
        "link-from-stage",
        "FROM base AS s\nRUN mkdir /m && echo 1 > /m/f\nFROM base\nCOPY --link --from=s /m /n\n",
    ),
    Case(
        "link-add-archive",
        "FROM base\nADD --link t.tar /x/\n",
        files={"t.tar": File(archive={"f": File("x")})},
    ),
]
CASES = [*_CASES_OF_PLAIN_FILES, *_CASES_OF_OWNERS_AND_MODES, *_CASES_OF_LINK]
