"""A cache of bounded size, compared with a list of what was used in what order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lamina.lru import LruCache

keys = st.integers(0, 5)
steps = st.lists(st.tuples(st.sampled_from(["get", "put", "pop", "clear"]), keys), max_size=60)


@given(steps, st.integers(1, 4))
def test_the_newest_used_stay_and_what_leaves_is_told(steps: list[tuple[str, int]], capacity: int) -> None:
    dropped: list[str] = []
    cache: LruCache[int, str] = LruCache(capacity, dropped.append)
    order: list[tuple[int, str]] = []  # the oldest first
    told: list[str] = []
    for number, (step, key) in enumerate(steps):
        held = dict(order)
        others = [pair for pair in order if pair[0] != key]
        if step == "get":
            assert cache.get(key) == held.get(key)
            order = [*others, (key, held[key])] if key in held else order
        elif step == "put":
            cache.put(key, f"value {number}")
            told += [held[key]] if key in held else []
            order = [*others, (key, f"value {number}")]
            told += [value for _, value in order[:-capacity]]
            order = order[-capacity:]
        elif step == "pop":
            assert cache.pop(key) == held.get(key)
            order = others
        else:
            cache.clear()
            told += [value for _, value in order]
            order = []
        assert dropped == told
        assert len(cache) == len(order)
