"""LABEL, EXPOSE, USER, VOLUME, MAINTAINER, ONBUILD and WORKDIR."""

from __future__ import annotations

from differential.build_cases.case import BOTH, Case
from differential.differences import EMPTY_LAYER, SCRATCH, Difference, keys, paths

_OWNED = {"classic": paths("owner of WORKDIR", "home", "home/x")}
_VOLUME = Difference("files in volumes", frozenset({"v/b"}), frozenset({"layers", "history"}))
_TRIGGERS = {"buildkit": keys("triggers in history", "history")}
_LABELS = {"buildkit": keys("labels of the command line", "history")}
_CASES_OF_LABEL = [
    Case("labels", 'FROM base\nLABEL a=1 "b c"="d e" multi="line \\\ntwo"\nLABEL a=2\n', builders=BOTH),
    Case(
        "label-flag",
        "FROM base\nLABEL a=1\n",
        flags=("--label", "a=3", "--label", "z=9"),
        tolerated=_LABELS,
        builders=BOTH,
    ),
    Case("label-old-form", "FROM base\nLABEL name some words here\n"),
    Case("label-variables", "FROM base\nARG V=1\nENV W=2\nLABEL v=$V w=\"${W}x\" raw='$W' $V=name\n"),
    Case("label-dotted", 'FROM base\nLABEL org.opencontainers.image.title="A \\"title\\"" x.y-z_1=2\n'),
]
_CASES_OF_EXPOSE = [
    Case("expose", "FROM base\nEXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8002\n", builders=BOTH),
    Case("expose-arg", "FROM base\nARG P=81\nEXPOSE $P\n"),
    Case("expose-twice", "FROM with-volume\nEXPOSE 80 80/tcp\nEXPOSE 80/udp\n"),
    Case("expose-many-variables", 'FROM base\nENV PORTS="1 2 3/udp"\nEXPOSE $PORTS 4\n'),
]
_CASES_OF_USER = [
    Case("user", "FROM base\nUSER nobody\n"),
    Case("user-numeric", "FROM base\nUSER 1000:1000\nWORKDIR /home/x\nCOPY a.txt .\n", tolerated=_OWNED, builders=BOTH),
    Case("user-inherited", "FROM with-workdir\nRUN id -u > /tmp/id; pwd >> /tmp/id\n"),
    Case("user-group-name", "FROM base\nUSER nobody:root\nRUN id -g > /tmp/g\n"),
    Case("user-unknown-is-kept", "FROM base\nUSER ghost\n"),
]
_CASES_OF_VOLUME = [
    Case("volume-forms", 'FROM base\nVOLUME /data\nVOLUME ["/a", "/b c"]\n'),
    Case("volume-variable", "FROM base\nENV D=/d\nVOLUME $D ${D}/e\n"),
    Case(
        "volume-then-write",
        "FROM base\nRUN mkdir /v && echo 1 > /v/a\nVOLUME /v\nRUN echo 2 > /v/b\n",
        tolerated={"classic": _VOLUME},
        builders=BOTH,
    ),
    Case("volume-then-copy", "FROM base\nVOLUME /v\nCOPY a.txt /v/\n"),
    Case("volume-of-base", "FROM with-volume\nVOLUME /more\n"),
]
_CASES_OF_ONBUILD = [
    Case(
        "onbuild-recorded",
        "FROM base\nONBUILD RUN echo built > /built\nONBUILD COPY a.txt /\n",
        tolerated=_TRIGGERS,
        builders=BOTH,
    ),
    Case("onbuild-triggered", "FROM with-copy-trigger\nENV X=1\n", tolerated=_TRIGGERS, builders=BOTH),
    Case(
        "onbuild-run-with-argument",
        "FROM with-run-trigger\nENV X=1\n",
        flags=("--build-arg", "WHO=me"),
        tolerated=_TRIGGERS,
    ),
    Case(
        "onbuild-not-for-grandchildren",
        "FROM with-copy-trigger AS one\nFROM one\nRUN ls /a.txt > /l\n",
        tolerated=_TRIGGERS,
    ),
    Case("onbuild-stage-of-this-file", "FROM base AS p\nONBUILD ENV T=2\nFROM p\nENV U=$T\n", tolerated=_TRIGGERS),
]
_CASES_OF_WORKDIR = [
    Case("workdir-relative", "FROM base\nWORKDIR /a\nWORKDIR b\nWORKDIR ../c\nRUN pwd > /where\n", builders=BOTH),
    Case("workdir-env", "FROM base\nENV D=/deep/er\nWORKDIR $D/x\n"),
    Case("workdir-exists", "FROM base\nWORKDIR /tmp\n", tolerated={"buildkit": EMPTY_LAYER}, builders=BOTH),
    Case("workdir-inherited", "FROM with-workdir\nUSER root\nWORKDIR sub\nCOPY a.txt .\n"),
    Case("workdir-trailing-slash", "FROM base\nWORKDIR /a/b/\nRUN pwd > /where\n"),
    Case("workdir-of-scratch", "FROM scratch\nWORKDIR /w\nCOPY a.txt .\n"),
    Case("workdir-for-user", "FROM base\nUSER nobody\nWORKDIR /w/x\nRUN echo > f\n"),
    Case("workdir-through-dot", "FROM base\nWORKDIR /a/./b//c\nRUN pwd > /where\n"),
    Case("workdir-none-in-scratch", "FROM scratch\nCOPY a.txt b.txt x/\n", tolerated={"buildkit": SCRATCH}),
]
_CASES_OF_MAINTAINER = [
    Case("maintainer", "FROM base\nMAINTAINER Some One <some@example.org>\n", builders=BOTH),
]
CASES = [
    *_CASES_OF_LABEL,
    *_CASES_OF_EXPOSE,
    *_CASES_OF_USER,
    *_CASES_OF_VOLUME,
    *_CASES_OF_ONBUILD,
    *_CASES_OF_WORKDIR,
    *_CASES_OF_MAINTAINER,
]
