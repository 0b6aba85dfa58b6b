"""CMD, ENTRYPOINT, SHELL, HEALTHCHECK and STOPSIGNAL."""

from __future__ import annotations

from differential.build_cases.case import BOTH, Case
from differential.differences import keys

_CASES_OF_CMD = [
    Case("cmd-exec", 'FROM base\nCMD ["echo", "hi"]\n', builders=BOTH),
    Case("cmd-shell", "FROM base\nCMD echo hi $HOME\n", builders=BOTH),
    Case("cmd-twice", 'FROM base\nCMD ["a"]\nCMD ["b"]\n'),
    Case("cmd-empty-list", "FROM with-cmd\nCMD []\n"),
    Case("cmd-exec-keeps-dollars", 'FROM base\nENV A=1\nCMD ["echo", "$A", "a b", "\\t"]\n'),
    Case("cmd-broken-list-is-shell", "FROM base\nCMD ['echo', 'hi']\n"),
    Case("cmd-unicode", 'FROM base\nCMD ["écho", "\\u00e9", "日本"]\n'),
]
_CASES_OF_ENTRYPOINT = [
    Case("entrypoint-exec", 'FROM base\nENTRYPOINT ["/bin/echo"]\nCMD ["x"]\n', builders=BOTH),
    Case("entrypoint-shell", "FROM base\nENTRYPOINT exec top -b\n", builders=BOTH),
    Case("entrypoint-resets-base-cmd", 'FROM with-cmd\nENTRYPOINT ["/x"]\n', builders=BOTH),
    Case("entrypoint-then-cmd-over-base", 'FROM with-cmd\nCMD ["own"]\nENTRYPOINT ["/x"]\n'),
    Case("cmd-then-entrypoint", 'FROM base\nCMD ["not y"]\nENTRYPOINT ["/x"]\n', builders=BOTH),
    Case("entrypoint-empty-list", 'FROM base\nENTRYPOINT ["/x"]\nENTRYPOINT []\nCMD ["z"]\n'),
]
_CASES_OF_SHELL = [
    Case("shell", 'FROM base\nSHELL ["/bin/sh", "-ec"]\nRUN echo hi > /x\nCMD echo hi\n', builders=BOTH),
    Case("shell-inherited-by-stage", 'FROM base AS one\nSHELL ["/bin/sh", "-ec"]\nFROM one\nCMD echo hi\n'),
    Case("shell-of-one-stage", 'FROM base AS one\nSHELL ["/bin/sh", "-ec"]\nFROM base\nCMD echo hi\n'),
    Case("shell-changes-run", 'FROM base\nSHELL ["/bin/busybox", "env", "-i"]\nRUN sh -c "env > /e"\n', fails=True),
]
_CASES_OF_HEALTHCHECK = [
    Case(
        "healthcheck",
        "FROM base\nHEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=4 CMD wget -q x\n",
        builders=BOTH,
    ),
    Case("healthcheck-exec", 'FROM base\nHEALTHCHECK CMD ["/bin/true"]\n'),
    Case("healthcheck-none", "FROM base\nHEALTHCHECK NONE\n", builders=BOTH),
    Case("healthcheck-none-over-base", "FROM with-health\nHEALTHCHECK NONE\n"),
    Case("healthcheck-inherited", "FROM with-health\nENV A=1\n"),
    Case(
        "healthcheck-twice",
        "FROM base\nHEALTHCHECK --interval=1h CMD a\nHEALTHCHECK --retries=200 CMD b\n",
        builders=BOTH,
        tolerated={"classic": keys("last health check", "config.Healthcheck")},
    ),
    Case("healthcheck-fractions", "FROM base\nHEALTHCHECK --interval=1m30s --timeout=1500ms CMD a\n"),
    Case(
        "healthcheck-start-interval",
        "FROM base\nHEALTHCHECK --start-period=1m --start-interval=2s CMD a\n",
    ),
]
_CASES_OF_STOPSIGNAL = [
    Case("stopsignal", "FROM base\nSTOPSIGNAL SIGUSR1\n"),
    Case("stopsignal-number", "FROM base\nSTOPSIGNAL 9\n", builders=BOTH),
    Case("stopsignal-variable", "FROM base\nARG S=INT\nSTOPSIGNAL SIG${S}\n"),
    Case("stopsignal-realtime", "FROM base\nSTOPSIGNAL SIGRTMIN+3\n"),
]
CASES = [*_CASES_OF_CMD, *_CASES_OF_ENTRYPOINT, *_CASES_OF_SHELL, *_CASES_OF_HEALTHCHECK, *_CASES_OF_STOPSIGNAL]
