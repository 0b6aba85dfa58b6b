"""Source policies: what rules allow, deny and change."""

from __future__ import annotations

import pytest

from lamina.builder.source_policy import Action, Condition, Match, Rule, SourcePolicy
from lamina.errors import Forbidden, InvalidInput, LaminaError, Unsupported

ALPINE = "docker-image://docker.io/library/alpine:latest"
BUSYBOX = "docker-image://docker.io/library/busybox:latest"
DENY_ALL = Rule(Action.DENY, "*")


def policy(*rules: Rule) -> SourcePolicy:
    return SourcePolicy((rules,))


@pytest.mark.parametrize(
    ("rules", "is_allowed"),
    [
        ([], True),
        ([DENY_ALL], False),
        ([DENY_ALL, Rule(Action.ALLOW, ALPINE)], True),
        ([Rule(Action.ALLOW, ALPINE), DENY_ALL], False),
        ([Rule(Action.DENY, "docker-image://*/library/busybox:*")], True),
        ([Rule(Action.DENY, "docker-image://*/library/al*:*")], False),
        ([Rule(Action.DENY, "docker-image://*/*/*:*")], False),
        ([Rule(Action.DENY, "docker-image://*/*/*/*:*")], True),
        ([Rule(Action.DENY, "*alpine")], True),
        ([Rule(Action.DENY, "docker-image://docker.io/library/alpine:*:latest")], True),
        ([Rule(Action.DENY, "docker-image://*", Match.EXACT)], True),
        ([Rule(Action.DENY, ALPINE, Match.EXACT)], False),
        ([Rule(Action.DENY, r"/alpine(:|$)", Match.REGEX)], False),
        ([Rule(Action.DENY, r"^alpine", Match.REGEX)], True),
        ([Rule(Action.DENY, "*", constraints=(("http.checksum", "", Condition.EQUAL),))], False),
        ([Rule(Action.DENY, "*", constraints=(("http.checksum", "", Condition.NOT_EQUAL),))], True),
        ([Rule(Action.DENY, "*", constraints=(("http.checksum", "^sha256:", Condition.MATCHES),))], True),
    ],
)
def test_the_last_rule_that_fits_decides(rules: list[Rule], is_allowed: bool) -> None:
    if is_allowed:
        assert policy(*rules).source(ALPINE) == (ALPINE, {})
    else:
        with pytest.raises(Forbidden, match="denied by policy"):
            policy(*rules).source(ALPINE)


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        (Rule(Action.CONVERT, ALPINE, identifier=BUSYBOX), BUSYBOX),
        (
            Rule(Action.CONVERT, "docker-image://docker.io/*", identifier="docker-image://mirror.test/$1"),
            "docker-image://mirror.test/library/alpine:latest",
        ),
        (
            Rule(
                Action.CONVERT, "library/(?P<n>[a-z]+):(.*)$", Match.REGEX, identifier="docker-image://m.test/${n}:$2$$"
            ),
            "docker-image://m.test/alpine:latest$",
        ),
    ],
)
def test_a_source_becomes_another(rule: Rule, becomes: str) -> None:
    assert policy(rule).source(ALPINE) == (becomes, {})
    with pytest.raises(Forbidden, match=becomes.replace("$", r"\$")):
        SourcePolicy(((rule,), (Rule(Action.DENY, becomes, Match.EXACT),))).source(ALPINE)


def test_a_wildcard_takes_as_much_as_it_can() -> None:
    rule = Rule(Action.CONVERT, "a*/*b*c", identifier="$1|$2|$3|${4}")
    assert policy(rule).source("ax/y/zb/bbc") == ("x/y/zb|b||", {})


def test_an_address_may_get_a_checksum() -> None:
    rule = Rule(
        Action.CONVERT, "https://a.test/*", attributes={"http.checksum": "sha256:1"}, identifier="https://b.test/$1"
    )
    assert policy(rule).address("https://a.test/x") == ("https://b.test/x", "sha256:1")
    assert policy(rule).address("https://c.test/x", "sha256:2") == ("https://c.test/x", "sha256:2")
    git = Rule(Action.CONVERT, "git://a.test/*", identifier="git://b.test/$1")
    assert policy(git).address("https://a.test/x.git#main:sub", "abc") == ("https://b.test/x.git#main:sub", "abc")
    assert policy(git).address("https://c.test/x.git#main") == ("https://c.test/x.git#main", "")
    with pytest.raises(InvalidInput, match="of another kind"):
        policy(Rule(Action.CONVERT, "https://*", identifier=ALPINE)).address("https://a.test/x")


def test_rules_that_change_a_source_without_end_are_refused() -> None:
    rules = (Rule(Action.CONVERT, ALPINE, identifier=BUSYBOX), Rule(Action.CONVERT, BUSYBOX, identifier=ALPINE))
    with pytest.raises(InvalidInput, match="without end"):
        policy(*rules).source(ALPINE)


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("(", InvalidInput),
        ("(a+)+$", Unsupported),
        ("(a|a)*$", Unsupported),
        (".*.*.*.*x", Unsupported),
        (r"(.)\1", Unsupported),
        (r"(?P<n>.)(?P=n)", Unsupported),
        ("(?=a)b", Unsupported),
        ("(?i)(A{2}){3}", Unsupported),
    ],
)
def test_patterns_that_could_take_for_ever_are_refused(pattern: str, error: type[LaminaError]) -> None:
    with pytest.raises(error):
        Rule(Action.DENY, pattern, Match.REGEX)
    with pytest.raises(error):
        Rule(Action.DENY, "*", constraints=(("key", pattern, Condition.MATCHES),))


def test_a_long_source_is_not_compared() -> None:
    with pytest.raises(InvalidInput, match="more than 1024 characters"):
        policy(Rule(Action.DENY, "x", Match.REGEX)).source("http://a.test/" + "a" * 1024)
    with pytest.raises(Forbidden):
        policy(DENY_ALL).source("http://a.test/" + "a" * 1024)
    with pytest.raises(InvalidInput, match=r"\*\*"):
        Rule(Action.DENY, "a**")
