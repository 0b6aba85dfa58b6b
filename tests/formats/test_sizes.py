"""Sizes: every spelling of a unit is a power of 1024, and people read powers of 1000."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.sizes import binary_size, human_size, parse_size

POWERS = {"": 0, "b": 0, **{f"{u}{end}": n for n, u in enumerate("kmgtp", 1) for end in ("", "b", "ib")}}


@given(
    number=st.integers(0, 2**13 - 1),
    unit=st.sampled_from(sorted(POWERS)),
    gap=st.sampled_from(["", " ", "  "]),
    upper=st.booleans(),
)
def test_every_spelling_of_a_unit_counts_in_1024(number: int, unit: str, gap: str, upper: bool) -> None:
    assert parse_size(f"{number}{gap}{unit.upper() if upper else unit}") == number * 1024 ** POWERS[unit]


@given(st.integers(0, 2**63 - 1))
def test_plain_numbers_are_exact(number: int) -> None:
    assert parse_size(str(number)) == parse_size(f"{number}b") == number


@given(st.integers(0, 2**20), st.integers(0, 1023))
def test_fractions_count(whole: int, part: int) -> None:
    assert parse_size(f"{whole}.{part * 5**10:010d}k") == whole * 1024 + part


@given(st.text("0123456789.+-kmgtpibKMGTPIB e٣", max_size=10))
def test_a_text_is_a_size_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert 0 <= parse_size(text) < 2**63


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1x", "1 2", "1e3", "1ib", ".", ".k", "8192p", "9" * 300_000, "9" * 400 + ".5", "٣k"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid tmpfs-size"):
        parse_size(text, "tmpfs-size")


@given(st.integers(0, 10**27))
def test_what_people_read_is_right_to_its_digits(size: int) -> None:
    text = human_size(size)
    unit = text.lstrip("0123456789.e+")
    power = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB").index(unit)
    assert float(text.removesuffix(unit)) * 1000**power == pytest.approx(size, rel=1e-3)


def test_sizes_are_told_as_docker_tells_them() -> None:
    assert [human_size(n) for n in (0, 999, 1000, 1982340, 10**9)] == ["0B", "999B", "1kB", "1.982MB", "1GB"]
    assert human_size(1982340, 3) == "1.98MB"
    assert [binary_size(n) for n in (412 * 1024, 25275 * 1024 * 1024)] == ["412KiB", "24.68GiB"]
