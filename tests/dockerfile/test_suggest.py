"""Guesses at what the writer meant, in BuildKit's form."""

from __future__ import annotations

import pytest

from lamina.dockerfile.suggest import with_guess


@pytest.mark.parametrize(
    ("message", "near", "told"),
    [
        ("unknown instruction: COPPY", "COPY", "unknown instruction: COPPY (did you mean COPY?)"),
        ("unknown instruction: BADCMD", "CMD", "unknown instruction: BADCMD"),
        (
            'target stage "bulid" could not be found',
            "build",
            'target stage "bulid" could not be found (did you mean build?)',
        ),
        (
            "no value for ${BULIDPLATFORM} at",
            "BUILDPLATFORM",
            "no value for ${BULIDPLATFORM} at (did you mean BUILDPLATFORM?)",
        ),
        ("unknown flag: --frm", "--from", "unknown flag: --frm (did you mean from?)"),
    ],
)
def test_only_near_words_are_told_to_buildkits_clients(message: str, near: str, told: str) -> None:
    message, rest = with_guess(message, f"Did you mean {near}? Look again.")
    assert message.startswith(told)
    assert rest == "Look again."
