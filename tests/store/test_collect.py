"""Who keeps content and when it goes: owners, leases, the cache."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]


def own(store: Store, owner: str, *digests: Digest) -> None:
    with store.transaction() as tx:
        tx.link(owner, digests)


def test_only_unowned_content_goes(store: Store, add_layer: AddLayer, files_below: Callable[[Path], set[str]]) -> None:
    kept, lost, layer = store.blobs.put(b"kept"), store.blobs.put(b"lost"), add_layer(store, b"layer")
    own(store, "image:a", kept)
    size = 4 + layer.size + layer.index.stat().st_size
    assert set(store.collect(dry_run=True).digests) == {lost, layer.diff_id}
    assert store.blobs.has(lost)
    collected = store.collect()
    assert set(collected.digests) == {lost, layer.diff_id}
    assert collected.bytes == size
    assert store.blobs.has(kept)
    assert files_below(store.root) == {f"blobs/sha256/{kept.encoded}"}
    assert store.collect().digests == ()


def test_content_goes_with_its_last_owner_at_once(store: Store, add_layer: AddLayer) -> None:
    shared, single = add_layer(store, b"shared"), add_layer(store, b"single")
    own(store, "image:a", shared.diff_id, single.diff_id)
    own(store, "image:b", shared.diff_id)
    with store.transaction() as tx:
        tx.unlink("image:a")
    assert tx.dropped == (single.diff_id,)
    assert not single.tar.exists()
    assert not single.index.exists()
    assert shared.tar.exists()


def test_replacing_what_an_owner_holds_lets_go_of_the_rest(store: Store) -> None:
    old, new = store.blobs.put(b"old"), store.blobs.put(b"new")
    own(store, "cache:x", old)
    own(store, "cache:x", new)
    assert not store.blobs.has(old)
    assert store.blobs.has(new)


def test_a_rolled_back_release_keeps_the_content(store: Store) -> None:
    digest = store.blobs.put(b"x")
    own(store, "image:a", digest)
    with suppress(ZeroDivisionError), store.transaction() as tx:
        tx.unlink("image:a")
        raise ZeroDivisionError
    assert store.blobs.read(digest) == b"x"


def test_a_lease_keeps_new_content(store: Store) -> None:
    with store.lease():
        digest = store.blobs.put(b"new")
        store.collect()
        assert store.blobs.has(digest)
        own(store, "image:a", digest)
    assert store.blobs.has(digest)


def test_what_nothing_took_goes_with_the_lease(store: Store, add_layer: AddLayer) -> None:
    with store.lease():
        taken, left = store.blobs.put(b"taken"), add_layer(store, b"left")
        own(store, "image:a", taken)
    assert store.blobs.has(taken)
    assert not store.layers.has(left.diff_id)


def test_after_a_failure_a_keeping_lease_leaves_it_to_the_next_collect(store: Store) -> None:
    with suppress(ZeroDivisionError), store.lease(keep=True):
        digest = store.blobs.put(b"half a pull")
        raise ZeroDivisionError
    assert store.blobs.has(digest)
    store.collect()
    assert not store.blobs.has(digest)
    with store.lease(keep=True):
        digest = store.blobs.put(b"whole, and nobody wants it")
    assert not store.blobs.has(digest)


def test_a_lease_holds_what_other_threads_make(store: Store) -> None:
    with store.lease() as lease:

        def work() -> None:
            with store.blobs.ingest() as ingest:
                ingest.write(b"made elsewhere")
                lease.add(Digest.of(b"made elsewhere"))
                ingest.commit()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        store.collect()
        assert store.blobs.has(Digest.of(b"made elsewhere"))


def test_adding_to_a_lease_tells_whether_the_content_is_there(store: Store, absent: Digest) -> None:
    digest = store.blobs.put(b"x")
    with store.lease() as lease:
        assert lease.add(digest)
        assert not lease.add(absent)
        store.collect()
        assert store.blobs.has(digest)


def test_a_lease_runs_out(store: Store) -> None:
    with store.lease(ttl=0.0):
        digest = store.blobs.put(b"x")
        store.collect()
        assert not store.blobs.has(digest)


def test_leases_nest(store: Store) -> None:
    with store.lease():
        outer = store.blobs.put(b"outer")
        with store.lease():
            inner = store.blobs.put(b"inner")
        after = store.blobs.put(b"after")
        store.collect()
        assert all(store.blobs.has(digest) for digest in (outer, inner, after))
    assert not any(store.blobs.has(digest) for digest in (outer, inner, after))


def test_leases_of_two_stores_do_not_mix(tmp_path: Path) -> None:
    with Store.open(tmp_path / "one") as one, Store.open(tmp_path / "two") as two:
        with one.lease(), two.lease():
            digest = one.blobs.put(b"of one")
            one.collect()
            assert one.blobs.has(digest)
            assert two.blobs.put(b"of two") != digest
        assert not one.blobs.has(digest)


def test_cached_forms_live_as_long_as_their_layer(store: Store, add_layer: AddLayer) -> None:
    layer, form = add_layer(store, b"layer"), store.blobs.put(b"compressed")
    own(store, "image:a", layer.diff_id)
    store.blobs.cache(form, layer.diff_id)
    assert store.blobs.cached_forms(layer.diff_id) == (form,)
    assert store.collect().digests == ()
    with store.transaction() as tx:
        tx.unlink("image:a")
    assert set(tx.dropped) == {layer.diff_id, form}
    assert store.blobs.cached_forms(layer.diff_id) == ()


def test_no_form_of_a_layer_that_is_gone_is_kept(store: Store, absent: Digest) -> None:
    with store.lease():
        form = store.blobs.put(b"compressed")
        store.blobs.cache(form, absent)
    assert not store.blobs.has(form)


def test_the_cache_has_a_cap_and_drops_the_oldest_first(data_root: Path, add_layer: AddLayer) -> None:
    with Store.open(data_root, cache_bytes=250) as store:
        layer = add_layer(store, b"layer")
        forms = [store.blobs.put(bytes([n]) * 100) for n in range(3)]
        own(store, "image:a", layer.diff_id)
        for form in forms:
            store.blobs.cache(form, layer.diff_id)
        assert store.blobs.cached_forms(layer.diff_id) == (forms[2], forms[1])
        assert not store.blobs.has(forms[0])
        assert store.collect(cache_bytes=0).bytes == 200
        assert store.layers.has(layer.diff_id)


def test_an_owned_blob_leaves_the_cache_but_stays(data_root: Path, add_layer: AddLayer) -> None:
    with Store.open(data_root, cache_bytes=0) as store:
        layer, form = add_layer(store, b"layer"), store.blobs.put(b"compressed")
        own(store, "image:a", layer.diff_id, form)
        store.blobs.cache(form, layer.diff_id)
        store.collect()
        assert store.blobs.has(form)


def test_collect_drops_interrupted_ingests_but_none_that_is_open(store: Store) -> None:
    with store.blobs.ingest(ref="stopped") as ingest:
        ingest.write(b"half")
    with store.blobs.ingest(ref="open") as ingest:
        ingest.write(b"whole")
        store.collect()
        ingest.commit(Digest.of(b"whole"))
    with store.blobs.ingest(ref="stopped") as ingest:
        assert ingest.offset == 0
