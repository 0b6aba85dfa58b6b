"""The text of a Dockerfile: comments, directives, continuations, case, and what is refused."""

from __future__ import annotations

from differential.build_cases.case import BOTH, CLASSIC, Case
from differential.differences import SCRATCH, Difference

_CASES_OF_TEXT = [
    Case("escape-directive", "# escape=`\nFROM base\nENV A=1 `\n    B=2\n", builders=BOTH),
    Case("escape-directive-keeps-backslash", "# escape=`\nFROM base\nENV A=C:\\dir B=`$A\nRUN echo 'a\\b' > /o\n"),
    Case(
        "comments-and-continuations",
        "# hello\nFROM base\nRUN echo a && \\\n  # inside\n  echo b \\\n\n  > /x\n",
        builders=BOTH,
    ),
    Case("comment-after-instruction-stays", "FROM base\nRUN echo a # comment > /x\nCMD echo # b\n", builders=CLASSIC),
    Case("case-insensitive", 'from base\nenv a=b\ncmd ["x"]\n'),
    Case("heading-blank-lines", "\n\n# c\n\nFROM base\n\nCMD x\n"),
    Case("carriage-returns", "FROM base\r\nENV A=1\r\nRUN echo 1 \\\r\n > /x\r\n"),
    Case("byte-order-mark", "\ufeffFROM base\nENV A=1\n"),
    Case("continuation-in-word", "FROM base\nENV LO\\\nNG=1\nRUN ec\\\nho 1 > /x\n"),
    Case("unicode-text", 'FROM base\nLABEL naïve="日本 ü"\nRUN echo ü > /ü\n'),
    Case("long-line", f"FROM base\nENV A={'x' * 5000}\n"),
    Case(
        "scratch-config",
        'FROM scratch\nENV A=1\nCOPY a.txt /\nCMD ["/x"]\n',
        tolerated={"buildkit": SCRATCH},
        builders=BOTH,
    ),
    Case(
        "dockerfile-elsewhere", "FROM base\nENV A=1\n", files={"sub/F": "FROM base\nENV A=2\n"}, flags=("-f", "sub/F")
    ),
]
_CASES_OF_REFUSALS = [
    Case("unknown-instruction", "FROM base\nRUNN echo\n", fails=True),
    Case("no-from", "RUN echo\n", fails=True),
    Case("empty", "\n", fails=True),
    Case("bad-signal", "FROM base\nSTOPSIGNAL SIGNOPE\n", fails=True),
    Case("onbuild-from", "FROM base\nONBUILD FROM base\n", fails=True),
    Case("bad-substitution", "FROM base\nENV A=${B\n", fails=True),
    Case("stage-of-itself", "FROM base AS s\nCOPY --from=s /f /g\n", fails=True),
    Case(
        "workdir-empty-variable",
        "FROM base\nWORKDIR $NOPE\n",
        tolerated={"buildkit": Difference("empty WORKDIR", refused_by="lamina")},
    ),
]
CASES = [*_CASES_OF_TEXT, *_CASES_OF_REFUSALS]
