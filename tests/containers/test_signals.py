"""Signals by name and number."""

from __future__ import annotations

import pytest

from lamina.containers.stop import parse_signal
from lamina.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 9),
        ("15", 15),
        ("1", 1),
        ("64", 64),
        ("KILL", 9),
        ("SIGKILL", 9),
        ("sigterm", 15),
        ("CLD", 17),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMIN+30", 64),
        ("RTMAX", 64),
        ("SIGRTMAX-14", 50),
        ("RTMAX-30", 34),
    ],
)
def test_signals_are_known(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    "text",
    ["SIG42", "SIG", "0", "65", "-1", "9999999", "NOTHING", "SIGSIGKILL", "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMAX-31",
     "RTMIN+", "RTMIN 3", "\u0663"],
)  # fmt: skip
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"^Invalid signal: {text}$".replace("+", r"\+")):
        parse_signal(text)
