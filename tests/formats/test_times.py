"""Times: what is printed is read again to the nanosecond, zones count, and no calendar is made up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.times import format_time, now, parse_moment, parse_time, parse_unix

FIRST = -62135596800 * 10**9  # the year 1
LAST = 253402300800 * 10**9 - 1  # the end of the year 9999
times = st.integers(FIRST, LAST)


@pytest.fixture(autouse=True, scope="module")
def _half_past_india() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "IST-5:30"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@given(times)
def test_what_is_printed_is_read_again(time_ns: int) -> None:
    text = format_time(time_ns)
    assert parse_time(text) == parse_time(text.lower()) == parse_moment(text) == time_ns
    assert not text.endswith(("0Z", ".Z")) or "." not in text


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_500_000_000, "1970-01-01T00:00:01.5Z"), (1, "1970-01-01T00:00:00.000000001Z")],
)
def test_time_as_go_prints_it(time_ns: int, text: str) -> None:
    assert format_time(time_ns) == text


@given(times, st.integers(0, 9))
def test_digits_are_cut(time_ns: int, digits: int) -> None:
    text = format_time(time_ns, digits)
    assert len(text) == 20 + (digits and digits + 1)
    assert parse_time(text) == time_ns - time_ns % 10 ** (9 - digits)


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_zones_count_as_the_calendar_says(moment: datetime, zone: timezone) -> None:
    moment = moment.replace(tzinfo=zone)
    elapsed = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_time(moment.isoformat()) == elapsed * 1000


@given(st.text("0123456789-+:.TZtz ٣", max_size=32))
def test_a_text_is_a_time_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert parse_time(format_time(parse_time(text))) == parse_time(text)
    with suppress(InvalidInput):
        assert isinstance(parse_moment(text), int)


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2024-02-30T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00+0100", "20240101T000000Z",
        "2024-W01-1T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01",
        "2024-01-01T00:00:00.Z", "٢٠٢٤-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.text("0123456789", max_size=12))
def test_unix_seconds(seconds: int, fraction: str) -> None:
    expected = seconds * 10**9 + int(fraction[:9].ljust(9, "0"))
    assert parse_moment(str(seconds)) == seconds * 10**9
    assert parse_unix(f"{seconds}.{fraction}") == parse_moment(f"{seconds}.{fraction}") == expected


@pytest.mark.parametrize("text", ["", ".", "1e3", " 1", "1" * 19, "٣", "--1"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    assert parse_unix(text) is None


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("2024-02-29", "2024-02-29T00:00:00+05:30"), ("2024-02-29Z", "2024-02-29T00:00:00Z"),
        ("2024-02-29T12", "2024-02-29T12:00:00+05:30"), ("2024-02-29 12:34", "2024-02-29T12:34:00+05:30"),
        ("2024-02-29T12:34:56.5", "2024-02-29T12:34:56.5+05:30"), ("2024-02-29T12+0100", "2024-02-29T12:00:00+01:00"),
    ],
)  # fmt: skip
def test_the_beginning_of_a_time_is_local(text: str, full: str) -> None:
    assert parse_moment(text) == parse_time(full)


def test_ages_count_back_from_now() -> None:
    before = time.time_ns()
    assert before - 600 * 10**9 <= parse_moment("10m") <= time.time_ns() - 600 * 10**9
    assert before <= parse_time(now()) <= time.time_ns()


@pytest.mark.parametrize("text", ["", "yesterday", "1y", "2024-1-1", "2024-02-30", "2024-01-01T25", "2024-01-01T12.5"])
def test_what_is_no_moment_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match=f'invalid time "{text}"'):
        parse_moment(text)


@pytest.mark.parametrize("seconds", [-62167219201, 253402300800, 10**18])
def test_years_that_rfc_3339_does_not_have(seconds: int) -> None:
    with pytest.raises(ValueError):
        format_time(seconds * 10**9)
