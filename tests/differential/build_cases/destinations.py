"""Where files land when something is there already: links, files in place of folders, folders in place of files."""

from __future__ import annotations

from differential.build_cases.case import BOTH, Case
from differential.differences import Difference, paths
from support.context import File

_LINKED = paths("link kept", "d/sub", "d/sub/three", "d/real/three")
_OTHER_KIND = {"buildkit": Difference("other kind", refused_by="real")}
_LINKS: dict[str, File | str] = {"t": "target", "l": File(link="t"), "d/x": "1", "d/up": File(link="../t")}
_CASES_OF_LINKS_IN_THE_CONTEXT = [
    Case("copy-symlink", "FROM base\nCOPY l /\n", files=_LINKS, builders=BOTH),
    Case(
        "copy-symlink-in-dir", "FROM base\nCOPY d /d\n", files={"d/t": "target", "d/l": File(link="t")}, builders=BOTH
    ),
    Case("copy-symlink-to-dir", "FROM base\nCOPY l /x\n", files={"d/f": "1", "l": File(link="d")}),
    Case("copy-dangling-in-dir", "FROM base\nCOPY d /x\n", files={"d/f": "1", "d/l": File(link="/no/where")}),
    Case("copy-link-chain", "FROM base\nCOPY a /x\n", files={"c": "1", "b": File(link="c"), "a": File(link="b")}),
    Case(
        "copy-link-outside", "FROM base\nCOPY l /x\n", files={"f": "", "l": File(link="../../etc/passwd")}, fails=True
    ),
]
_CASES_OF_LINKS_IN_THE_IMAGE = [
    Case("through-image-link", "FROM base\nRUN mkdir /real && ln -s real /alias\nCOPY a.txt /alias/\n"),
    Case(
        "destination-link",
        "FROM base\nRUN mkdir /real && ln -s real /alias\nCOPY dir /alias\nCOPY dir /alias/n\n",
        builders=BOTH,
    ),
    Case("destination-link-up", "FROM base\nRUN mkdir -p /r/s && ln -s ../../.. /r/s/l\nCOPY a.txt /r/s/l/x/\n"),
    Case(
        "dangling-destination",
        "FROM base\nRUN ln -s /nope/x /l\nCOPY a.txt /l\nCOPY b.txt /l/\n",
        fails=True,
        builders=BOTH,
    ),
    Case("dangling-directory", "FROM base\nRUN ln -s /nope/x /l\nCOPY dir /l/\n"),
    Case("over-link", "FROM base\nRUN echo t > /t && ln -s t /l\nCOPY a.txt /l\n", builders=BOTH),
    Case(
        "link-inside",
        "FROM base\nRUN mkdir -p /d/real && ln -s real /d/sub\nCOPY dir /d\n",
        tolerated={"buildkit": Difference("link to a directory", refused_by="real"), "classic": _LINKED},
        builders=BOTH,
    ),
    Case("usr-merged", "FROM with-links\nCOPY dir /lib\nCOPY a.txt /lib/x/y\n"),
    Case(
        "workdir-link",
        "FROM base\nRUN mkdir /r && ln -s r /w\nWORKDIR /w/n\nRUN pwd > /p\nCOPY a.txt .\n",
        builders=BOTH,
    ),
    Case("workdir-below-absolute-link", "FROM base\nRUN mkdir /r && ln -s /r /w\nWORKDIR /w/n/m\nCOPY a.txt .\n"),
]
_CASES_OF_OTHER_KINDS = [
    Case("copy-over-file", "FROM base\nCOPY a.txt /x\nCOPY b.txt /x\n", builders=BOTH),
    Case("copy-dir-over-file", "FROM base\nRUN echo f > /x\nCOPY dir /x\n", fails=True, builders=BOTH),
    Case("copy-into-existing-dir", "FROM base\nRUN mkdir -m 700 /x\nCOPY dir /x\n", builders=BOTH),
    Case("copy-file-onto-dir", "FROM base\nRUN mkdir /x\nCOPY a.txt /x\n", builders=BOTH),
    Case(
        "file-over-dir",
        "FROM base\nRUN mkdir -p /d/one/deep && echo 1 > /d/one/deep/f\nCOPY dir /d\n",
        tolerated=_OTHER_KIND,
        builders=BOTH,
    ),
    Case(
        "dir-over-file",
        "FROM base\nRUN mkdir -p /d && echo 1 > /d/sub\nCOPY dir /d\n",
        tolerated=_OTHER_KIND,
        builders=BOTH,
    ),
    Case("file-over-hard-link", "FROM base\nRUN echo 1 > /x && ln /x /y\nCOPY a.txt /x\n"),
    Case("dir-modes-of-existing", "FROM base\nRUN mkdir -p -m 700 /d/sub\nCOPY dir /d\n"),
    Case(
        "chown-parents",
        "FROM base\nCOPY --chown=5:6 a.txt /p/q/f\nCOPY --chown=5:6 dir /r/s\n",
        tolerated={"classic": paths("owner of parents", "r")},
        builders=BOTH,
    ),
    Case("onto-deleted-name", "FROM base\nCOPY dir /d\nRUN rm -r /d\nCOPY a.txt /d\n"),
]
CASES = [*_CASES_OF_LINKS_IN_THE_CONTEXT, *_CASES_OF_LINKS_IN_THE_IMAGE, *_CASES_OF_OTHER_KINDS]
