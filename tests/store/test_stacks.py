"""Stacks that owners hold: shared below, gone from the top, and right whoever goes first."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lamina.errors import NotFound
from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]


def put(store: Store, count: int) -> list[Digest]:
    return [store.blobs.put(f"content {number}".encode()) for number in range(count)]


def link(store: Store, owner: str, *stack: Digest, single: tuple[Digest, ...] = ()) -> None:
    with store.transaction() as tx:
        tx.link(owner, single, stack)


def unlink(store: Store, owner: str) -> set[Digest]:
    with store.transaction() as tx:
        tx.unlink(owner)
    return set(tx.dropped)


def rows(store: Store) -> int:
    with closing(sqlite3.connect(f"file:{store.root}/metadata.db?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM stack").fetchone()
    return int(count)


def test_a_parent_that_goes_first_leaves_its_child_whole(store: Store) -> None:
    base, middle, top = put(store, 3)
    with store.lease():
        link(store, "image:parent", base, middle)
        link(store, "image:child", base, middle, top)
    assert unlink(store, "image:parent") == set()
    assert all(store.blobs.has(digest) for digest in (base, middle, top))
    with store.read() as view:
        assert view.owned("image:child") == (top, middle, base)
    assert unlink(store, "image:child") == {base, middle, top}
    assert rows(store) == 0


def test_a_child_that_goes_takes_only_its_own(store: Store) -> None:
    base, one, other = put(store, 3)
    link(store, "image:base", base)
    link(store, "image:one", base, one)
    link(store, "image:other", base, other, single=(base,))
    assert unlink(store, "image:one") == {one}
    assert unlink(store, "image:base") == set()
    assert unlink(store, "image:other") == {base, other}


def test_an_owner_changes_its_stack(store: Store) -> None:
    base, old, new = put(store, 3)
    link(store, "container:a", base, old)
    link(store, "container:a", base, new)
    assert not store.blobs.has(old)
    assert store.blobs.has(new)
    link(store, "container:a")
    assert not store.blobs.has(base)


def test_a_build_of_n_steps_takes_n_rows(store: Store) -> None:
    layers = put(store, 100)
    for number in range(1, 101):
        link(store, f"image:{number}", *layers[:number])
    assert rows(store) == 100
    for number in range(1, 100):
        assert unlink(store, f"image:{number}") == set()
    assert store.collect().digests == ()
    assert unlink(store, "image:100") == set(layers)


def test_only_layers_that_are_there(store: Store, absent: Digest) -> None:
    (base,) = put(store, 1)
    with pytest.raises(NotFound) as caught:
        link(store, "image:a", base, absent)
    assert caught.value.facts["digest"] == absent
    assert rows(store) == 0


def test_owners_of_lost_layers_are_known(data_root: Path, add_layer: AddLayer) -> None:
    with Store.open(data_root) as store:
        below, lost = add_layer(store, b"below"), add_layer(store, b"lost")
        link(store, "image:whole", below.diff_id)
        link(store, "image:torn", below.diff_id, lost.diff_id)
        link(store, "container:above", below.diff_id, lost.diff_id, below.diff_id)
        lost.tar.unlink()
    with Store.open(data_root) as store:
        assert store.lost == (lost.diff_id,)
        with store.transaction() as tx:
            assert tx.broken_owners() == ("container:above", "image:torn")
            for owner in tx.broken_owners():
                tx.unlink(owner)
        assert store.layers.has(below.diff_id)
        assert rows(store) == 1


def test_a_store_from_before_keeps_what_it_had(data_root: Path) -> None:
    with Store.open(data_root) as store:
        one, two = put(store, 2)
        link(store, "image:old", single=(one, two))
    with closing(sqlite3.connect(data_root / "metadata.db")) as connection:
        connection.executescript("DROP TABLE stack; DROP TABLE stack_owner; PRAGMA user_version = 1")
    with Store.open(data_root) as store:
        assert store.collect().digests == ()
        link(store, "image:new", one)
        assert unlink(store, "image:old") == {two}
        assert unlink(store, "image:new") == {one}


def test_random_owners_against_a_plain_model(store: Store) -> None:
    dice = random.Random(7)
    contents = [f"content {number}".encode() for number in range(8)]
    held: dict[str, tuple[list[Digest], list[Digest]]] = {}
    for _ in range(400):
        owner = f"image:{dice.randrange(6)}"
        if dice.random() < 0.4:
            unlink(store, owner)
            held.pop(owner, None)
        else:
            with store.lease():
                stack = [store.blobs.put(dice.choice(contents)) for _ in range(dice.randrange(6))]
                if held and dice.random() < 0.6:  # on top of another's, which is where sharing is
                    stack = [*dice.choice([other for _, other in held.values()]), *stack][:9]
                single = [store.blobs.put(dice.choice(contents)) for _ in range(dice.randrange(2))]
                link(store, owner, *stack, single=tuple(single))
            held[owner] = (single, stack)
        needed = {digest for single, stack in held.values() for digest in (*single, *stack)}
        assert {digest for digest in map(Digest.of, contents) if store.blobs.has(digest)} == needed
    assert store.collect().digests == ()
