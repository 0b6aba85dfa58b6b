"""The build checks: a page for each rule whose examples are true, files that must and must not be reported, options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lamina.dockerfile.checks.check import Checked, check
from lamina.dockerfile.checks.findings import MOST
from lamina.dockerfile.checks.rules import RULES
from lamina.dockerfile.checks.scope import BaseFacts, Surroundings
from lamina.dockerfile.dockerfile import parse
from lamina.dockerfile.ignore import IgnoreMatcher, parse_ignore
from lamina.errors import InvalidInput
from lamina.formats.platform import Platform

PAGES = Path(__file__).parents[2] / "docs/checks"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
PREDEFINED = {"TARGETPLATFORM": "linux/amd64", "BUILDPLATFORM": "linux/amd64", "TARGETARCH": "amd64"}


def find_base(name: str, platform: Platform | None) -> BaseFacts | None:
    """The images of these tests: one that nobody knows, one for arm64 only, one with a shell, and plain ones."""
    if name == "unknown":
        return None
    return BaseFacts({"LANG": "C"}, name == "has-shell", (), ARM64 if name == "arm64-only" else AMD64)


def checked(text: str, ignore: str = "", target: int | None = None, **build_args: str) -> Checked:
    matcher = IgnoreMatcher(parse_ignore(ignore)) if ignore else None
    surroundings = Surroundings(build_args, PREDEFINED, AMD64, matcher, find_base)
    return check(parse(text), surroundings, target=target)


def names(result: Checked) -> list[str]:
    return [f"{finding.rule.name} {finding.lines}" for finding in result.findings]


@pytest.mark.parametrize("name", sorted(RULES))
def test_each_rule_has_a_page_whose_examples_are_true(name: str) -> None:
    text = (PAGES / f"{RULES[name].page}.md").read_text()
    before, _, rest = text.partition("## Wrong")
    wrong, _, right = rest.partition("## Right")
    ignore = "".join(block for kind, block in BLOCK.findall(before) if kind == "ignore")
    (bad,), (good,) = (
        [block for kind, block in BLOCK.findall(part) if kind == "dockerfile"] for part in (wrong, right)
    )

    assert text.startswith(f"# {name}\n")
    assert {finding.rule.name for finding in checked(bad, ignore).findings} >= {name}
    assert not checked(good, ignore).findings
    assert f"[{name}]({RULES[name].page}.md)" in (PAGES / "README.md").read_text()


def test_no_page_is_about_a_rule_that_is_gone() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {rule.page for rule in RULES.values()} | {"README"}


def test_rules_are_left_out_by_directive_argument_and_comment() -> None:
    bad = "FROM busybox AS Build\nCMD echo\n"
    assert names(checked(bad)) == ["StageNameCasing 1", "JSONArgsRecommended 2"]
    assert names(checked(f"# check=skip=JSONArgsRecommended\n{bad}")) == ["StageNameCasing 2"]
    assert not checked(f"# check=skip=all\n{bad}").findings
    assert not checked(bad, BUILDKIT_DOCKERFILE_CHECK="skip=StageNameCasing,JSONArgsRecommended").findings
    assert len(checked(f"# check=skip=all\n{bad}", BUILDKIT_DOCKERFILE_CHECK="").findings) == 2
    assert names(checked("FROM busybox AS Build\n# check=skip=JSONArgsRecommended\nCMD echo\n")) == [
        "StageNameCasing 1"
    ]


def test_an_error_is_made_of_findings_where_the_file_asks_for_it() -> None:
    checked("FROM busybox AS Build\n").refuse()
    checked("# check=error=true\nFROM busybox AS build\n").refuse()
    with pytest.raises(InvalidInput, match="lint violation found for rules: JSONArgsRecommended, StageNameCasing"):
        checked("# check=error=true\nFROM busybox AS Build\nCMD echo\n").refuse()
    with pytest.raises(InvalidInput, match="failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK"):
        checked("FROM busybox\n", BUILDKIT_DOCKERFILE_CHECK="skip")


def test_only_what_a_target_needs_is_searched_for_undefined_names() -> None:
    stages = ("busybox AS a\nUSER $A", "busybox AS b\nUSER $B", "busybox AS c\nCOPY --from=a /x /$C", "b\nUSER $D")
    file = "".join(f"FROM {stage}\n" for stage in stages)
    assert names(checked(file)) == [f"UndefinedVar {line}" for line in (2, 4, 6, 8)]
    assert names(checked(file, target=2)) == ["UndefinedVar 2", "UndefinedVar 6"]
    assert names(checked(file, target=3)) == ["UndefinedVar 4", "UndefinedVar 8"]
    mounted = "FROM busybox AS a\nUSER $A\nFROM busybox\nRUN --mount=from=a,target=/$B true\n"
    assert names(checked(mounted, target=1)) == ["UndefinedVar 2", "UndefinedVar 4"]


def test_names_come_from_the_base_and_from_the_stage_below() -> None:
    assert not checked("FROM busybox\nENV A=$LANG$PATH\n").findings
    assert names(checked("FROM busybox\nENV A=$LANC\n")) == ["UndefinedVar 2"]
    assert not checked("FROM unknown\nENV A=$LANC\n").findings
    assert not checked("FROM busybox AS a\nARG X\nFROM a\nENV A=$X\n").findings
    assert not checked("FROM busybox AS a\nONBUILD ARG X\nFROM a\nENV A=$X\n").findings
    (finding,) = checked("FROM busybox\nENV A=$PAHT\n").findings
    assert finding.detail == "Usage of undefined variable '$PAHT' (did you mean $PATH?)"


def test_a_mistake_that_no_build_accepts_ends_the_check_at_its_line() -> None:
    result = checked("FROM busybox AS A\nCMD x\nENV A=${B:?missing}\nCMD y\n")
    assert names(result) == ["StageNameCasing 1", "JSONArgsRecommended 2"]
    assert result.mistake is not None
    assert (result.mistake.facts["line"], result.mistake.facts["reason"]) == (3, "B: missing")


def test_a_hostile_file_has_a_bounded_number_of_findings() -> None:
    text = "FROM busybox\n" + "".join(f"USER $undefined{number}\n" for number in range(MOST * 3))
    assert len(checked(text).findings) == MOST
