"""Locks by key: one holder of a key at a time, others undisturbed, and nothing left behind."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.keylocks import InUse, KeyLocks

keys = st.lists(st.integers(0, 3), max_size=40)


@settings(max_examples=30, deadline=None)
@given(st.lists(keys, min_size=2, max_size=5))
def test_a_key_has_one_holder_at_a_time(work: list[list[int]]) -> None:
    locks: KeyLocks[int] = KeyLocks()
    inside: Counter[int] = Counter()
    crowded: list[int] = []

    def run(keys: list[int]) -> None:
        for key in keys:
            with locks.hold(key), locks.hold(key):
                inside[key] += 1
                if inside[key] > 1:
                    crowded.append(key)
                inside[key] -= 1

    with ThreadPoolExecutor(len(work)) as threads:
        list(threads.map(run, work))
    assert not crowded
    assert len(locks) == 0


def test_another_key_does_not_wait_and_the_same_one_does() -> None:
    locks: KeyLocks[str] = KeyLocks()
    passed = threading.Event()

    def pass_through() -> None:
        with locks.hold("a"):
            passed.set()

    other = threading.Thread(target=pass_through)
    with locks.hold("a"):
        other.start()
        with locks.hold("b"):
            assert len(locks) == 2
        assert not passed.wait(0.05)
    other.join(10)
    assert passed.is_set()
    assert len(locks) == 0


@given(keys)
def test_users_share_a_value_until_the_last_one_leaves(keys: list[int]) -> None:
    values: InUse[int, object] = InUse(object)
    for key in keys:
        with values.use(key) as first:
            with values.use(key) as second:
                assert first is second
            with values.use(key) as third:
                assert first is third
        assert len(values) == 0


def test_a_failure_inside_leaves_nothing() -> None:
    locks: KeyLocks[str] = KeyLocks()
    with pytest.raises(ZeroDivisionError), locks.hold("a"):
        raise ZeroDivisionError
    assert len(locks) == 0
