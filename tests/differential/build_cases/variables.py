"""ENV and ARG: how values are written, expanded, inherited and given."""

from __future__ import annotations

from differential.build_cases.case import BOTH, Case
from differential.differences import SCRATCH, paths

_CASES_OF_ENV = [
    Case(
        "env-forms",
        'FROM base\nENV A=1 B="two words" C=t\\ w\nENV D legacy form here\nENV E=$A-$B F=${MISSING:-dflt}\n',
        builders=BOTH,
    ),
    Case("env-override", "FROM base\nENV PATH=/opt/bin:$PATH\nENV A=1\nENV A=2 B=$A\n"),
    Case("env-quotes", 'FROM base\nENV A=\'$HOME\' B="$PATH" C=a\\$b D="q\\"q"\n', builders=BOTH),
    Case(
        "env-alternatives",
        "FROM base\nENV A=x\nENV B=${A:+set} C=${NOPE:+set} D=${NOPE:-none} E=${A}y\n",
        builders=BOTH,
    ),
    Case("env-unset-forms", "FROM base\nENV E=\nENV A=${E-a} B=${E:-b} C=${E+c} D=${E:+d} F=${N-f} G=${N+g}\n"),
    Case("env-nested-default", "FROM base\nENV A=1\nENV B=${N:-${M:-$A}} C=${A:+<$A>}\n"),
    Case("env-dollar-alone", "FROM base\nENV A=$ B=a$ C='$' D=\\$\n"),
    Case("env-old-form-keeps-quotes", "FROM base\nENV A \"quoted\" and 'more'\n"),
    Case("env-in-run", "FROM base\nENV A='a b' B=2\nRUN echo \"$A-$B-${C:-none}\" > /o\n"),
    Case(
        "env-patterns",
        "FROM base\nENV A=foo.tar.gz\nENV B=${A#f*o} C=${A##*.} D=${A%.*} E=${A%%.*} F=${A/o/0} G=${A//o/0}\n",
    ),
    Case("env-required", "FROM base\nENV A=${NOPE:?it must be set}\n", fails=True),
]
_CASES_OF_ARG = [
    Case("arg-default", "FROM base\nARG A=1\nENV E=$A\n", builders=BOTH),
    Case("arg-given", "FROM base\nARG A=1\nENV E=$A\n", flags=("--build-arg", "A=7"), builders=BOTH),
    Case("arg-without-default", "FROM base\nARG A\nENV E=x$A\nRUN echo ${A-unset} > /a\n"),
    Case(
        "arg-env-wins", "FROM base\nARG A=1\nENV A=2\nRUN echo $A > /a\n", flags=("--build-arg", "A=7"), builders=BOTH
    ),
    Case(
        "arg-after-env",
        "FROM base\nENV A=2\nARG A=1\nRUN echo $A > /a\n",
        tolerated={"buildkit": paths("argument over environment", "a")},
    ),
    Case("arg-global", "ARG TAG=latest\nFROM base:$TAG\nARG TAG\nENV E=$TAG\n"),
    Case("arg-global-hidden", "ARG G=1\nFROM base\nENV E=x$G\n"),
    Case("arg-global-uses-global", "ARG A=base\nARG B=${A}:latest\nFROM $B\nARG B\nENV E=$B\n"),
    Case("arg-run", "FROM base\nARG A=1\nRUN echo $A > /a\n", flags=("--build-arg", "A=9"), builders=BOTH),
    Case("arg-many", "FROM base\nARG A=1 B=2 C\nENV E=$A$B$C\n", flags=("--build-arg", "C=3")),
    Case("arg-per-stage", "FROM base AS one\nARG A=1\nENV E=$A\nFROM base\nENV E=x$A\n"),
    Case("arg-inherited-by-stage", "FROM base AS one\nARG A=1\nFROM one\nENV E=x$A\n"),
    Case("arg-in-copy-and-workdir", "FROM base\nARG D=/w\nARG F=a.txt\nWORKDIR $D\nCOPY ${F} ${F}.copy\n"),
    Case(
        "arg-proxy-is-predefined",
        "FROM base\nRUN echo $HTTP_PROXY > /o\n",
        flags=("--build-arg", "HTTP_PROXY=http://x"),
    ),
    Case(
        "arg-of-stage-name",
        "ARG WHICH=two\nFROM base AS one\nENV A=1\nFROM base AS two\nENV A=2\nFROM $WHICH\nENV B=1\n",
        flags=("--build-arg", "WHICH=one"),
    ),
]
_CASES_OF_PLATFORM_ARGUMENTS = [
    Case(
        "arg-platform",
        "FROM base\nARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETARCH\nARG TARGETVARIANT\nARG BUILDPLATFORM\n"
        "ENV E=$TARGETPLATFORM:$TARGETOS:$TARGETARCH:$TARGETVARIANT:$BUILDPLATFORM\n",
    ),
    Case(
        "arg-platform-of-another",
        "FROM scratch\nARG TARGETARCH\nARG TARGETVARIANT\nENV E=$TARGETARCH-$TARGETVARIANT\nCOPY a.txt /\n",
        flags=("--platform", "linux/arm/v7"),
        tolerated={"buildkit": SCRATCH},
    ),
    Case("arg-target-stage", "FROM base AS x\nARG TARGETSTAGE\nENV E=$TARGETSTAGE\n"),
    Case(
        "arg-epoch",
        "FROM base\nARG SOURCE_DATE_EPOCH\nENV E=$SOURCE_DATE_EPOCH\nCOPY a.txt /\n",
        flags=("--build-arg", "SOURCE_DATE_EPOCH=1500000000"),
    ),
]
CASES = [*_CASES_OF_ENV, *_CASES_OF_ARG, *_CASES_OF_PLATFORM_ARGUMENTS]
