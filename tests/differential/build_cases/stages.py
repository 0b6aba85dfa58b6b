"""Several stages: bases, COPY --from, targets, platforms and named contexts."""

from __future__ import annotations

from differential.build_cases.case import BOTH, Case
from differential.differences import SCRATCH, Difference, keys, paths

_SCRATCH = {"buildkit": SCRATCH}
_CASES_OF_STAGES = [
    Case("stages", "FROM base AS one\nRUN echo 1 > /one\nFROM base\nCOPY --from=one /one /got\n", builders=BOTH),
    Case("stage-by-number", "FROM base\nRUN echo 1 > /one\nFROM base\nCOPY --from=0 /one /got\n"),
    Case("stage-on-stage", "FROM base AS one\nENV A=1\nRUN echo 1 > /one\nFROM one\nRUN echo 2 > /two\n"),
    Case("stage-unused", "FROM base AS never\nRUN exit 1\nFROM base\nENV A=1\n"),
    Case("stage-name-case", "FROM base AS One\nRUN echo 1 > /one\nFROM base\nCOPY --from=oNE /one /got\n"),
    Case("stage-twice-used", "FROM base AS s\nRUN echo 1 > /1 && echo 2 > /2\nFROM base\nCOPY --from=s /1 /2 /x/\n"),
    Case(
        "stage-from-scratch-to-scratch",
        "FROM scratch AS s\nCOPY dir /d\nFROM scratch\nCOPY --from=s / /\n",
        tolerated=_SCRATCH,
    ),
    Case("stage-config-not-copied", "FROM base AS s\nENV A=1\nUSER 5\nWORKDIR /w\nFROM base\nCOPY --from=s /w /w\n"),
    Case("unknown-stage", "FROM base\nCOPY --from=nope-nope:1 /a /b\n", fails=True, builders=BOTH),
    Case("target", "FROM base AS one\nENV A=1\nFROM base AS two\nENV A=2\n", flags=("--target", "one"), builders=BOTH),
    Case(
        "target-by-number",
        "FROM base\nENV A=1\nFROM base\nENV A=2\n",
        flags=("--target", "0"),
        tolerated={"buildkit": Difference("target by number", refused_by="real")},
    ),
    Case("no-steps", "FROM base\n", tolerated={"buildkit": keys("comment of the base", "comment")}),
    Case("target-unknown", "FROM base AS one\nENV A=1\n", flags=("--target", "two"), fails=True),
]
_CASES_OF_COPIES_BETWEEN = [
    Case("stage-from-image", "FROM base\nCOPY --from=with-file /f /g\n", builders=BOTH),
    Case(
        "stage-dir",
        "FROM base AS s\nCOPY dir /d\nRUN ln -s /d/one /d/abs\nFROM scratch\nCOPY --from=s /d /e\n",
        tolerated=_SCRATCH,
        builders=BOTH,
    ),
    Case(
        "stage-owner-kept",
        "FROM base AS s\nCOPY --chown=7001:7002 a.txt /a\nFROM base\nCOPY --from=s /a /a\n",
        builders=BOTH,
    ),
    Case("stage-chown", "FROM base AS s\nCOPY --chown=7001:7002 a.txt /a\nFROM base\nCOPY --from=s --chown=9 /a /a\n"),
    Case("stage-chmod", "FROM base AS s\nCOPY dir /d\nFROM base\nCOPY --from=s --chmod=700 /d /e\n"),
    Case("stage-wildcard", "FROM base AS s\nCOPY *.txt /t/\nFROM base\nCOPY --from=s /t/*.txt /u/\n"),
    Case(
        "stage-ignores-dockerignore",
        "FROM base AS s\nRUN echo > /a.txt\nFROM base\nCOPY --from=s /a.txt /x/\n",
        files={"f": "1", ".dockerignore": "a.txt\n"},
    ),
    Case(
        "stage-links",
        "FROM base AS s\nRUN mkdir /d && echo 1 > /d/f && ln -s f /d/l && ln -s /d /m && ln /d/f /d/h\n"
        "FROM base\nCOPY --from=s /d/l /x\nCOPY --from=s /m /y\nCOPY --from=s /m/f /z/\n",
        builders=BOTH,
    ),
    Case(
        "stage-modes",
        "FROM base AS s\nRUN mkdir -m 700 /d && touch /d/s && chmod 6755 /d/s && mkdir -m 2750 /d/g && mkfifo /d/p\n"
        "FROM base\nCOPY --from=s /d /e\nCOPY --from=s --chown=4:5 /d /f\n",
        tolerated={"classic": paths("special bits", "f/s")},
        builders=BOTH,
    ),
    Case(
        "stage-hard-links",
        "FROM base AS s\nRUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b\nFROM base\nCOPY --from=s /d /e\n",
    ),
]
_CASES_OF_PLATFORMS = [
    Case(
        "platform-arm64",
        "FROM scratch\nCOPY a.txt /\n",
        flags=("--platform", "linux/arm64"),
        tolerated=_SCRATCH,
    ),
    Case(
        "platform-of-from",
        "FROM --platform=linux/s390x scratch\nCOPY a.txt /\n",
        tolerated={"buildkit": keys("platform of scratch", "architecture", "config.WorkingDir")},
    ),
    Case(
        "platform-of-build",
        "FROM --platform=$BUILDPLATFORM base AS tool\nRUN echo made > /made\nFROM scratch\nCOPY --from=tool /made /\n",
        flags=("--platform", "linux/arm64"),
        tolerated=_SCRATCH,
    ),
]
_CASES_OF_NAMED_CONTEXTS = [
    Case(
        "context-folder-whole",
        "FROM base\nCOPY --from=more . /x\n",
        flags=("--build-context", "more=dir"),
    ),
    Case(
        "context-in-place-of-stage",
        "FROM base AS s\nRUN exit 1\nFROM base\nCOPY --from=s one /x/\n",
        flags=("--build-context", "s=dir"),
    ),
    Case(
        "context-mounted",
        "FROM base\nRUN --mount=from=more,target=/m cp -r /m/sub /got\n",
        flags=("--build-context", "more=dir"),
    ),
]
CASES = [*_CASES_OF_STAGES, *_CASES_OF_COPIES_BETWEEN, *_CASES_OF_PLATFORMS, *_CASES_OF_NAMED_CONTEXTS]
