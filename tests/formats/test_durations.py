"""Go's durations: what is printed is read again, whatever else is said is refused, and the words of `ps`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.times import format_duration, human_duration, parse_duration

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
MINUTE, HOUR, DAY = 60, 3600, 86400


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_what_is_printed_is_read_again(value: int) -> None:
    assert parse_duration(format_duration(value)) == value


@given(
    sign=st.sampled_from(["", "+", "-"]),
    parts=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(sorted(UNITS))), min_size=1, max_size=5),
)
def test_parts_add_up(sign: str, parts: list[tuple[int, str]]) -> None:
    total = sum(number * UNITS[unit] for number, unit in parts)
    text = sign + "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == (-total if sign == "-" else total)


@given(whole=st.integers(0, 9999), fraction=st.text("0123456789", min_size=1, max_size=12))
def test_fractions_are_exact_and_cut_at_nanoseconds(whole: int, fraction: str) -> None:
    assert parse_duration(f"{whole}.{fraction}s") == whole * 10**9 + int(fraction[:9].ljust(9, "0"))


@given(st.text("0123456789.+-hmsnuµ ٣x", max_size=12))
def test_a_text_is_a_duration_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        value = parse_duration(text)
        assert parse_duration(format_duration(value)) == value


def test_the_error_names_text_and_purpose() -> None:
    with pytest.raises(InvalidInput, match='invalid --health-interval "1d"'):
        parse_duration("1d", "--health-interval")


@pytest.mark.parametrize(
    "text", ["", " ", "1", "-", "1 h", "1h ", "1d", ".h", "1h-1m", "٣s", "9" * 30 + "h", "1" * 300_000, "1h" * 300_000]
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0s"), (5_400 * 10**9, "1h30m0s"), (1_500_000, "1.5ms"), (10**9, "1s"), (1, "1ns"), (-1_500, "-1.5µs")],
)
def test_durations_look_like_gos(value: int, text: str) -> None:
    assert format_duration(value) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"), (1, "1 second"), (45, "45 seconds"), (60, "About a minute"),
        (5 * MINUTE, "5 minutes"), (HOUR, "About an hour"), (1.6 * HOUR, "2 hours"), (47 * HOUR, "47 hours"),
        (3 * DAY, "3 days"), (30 * DAY, "4 weeks"),
        (20 * DAY, "2 weeks"), (70 * DAY, "2 months"), (800 * DAY, "2 years"),
    ],
)  # fmt: skip
def test_durations_are_told_as_docker_tells_them(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words
