"""`--security-opt`: what is read, and what is refused."""

from __future__ import annotations

import pytest

from lamina.errors import InvalidInput
from lamina.runtime.security import SecurityOptions, parse


def test_options_are_read() -> None:
    options = parse(
        (
            "no-new-privileges",
            "apparmor=mine",
            "label=type:t",
            "label:level:s0",
            "disable",
            'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
            "writable-cgroups",
        )
    )
    profile = {"defaultAction": "SCMP_ACT_ALLOW"}
    assert options == SecurityOptions(True, profile, "mine", ("type:t", "level:s0", "disable"), True)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("no-new-privileges=false", SecurityOptions()),
        ("no-new-privileges:1", SecurityOptions(no_new_privileges=True)),
        ("writable-cgroups=false", SecurityOptions(writable_cgroups=False)),
        ("seccomp=unconfined", SecurityOptions(seccomp="unconfined")),
        ("seccomp=builtin", SecurityOptions(seccomp="builtin")),
    ],
)
def test_values_are_read(option: str, expected: SecurityOptions) -> None:
    assert parse((option,)) == expected


@pytest.mark.parametrize(
    "option",
    ["", "what", "what=1", "no-new-privileges=maybe", "writable-cgroups=x", "seccomp=[1]", "seccomp={", "apparmor"],
)
def test_others_are_refused(option: str) -> None:
    with pytest.raises(InvalidInput):
        parse((option,))
