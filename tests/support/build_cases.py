"""Builds that a real engine and lamina must agree on: each a Dockerfile, a context, and flags.

`base` is a busybox image both engines imported from the same tar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from support.context import File

TREE: dict[str, File | str] = {
    "a.txt": "alpha\n",
    "b.txt": "beta\n",
    "run.sh": File("#!/bin/sh\necho hi\n", mode=0o755),
    "secret": File("s\n", mode=0o600),
    "dir/one": "1\n",
    "dir/two": "2\n",
    "dir/sub/three": "3\n",
    "dir/link": File(link="one"),
    "empty": File(directory=True),
}
ARCHIVE = File(
    archive={
        "top": File(directory=True, mode=0o750),
        "top/file": File("from archive\n", mode=0o640, uid=1000, gid=1001),
        "top/link": File(link="file"),
    }
)


def archive(compression: str) -> File:
    return File(archive=ARCHIVE.archive, compression=compression)


@dataclass(frozen=True)
class Case:
    """`bases` are built first, in order, and tagged with their names; `fails` cases must fail on both engines.

    `better` names the paths that differ on purpose: there lamina does as BuildKit does (docs/coming-from-docker.md).
    """

    name: str
    dockerfile: str
    files: Mapping[str, File | str] = field(default_factory=lambda: TREE)
    flags: tuple[str, ...] = ()
    bases: Mapping[str, str] = field(default_factory=dict)
    fails: bool = False
    better: frozenset[str] = frozenset()


_OWNED = frozenset({"home", "home/x"})  # WORKDIR after USER
_LINKED = frozenset({"d/sub", "d/sub/three", "d/real/three"})  # a link stays, and is followed

CONFIG_CASES = [
    Case("cmd-exec", 'FROM base\nCMD ["echo", "hi"]\n'),
    Case("cmd-shell", "FROM base\nCMD echo hi $HOME\n"),
    Case("entrypoint-exec", 'FROM base\nENTRYPOINT ["/bin/echo"]\nCMD ["x"]\n'),
    Case("entrypoint-shell", "FROM base\nENTRYPOINT exec top -b\n"),
    Case("entrypoint-resets-base-cmd", 'FROM parent\nENTRYPOINT ["/x"]\n', bases={"parent": 'FROM base\nCMD ["y"]\n'}),
    Case("cmd-then-entrypoint", 'FROM base\nCMD ["not y"]\nENTRYPOINT ["/x"]\n'),
    Case("cmd-twice", 'FROM base\nCMD ["a"]\nCMD ["b"]\n'),
    Case(
        "env-forms",
        'FROM base\nENV A=1 B="two words" C=t\\ w\nENV D legacy form here\nENV E=$A-$B F=${MISSING:-dflt}\n',
    ),
    Case("env-override", "FROM base\nENV PATH=/opt/bin:$PATH\nENV A=1\nENV A=2 B=$A\n"),
    Case("env-quotes", 'FROM base\nENV A=\'$HOME\' B="$PATH" C=a\\$b D="q\\"q"\n'),
    Case("env-alternatives", "FROM base\nENV A=x\nENV B=${A:+set} C=${NOPE:+set} D=${NOPE:-none} E=${A}y\n"),
    Case("labels", 'FROM base\nLABEL a=1 "b c"="d e" multi="line \\\ntwo"\nLABEL a=2\n'),
    Case("label-flag", "FROM base\nLABEL a=1\n", flags=("--label", "a=3", "--label", "z=9")),
    Case("expose", "FROM base\nEXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8002\n"),
    Case("expose-arg", "FROM base\nARG P=81\nEXPOSE $P\n"),
    Case("user", "FROM base\nUSER nobody\n"),
    Case("user-numeric", "FROM base\nUSER 1000:1000\nWORKDIR /home/x\nCOPY a.txt .\n", better=_OWNED),
    Case("volume-forms", 'FROM base\nVOLUME /data\nVOLUME ["/a", "/b c"]\n'),
    Case("volume-then-write", "FROM base\nRUN mkdir /v && echo 1 > /v/a\nVOLUME /v\nRUN echo 2 > /v/b\n"),
    Case("stopsignal", "FROM base\nSTOPSIGNAL SIGUSR1\n"),
    Case("stopsignal-number", "FROM base\nSTOPSIGNAL 9\n"),
    Case(
        "healthcheck", "FROM base\nHEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=4 CMD wget -q x\n"
    ),
    Case("healthcheck-exec", 'FROM base\nHEALTHCHECK CMD ["/bin/true"]\n'),
    Case("healthcheck-none", "FROM base\nHEALTHCHECK NONE\n"),
    Case("shell", 'FROM base\nSHELL ["/bin/sh", "-ec"]\nRUN echo hi > /x\nCMD echo hi\n'),
    Case("maintainer", "FROM base\nMAINTAINER Some One <some@example.org>\n"),
    Case("onbuild-recorded", "FROM base\nONBUILD RUN echo built > /built\nONBUILD COPY a.txt /\n"),
    Case(
        "onbuild-triggered",
        "FROM parent\nENV X=1\n",
        bases={"parent": "FROM base\nONBUILD COPY a.txt /\nONBUILD ENV T=1\n"},
    ),
    Case("arg-default", "FROM base\nARG A=1\nENV E=$A\n"),
    Case("arg-given", "FROM base\nARG A=1\nENV E=$A\n", flags=("--build-arg", "A=7")),
    Case("arg-env-wins", "FROM base\nARG A=1\nENV A=2\nRUN echo $A > /a\n", flags=("--build-arg", "A=7")),
    Case("arg-global", "ARG TAG=latest\nFROM base:$TAG\nARG TAG\nENV E=$TAG\n"),
    Case("arg-global-hidden", "ARG G=1\nFROM base\nENV E=x$G\n"),
    Case("arg-run", "FROM base\nARG A=1\nRUN echo $A > /a\n", flags=("--build-arg", "A=9")),
    Case("workdir-relative", "FROM base\nWORKDIR /a\nWORKDIR b\nWORKDIR ../c\nRUN pwd > /where\n"),
    Case("workdir-env", "FROM base\nENV D=/deep/er\nWORKDIR $D/x\n"),
    Case("workdir-exists", "FROM base\nWORKDIR /tmp\n"),
    Case("escape-directive", "# escape=`\nFROM base\nENV A=1 `\n    B=2\n"),
    Case("comments-and-continuations", "# hello\nFROM base\nRUN echo a && \\\n  # inside\n  echo b \\\n\n  > /x\n"),
    Case("case-insensitive", 'from base\nenv a=b\ncmd ["x"]\n'),
    Case("scratch-config", 'FROM scratch\nENV A=1\nCOPY a.txt /\nCMD ["/x"]\n'),
    Case("heading-blank-lines", "\n\n# c\n\nFROM base\n\nCMD x\n"),
]

COPY_CASES = [
    Case("copy-file", "FROM base\nCOPY a.txt /\n"),
    Case("copy-rename", "FROM base\nCOPY a.txt /etc/renamed\n"),
    Case("copy-into-slash", "FROM base\nCOPY a.txt /new/dir/\n"),
    Case("copy-many", "FROM base\nCOPY a.txt b.txt /many/\n"),
    Case("copy-many-no-slash", "FROM base\nCOPY a.txt b.txt /many\n", fails=True),
    Case("copy-dir", "FROM base\nCOPY dir /d\n"),
    Case("copy-dir-trailing", "FROM base\nCOPY dir/ /d/\n"),
    Case("copy-everything", "FROM base\nCOPY . /app\n"),
    Case("copy-relative", "FROM base\nWORKDIR /w\nCOPY a.txt sub/\nCOPY b.txt .\nCOPY b.txt c\n"),
    Case("copy-wildcard", "FROM base\nCOPY *.txt /t/\n"),
    Case("copy-wildcard-dir", "FROM base\nCOPY d*/t?o /t/\n"),
    Case("copy-no-match", "FROM base\nCOPY *.nope /t/\n", fails=True),
    Case("copy-missing", "FROM base\nCOPY nope /t/\n", fails=True),
    Case("copy-json", 'FROM base\nCOPY ["a.txt", "/with space/"]\n'),
    Case("copy-modes", "FROM base\nCOPY run.sh secret /m/\n"),
    Case("copy-chown", "FROM base\nCOPY --chown=1000:1001 dir /d\n"),
    Case("copy-chown-name-without-group", "FROM base\nCOPY --chown=nobody a.txt /\n", fails=True),
    Case("copy-chown-name-group", "FROM base\nCOPY --chown=nobody:nogroup a.txt /x/\n"),
    Case("copy-chown-unknown", "FROM base\nCOPY --chown=ghost a.txt /\n", fails=True),
    Case("copy-owner-dropped", "FROM base\nCOPY f /\n", files={"f": File("x", uid=1234, gid=1234)}),
    Case("copy-special-bits", "FROM base\nCOPY f /\n", files={"f": File("x", mode=0o6755)}, better=frozenset({"f"})),
    Case("copy-symlink", "FROM base\nCOPY l /\n", files={"t": "target", "l": File(link="t")}),
    Case("copy-symlink-in-dir", "FROM base\nCOPY d /d\n", files={"d/t": "target", "d/l": File(link="t")}),
    Case("copy-through-image-link", "FROM base\nRUN mkdir /real && ln -s real /alias\nCOPY a.txt /alias/\n"),
    Case("copy-over-file", "FROM base\nCOPY a.txt /x\nCOPY b.txt /x\n"),
    Case("copy-dir-over-file", "FROM base\nRUN echo f > /x\nCOPY dir /x\n", fails=True),
    Case("copy-into-existing-dir", "FROM base\nRUN mkdir -m 700 /x\nCOPY dir /x\n"),
    Case("copy-file-onto-dir", "FROM base\nRUN mkdir /x\nCOPY a.txt /x\n"),
    Case("copy-empty-dir", "FROM base\nCOPY empty /e\n"),
    Case("copy-twice-same", "FROM base\nCOPY a.txt /\nCOPY a.txt /\n"),
    Case(
        "copy-dockerignore", "FROM base\nCOPY . /app\n", files={**TREE, ".dockerignore": "*.txt\n!b.txt\ndir/s*\n# c\n"}
    ),
    Case(
        "copy-dockerignore-deep", "FROM base\nCOPY . /app\n", files={**TREE, ".dockerignore": "**/t*\n!dir/sub/three\n"}
    ),
    Case(
        "copy-dockerignored-source", "FROM base\nCOPY a.txt /\n", files={**TREE, ".dockerignore": "a.txt\n"}, fails=True
    ),
    Case("copy-escape", "FROM base\nCOPY ../etc/passwd /\n", fails=True),
    Case("copy-arg", "FROM base\nARG F=a.txt\nCOPY $F /$F\n"),
    Case("copy-odd-names", "FROM base\nCOPY . /o\n", files={"naïve ü": "1", "a b": "2", "-dash": "3", "x" * 120: "4"}),
    Case("copy-from-scratch", "FROM scratch\nCOPY a.txt /\nCOPY dir /d/\n"),
    Case("add-file", "FROM base\nADD a.txt /x/\n"),
    Case("add-tar", "FROM base\nADD t.tar /x/\n", files={"t.tar": ARCHIVE}),
    Case("add-tar-gz", "FROM base\nADD t.tgz /x\n", files={"t.tgz": archive("gz")}),
    Case("add-tar-bz2", "FROM base\nADD t.tbz /x/\n", files={"t.tbz": archive("bz2")}),
    Case("add-tar-xz", "FROM base\nADD t.txz /x/\n", files={"t.txz": archive("xz")}),
    Case("add-not-a-tar", "FROM base\nADD t.tar /x/\n", files={"t.tar": "no archive\n"}),
    Case("add-tar-chown", "FROM base\nADD --chown=5:6 t.tar /x/\n", files={"t.tar": ARCHIVE}),
    Case("copy-tar-stays", "FROM base\nCOPY t.tgz /x/\n", files={"t.tgz": archive("gz")}),
]

STAGE_CASES = [
    Case("stages", "FROM base AS one\nRUN echo 1 > /one\nFROM base\nCOPY --from=one /one /got\n"),
    Case("stage-by-number", "FROM base\nRUN echo 1 > /one\nFROM base\nCOPY --from=0 /one /got\n"),
    Case("stage-on-stage", "FROM base AS one\nENV A=1\nRUN echo 1 > /one\nFROM one\nRUN echo 2 > /two\n"),
    Case("stage-from-image", "FROM base\nCOPY --from=other /f /g\n", bases={"other": "FROM base\nCOPY a.txt /f\n"}),
    Case("stage-dir", "FROM base AS s\nCOPY dir /d\nRUN ln -s /d/one /d/abs\nFROM scratch\nCOPY --from=s /d /e\n"),
    Case("stage-owner-kept", "FROM base AS s\nCOPY --chown=7001:7002 a.txt /a\nFROM base\nCOPY --from=s /a /a\n"),
    Case("stage-chown", "FROM base AS s\nCOPY --chown=7001:7002 a.txt /a\nFROM base\nCOPY --from=s --chown=9 /a /a\n"),
    Case("stage-wildcard", "FROM base AS s\nCOPY *.txt /t/\nFROM base\nCOPY --from=s /t/*.txt /u/\n"),
    Case("target", "FROM base AS one\nENV A=1\nFROM base AS two\nENV A=2\n", flags=("--target", "one")),
    Case("unknown-stage", "FROM base\nCOPY --from=nope /a /b\n", fails=True),
]

RUN_CASES = [
    Case("run-create", "FROM base\nRUN echo hello > /hello && chmod 640 /hello\n"),
    Case("run-delete", "FROM base\nRUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b\nRUN rm /d/a\n"),
    Case("run-delete-dir", "FROM base\nRUN mkdir -p /d/e && echo 1 > /d/e/a\nRUN rm -r /d\n"),
    Case("run-opaque", "FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN rm -r /d && mkdir /d && echo 2 > /d/b\n"),
    Case("run-dir-to-file", "FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN rm -r /d && echo f > /d\n"),
    Case("run-file-to-dir", "FROM base\nRUN echo f > /d\nRUN rm /d && mkdir /d && echo 1 > /d/a\n"),
    Case("run-chmod", "FROM base\nCOPY a.txt /\nRUN chmod 400 /a.txt\n"),
    Case("run-chown", "FROM base\nCOPY a.txt /\nRUN chown 12:34 /a.txt\n"),
    Case("run-hardlink", "FROM base\nRUN echo x > /h1 && ln /h1 /h2\n"),
    Case("run-symlinks", "FROM base\nRUN ln -s /etc/passwd /abs && ln -s ../x /tmp/rel && ln -s nowhere /dangling\n"),
    Case("run-fifo-and-sticky", "FROM base\nRUN mkfifo /pipe && mkdir -m 1777 /sticky && mkdir -m 2755 /setgid\n"),
    Case("run-nothing", "FROM base\nRUN true\n"),
    Case("run-exec-form", 'FROM base\nRUN ["/bin/sh", "-c", "echo $HOME > /h"]\n'),
    Case("run-user", "FROM base\nUSER nobody\nRUN id -u > /tmp/id && echo x > /tmp/x\n"),
    Case("run-env", "FROM base\nENV A=1\nRUN env | grep -E '^(A|PATH|HOME)=' | sort > /env\n"),
    Case("run-fails", "FROM base\nRUN exit 3\n", fails=True),
    Case("run-not-found", 'FROM base\nRUN ["/no/such"]\n', fails=True),
    Case("run-rename-dir", "FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN mv /d /e\n"),
    Case("squash", "FROM base\nRUN echo 1 > /a\nRUN rm /a && echo 2 > /b\nENV A=1\n", flags=("--squash",)),
]

FAILING_CASES = [
    Case("unknown-instruction", "FROM base\nRUNN echo\n", fails=True),
    Case("no-from", "RUN echo\n", fails=True),
    Case("empty", "\n", fails=True),
    Case("env-without-value", "FROM base\nENV A\n", fails=True),
    Case("bad-expose", "FROM base\nEXPOSE banana\n", fails=True),
    Case("bad-signal", "FROM base\nSTOPSIGNAL SIGNOPE\n", fails=True),
    Case("unknown-flag", "FROM base\nCOPY --nope a.txt /\n", fails=True),
    Case("onbuild-from", "FROM base\nONBUILD FROM base\n", fails=True),
]

ONTO = File(
    archive={"lib/x": File("1"), "etc": File(directory=True, mode=0o700), "etc/new": File("n"), "a/b/c": File("deep")}
)
EDGE_CASES = [
    Case(
        "edge-destination-link", "FROM base\nRUN mkdir /real && ln -s real /alias\nCOPY dir /alias\nCOPY dir /alias/n\n"
    ),
    Case("edge-dangling-destination", "FROM base\nRUN ln -s /nope/x /l\nCOPY a.txt /l\nCOPY b.txt /l/\n", fails=True),
    Case("edge-over-link", "FROM base\nRUN echo t > /t && ln -s t /l\nCOPY a.txt /l\n"),
    Case("edge-link-inside", "FROM base\nRUN mkdir -p /d/real && ln -s real /d/sub\nCOPY dir /d\n", better=_LINKED),
    Case("edge-file-over-dir", "FROM base\nRUN mkdir -p /d/one/deep && echo 1 > /d/one/deep/f\nCOPY dir /d\n"),
    Case("edge-dir-over-file", "FROM base\nRUN mkdir -p /d && echo 1 > /d/sub\nCOPY dir /d\n"),
    Case("edge-wildcard-dirs", "FROM base\nCOPY d* *.txt /t/\n"),
    Case(
        "edge-chown-parents",
        "FROM base\nCOPY --chown=5:6 a.txt /p/q/f\nCOPY --chown=5:6 dir /r/s\n",
        better=frozenset({"r"}),
    ),
    Case("edge-tar-through-link", "FROM base\nRUN mkdir -p /u/lib && ln -s u/lib /lib\nADD t /\n", files={"t": ONTO}),
    Case(
        "edge-tar-over-dirs",
        "FROM base\nRUN mkdir -m 711 /o /o/a && mkdir -m 755 /o/etc\nADD t /o\n",
        files={"t": ONTO},
    ),
    Case("edge-tar-onto-file", "FROM base\nRUN echo 1 > /f\nADD t /f\n", files={"t": ONTO}, fails=True),
    Case(
        "edge-stage-links",
        "FROM base AS s\nRUN mkdir /d && echo 1 > /d/f && ln -s f /d/l && ln -s /d /m && ln /d/f /d/h\n"
        "FROM base\nCOPY --from=s /d/l /x\nCOPY --from=s /m /y\nCOPY --from=s /m/f /z/\n",
    ),
    Case(
        "edge-stage-modes",
        "FROM base AS s\nRUN mkdir -m 700 /d && touch /d/s && chmod 6755 /d/s && mkdir -m 2750 /d/g && mkfifo /d/p\n"
        "FROM base\nCOPY --from=s /d /e\nCOPY --from=s --chown=4:5 /d /f\n",
        better=frozenset({"f/s"}),  # a set-user-ID file stays one
    ),
    Case("edge-ignore-part", "FROM base\nCOPY . /x\n", files={**TREE, ".dockerignore": "dir\n!dir/sub\n"}),
    Case("edge-health-inherits", "FROM base\nHEALTHCHECK --interval=1h CMD a\nHEALTHCHECK --retries=200 CMD b\n"),
    Case("edge-proxy-argument", "FROM base\nRUN echo $HTTP_PROXY > /o\n", flags=("--build-arg", "HTTP_PROXY=http://x")),
    Case("edge-listing", "FROM base\nRUN ls -a / > /l; ls -a /etc > /m\n"),
    Case(
        "edge-mount-points",
        "FROM base\nRUN echo 1 > /etc/resolv.conf && echo 2 > /etc/hosts && echo 3 >> /etc/passwd\n",
    ),
    Case("edge-workdir-link", "FROM base\nRUN mkdir /r && ln -s r /w\nWORKDIR /w/n\nRUN pwd > /p\nCOPY a.txt .\n"),
    Case(
        "edge-squash-base",
        "FROM parent\nRUN rm /d/one && chmod 700 /d\n",
        bases={"parent": "FROM base\nCOPY dir /d\n"},
        flags=("--squash",),
    ),
]

CASES = [*CONFIG_CASES, *COPY_CASES, *STAGE_CASES, *RUN_CASES, *EDGE_CASES, *FAILING_CASES]
