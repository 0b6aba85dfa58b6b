"""Immutable tags stay with their manifest, whatever a client, an administrator or a rival push does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest

from lamina.formats.descriptor import OCI_CONFIG, Descriptor
from lamina.formats.manifest import Manifest
from lamina.registry import admin
from support.registries import Answer, Raw, Running

RULES = {"a": ["v*"]}


def manifest_of(seed: str) -> Manifest:
    return Manifest.build(Descriptor.of(OCI_CONFIG, b"{}"), [], annotations={"seed": seed})


def put(raw: Raw, tag: str, manifest: Manifest) -> Answer:
    return raw("PUT", f"/v2/a/manifests/{tag}", manifest.raw, Content_Type=manifest.media_type)


def test_deleting_the_manifest_does_not_free_the_tag(anywhere: Callable[..., Running]) -> None:
    """Deleting by digest and pushing again would move it."""
    with closing(Raw(anywhere(immutable_tags=RULES).address)) as raw:
        first, second = manifest_of("first"), manifest_of("second")
        assert put(raw, "v1", first).status == 201
        assert put(raw, "latest", first).status == 201
        refused = raw("DELETE", f"/v2/a/manifests/{first.digest}")
        assert (refused.status, refused.code) == (403, "DENIED")
        assert raw("GET", "/v2/a/manifests/latest").body == first.raw  # nothing went with the refusal
        assert raw("DELETE", "/v2/a/manifests/v1").status == 403
        assert put(raw, "v1", second).status == 409
        assert put(raw, "v1", first).status == 201
        assert raw("GET", "/v2/a/manifests/v1").body == first.raw


def test_a_digest_push_with_many_tags_moves_none_of_them(anywhere: Callable[..., Running]) -> None:
    with closing(Raw(anywhere(immutable_tags=RULES).address)) as raw:
        first, second = manifest_of("first"), manifest_of("second")
        put(raw, "v1", first)
        path = f"/v2/a/manifests/{second.digest}?tag=free&tag=v1&tag=v2"
        assert raw("PUT", path, second.raw, Content_Type=second.media_type).status == 409
        assert raw("GET", "/v2/a/manifests/v1").body == first.raw
        assert raw("GET", "/v2/a/manifests/free").status == 404
        assert raw("GET", "/v2/a/manifests/v2").status == 404


def test_retention_and_collection_leave_it(anywhere: Callable[..., Running]) -> None:
    rules = [{"repositories": ["a"], "keep-tags": ["nothing"]}]
    running = anywhere(immutable_tags=RULES, retention=rules)
    with closing(Raw(running.address)) as raw:
        first, other = manifest_of("first"), manifest_of("other")
        put(raw, "v1", first)
        put(raw, "moves", other)
        assert {planned.digest for planned in admin.retain(running.config, dry_run=False)} == {str(other.digest)}
        admin.gc(running.config, grace=0.0, orphan_age=0.0)
        assert raw("GET", "/v2/a/manifests/moves").status == 404
        assert raw("GET", "/v2/a/manifests/v1").body == first.raw


@pytest.mark.parametrize("pushes", [8])
def test_of_pushes_at_once_exactly_one_wins(anywhere: Callable[..., Running], pushes: int) -> None:
    address = anywhere(immutable_tags=RULES).address
    start = Barrier(pushes)

    def push(seed: int, tag: str) -> int:
        with closing(Raw(address)) as raw:
            raw("GET", "/v2/")
            start.wait()
            return put(raw, tag, manifest_of(f"{tag} {seed}")).status

    with ThreadPoolExecutor(pushes) as threads:
        for tag in ("v1", "v2", "v3", "v4", "v5"):
            assert sorted(threads.map(push, range(pushes), [tag] * pushes)) == [201] + [409] * (pushes - 1)


def test_a_tag_pushed_while_its_manifest_is_deleted_stays(anywhere: Callable[..., Running]) -> None:
    """Either the deletion comes first, or it sees the tag and is refused."""
    address = anywhere(immutable_tags=RULES).address
    with closing(Raw(address)) as raw, closing(Raw(address)) as rival, ThreadPoolExecutor(1) as thread:
        for number in range(30):
            manifest, tag = manifest_of(str(number)), f"v{number}"
            put(raw, str(manifest.digest), manifest)
            deletion = thread.submit(rival, "DELETE", f"/v2/a/manifests/{manifest.digest}")
            assert put(raw, tag, manifest).status == 201
            assert deletion.result().status in (202, 403)
            assert raw("GET", f"/v2/a/manifests/{tag}").body == manifest.raw


def test_a_cached_tag_does_not_follow_upstream(anywhere: Callable[..., Running]) -> None:
    origin = anywhere()
    upstream = {"domain": origin.address, "prefix": "up", "fresh-seconds": 0.0}
    cache = anywhere(upstreams=[upstream], immutable_tags={"up/a": ["v*"]})
    first, second = manifest_of("first"), manifest_of("second")
    with closing(Raw(origin.address)) as there, closing(Raw(cache.address)) as here:
        for tag in ("v1", "latest"):
            put(there, tag, first)
            assert here("GET", f"/v2/up/a/manifests/{tag}").body == first.raw
            put(there, tag, second)
        assert here("GET", "/v2/up/a/manifests/v1").body == first.raw
        assert here("GET", "/v2/up/a/manifests/latest").body == second.raw


def test_what_is_undeleted_takes_no_tag_from_another(anywhere: Callable[..., Running]) -> None:
    running = anywhere()
    first, second = manifest_of("first"), manifest_of("second")
    with closing(Raw(running.address)) as raw:
        put(raw, "v1", first)
        raw("DELETE", f"/v2/a/manifests/{first.digest}")
        put(raw, "v1", second)
        assert admin.undelete(running.config, "a", first.digest) == []
        assert raw("GET", "/v2/a/manifests/v1").body == second.raw
