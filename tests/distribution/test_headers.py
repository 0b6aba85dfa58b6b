"""Headers of the protocol, written and read: challenges, ranges, links, waiting times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.distribution.headers import (
    Challenge,
    next_link,
    parse_byte_range,
    parse_challenges,
    parse_offsets,
    retry_after,
)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        ("Negotiate", [Challenge("negotiate")]),
        (
            'Bearer realm="https://a/t?x=1,2",service="s s",scope="repository:a:pull,push"',
            [Challenge("bearer", {"realm": "https://a/t?x=1,2", "service": "s s", "scope": "repository:a:pull,push"})],
        ),
        (
            'Basic realm="a \\"b\\"", Bearer realm=c, service="d"',
            [Challenge("basic", {"realm": 'a "b"'}), Challenge("bearer", {"realm": "c", "service": "d"})],
        ),
        ("", []),
        ('="', []),
    ],
)
def test_challenges(header: str, found: list[Challenge]) -> None:
    assert parse_challenges(header) == found


@given(st.text(max_size=200) | st.text(alphabet='Basic realm=",\\ ', max_size=200))
def test_any_header_parses_to_something(header: str) -> None:
    parse_challenges(header)
    next_link(header)
    parse_offsets(header)
    retry_after(header)


@given(st.integers(0, 50), st.integers(0, 50) | st.none(), st.integers(0, 50) | st.none())
def test_byte_ranges_select_what_slices_do(size: int, first: int | None, last: int | None) -> None:
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    content = bytes(range(size))
    if first is None and last is None:
        with pytest.raises(ValueError, match="range"):
            parse_byte_range(header, size)
        return
    if first is None:
        expected = content[max(0, size - (last or 0)) :]
    else:
        expected = content[first:] if last is None else content[first : last + 1]
    found = parse_byte_range(header, size)
    assert (b"" if found is None else content[found[0] : found[1] + 1]) == expected


@pytest.mark.parametrize("header", ["bytes=-", "bytes=1-2,3-4", "items=1-2", "bytes=a-b", "bytes=1", "bytes=-1-2"])
def test_other_ranges_are_not_understood(header: str) -> None:
    with pytest.raises(ValueError, match="range"):
        parse_byte_range(header, 100)


def test_waiting_times() -> None:
    assert retry_after("7") == 7
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=0) == 60
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=100) == 0
    assert retry_after("soon") is None
    assert retry_after(None) is None


def test_links_and_offsets() -> None:
    assert next_link('</v2/_catalog?n=1&last=a>; rel="next"') == "/v2/_catalog?n=1&last=a"
    assert next_link('<x>; rel="prev"') is None
    assert parse_offsets("0-99") == (0, 99)
    assert parse_offsets("bytes 5-9/10") == (5, 9)
    assert parse_offsets("bytes=0-0") == (0, 0)
    assert parse_offsets("a-b") is None
