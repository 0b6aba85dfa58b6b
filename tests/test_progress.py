"""The callback of callers that do not want to know."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.progress import Output, Report, ignore


@given(st.lists(st.integers() | st.text() | st.none(), max_size=4))
def test_it_takes_whatever_a_callback_is_given(values: list[object]) -> None:
    callback: Callable[..., object] = ignore
    assert callback(*values) is None


def test_it_serves_as_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    report: Report = ignore
    report(Output("text"))
    assert capsys.readouterr() == ("", "")
