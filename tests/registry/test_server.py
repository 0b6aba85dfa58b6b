"""The registry at the level of HTTP: uploads, ranges, mounts, manifests, referrers, settings."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path

import pytest

from lamina.formats.descriptor import OCI_CONFIG, OCI_EMPTY, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from support.registries import Raw, Running, Start


@pytest.fixture(params=["local", "objects", pytest.param("postgres", marks=pytest.mark.peer)])
def registry(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Running:
    """The same promises hold on every kind of storage and database."""
    if request.param == "local":
        return start()
    objects = f"file://{tmp_path}/objects"
    if request.param == "objects":
        return start(storage=objects)
    return start(root=None, storage=objects, database=request.getfixturevalue("postgres"))


BLOB = b"0123456789" * 3000


def test_chunks_in_order_and_out_of_order(raw: Raw) -> None:
    begun = raw("POST", "/v2/a/b/blobs/uploads/", b"")
    assert begun.status == 202
    place = begun.headers["Location"]
    assert raw("PATCH", place, BLOB[:100], Content_Range="0-99").headers["Range"] == "0-99"
    wrong = raw("PATCH", place, BLOB[200:300], Content_Range="200-299")
    assert (wrong.status, wrong.code) == (416, "RANGE_INVALID")
    assert raw("PATCH", place, b"abc", Content_Range="100-200").status == 416
    status = raw("GET", place)
    assert (status.status, status.headers["Range"]) == (204, "0-99")
    assert raw("PATCH", place, BLOB[100:]).status == 202
    done = raw("PUT", f"{place}?digest={Digest.of(BLOB)}", b"")
    assert done.status == 201
    got = raw("GET", done.headers["Location"])
    assert (got.body, got.headers["Docker-Content-Digest"]) == (BLOB, str(Digest.of(BLOB)))
    assert raw("GET", place).status == 404


def test_a_large_chunk_frees_the_upload_when_it_is_answered(raw: Raw) -> None:
    content = random.Random(1).randbytes(1 << 20) * 80 + b"end"
    place = raw("POST", "/v2/a/blobs/uploads/").headers["Location"]
    assert raw("PATCH", place, content).status == 202
    digest = Digest.of(content)
    assert raw("PUT", f"{place}?digest={digest}").status == 201
    assert raw("GET", f"/v2/a/blobs/{digest}").body == content


def test_a_wrong_digest_is_refused_and_leaves_nothing(raw: Raw) -> None:
    wrong = Digest.of(b"other")
    answer = raw("POST", f"/v2/a/blobs/uploads/?digest={wrong}", BLOB)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert raw("HEAD", f"/v2/a/blobs/{wrong}").status == 404
    assert raw("HEAD", f"/v2/a/blobs/{Digest.of(BLOB)}").status == 404


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-9", 206, BLOB[:10]),
        ("bytes=29990-", 206, BLOB[-10:]),
        ("bytes=-5", 206, BLOB[-5:]),
        ("bytes=0-999999", 206, BLOB),
        ("bytes=30000-", 416, None),
        ("bytes=1-2,5-6", 200, BLOB),
        ("lines=1-2", 200, BLOB),
    ],
)
def test_ranges(raw: Raw, wanted: str, status: int, content: bytes | None) -> None:
    digest = raw.push_blob("a", BLOB)
    answer = raw("GET", f"/v2/a/blobs/{digest}", Range=wanted)
    assert answer.status == status
    assert content is None or answer.body == content


def test_mounts_with_and_without_a_source(raw: Raw) -> None:
    digest = raw.push_blob("a", BLOB)
    assert raw("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a", b"").status == 201
    assert raw("POST", f"/v2/c/blobs/uploads/?mount={digest}", b"").status == 201
    assert raw("POST", f"/v2/d/blobs/uploads/?mount={digest}&from=nowhere", b"").status == 202
    assert raw("GET", f"/v2/c/blobs/{digest}").body == BLOB
    assert raw("DELETE", f"/v2/a/blobs/{digest}").status == 202
    assert raw("HEAD", f"/v2/a/blobs/{digest}").status == 404
    assert raw("HEAD", f"/v2/b/blobs/{digest}").status == 200


def test_manifests_tags_and_deletes(raw: Raw) -> None:
    image = raw.push_image("a", "v1", "x")
    path = f"/v2/a/manifests/{image.digest}"
    several = raw("PUT", f"{path}?tag=v2&tag=v3", image.raw, Content_Type=image.media_type)
    assert {tag.strip() for tag in several.headers["OCI-Tag"].split(",")} == {"v2", "v3"}
    got = raw("GET", "/v2/a/manifests/v3")
    assert (got.body, got.headers["Content-Type"]) == (image.raw, image.media_type)
    assert raw("GET", "/v2/a/manifests/v3", If_None_Match=got.headers["ETag"]).status == 304
    assert json.loads(raw("GET", "/v2/a/tags/list").body) == {"name": "a", "tags": ["v1", "v2", "v3"]}
    page = raw("GET", "/v2/a/tags/list?n=2")
    assert json.loads(page.body)["tags"] == ["v1", "v2"]
    assert page.headers["Link"] == '</v2/a/tags/list?n=2&last=v2>; rel="next"'
    assert json.loads(raw("GET", "/v2/a/tags/list?n=0").body)["tags"] == []
    assert raw("DELETE", "/v2/a/manifests/v1").status == 202
    assert raw("GET", path).status == 200
    assert raw("DELETE", path).status == 202
    assert raw("GET", path).code == "MANIFEST_UNKNOWN"
    assert raw("GET", "/v2/a/manifests/v2").code == "MANIFEST_UNKNOWN"
    assert raw("GET", "/v2/nothing/manifests/v2").code == "NAME_UNKNOWN"


def test_sha512_manifests_keep_their_digest(raw: Raw) -> None:
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, b"{}"), [])
    digest = Digest.of(manifest.raw, "sha512")
    path = f"/v2/a/manifests/{digest}"
    assert raw("PUT", f"{path}?tag=t", manifest.raw, Content_Type=manifest.media_type).status == 201
    assert raw("HEAD", "/v2/a/manifests/t").headers["Docker-Content-Digest"] == str(digest)


def test_referrers_and_their_filter(raw: Raw) -> None:
    image = raw.push_image("a", "v1", "x")
    empty = Descriptor.of(OCI_EMPTY, b"{}")
    for kind in ("sbom/x", "sig/x"):
        about = Manifest.build(empty, [], subject=image.descriptor, artifact_type=kind, annotations={"k": kind})
        answer = raw("PUT", f"/v2/a/manifests/{about.digest}", about.raw, Content_Type=about.media_type)
        assert answer.headers["OCI-Subject"] == str(image.digest)
    listed = Index.parse(raw("GET", f"/v2/a/referrers/{image.digest}").body)
    assert {entry.artifact_type for entry in listed.manifests} == {"sbom/x", "sig/x"}
    one = raw("GET", f"/v2/a/referrers/{image.digest}?artifactType=sig/x")
    assert one.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry.annotations for entry in Index.parse(one.body).manifests] == [{"k": "sig/x"}]
    assert Index.parse(raw("GET", f"/v2/zzz/referrers/{image.digest}").body).manifests == ()
    assert raw("GET", "/v2/a/referrers/nonsense").status == 400


def test_what_may_be_missing_is_a_setting(start: Start) -> None:
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, b"{}"), [])
    index = Index.build([manifest.descriptor])
    statuses = {}
    for sparse in ("all", "children", "none"):
        with closing(Raw(start(sparse=sparse).address)) as raw:
            pushes = [raw("PUT", "/v2/a/manifests/t", d.raw, Content_Type=d.media_type) for d in (manifest, index)]
            statuses[sparse] = [push.status for push in pushes]
    assert statuses == {"all": [201, 201], "children": [404, 201], "none": [404, 404]}


def test_immutable_tags_quotas_and_read_only(start: Start) -> None:
    running = start(immutable_tags={"a/**": ["v*"]}, quotas={"small/*": 20_000})
    with closing(Raw(running.address)) as raw:
        raw.push_image("a/b", "v1", "x")
        raw.push_image("a/b", "v1", "x")
        other = Manifest.build(Descriptor.of(OCI_CONFIG, b"{}"), [])
        answer = raw("PUT", "/v2/a/b/manifests/v1", other.raw, Content_Type=other.media_type)
        assert (answer.status, answer.code) == (409, "DENIED")
        assert raw("DELETE", "/v2/a/b/manifests/v1").status == 403
        assert raw("POST", f"/v2/small/x/blobs/uploads/?digest={Digest.of(BLOB)}", BLOB).status == 403
        assert raw("HEAD", f"/v2/small/x/blobs/{Digest.of(BLOB)}").status == 404
    with closing(Raw(start(read_only=True).address)) as raw:
        answer = raw("POST", "/v2/a/blobs/uploads/", b"")
        assert (answer.status, answer.code) == (405, "UNSUPPORTED")


def test_catalog_health_and_metrics(raw: Raw) -> None:
    for name in ("c", "a", "b/x"):
        raw.push_blob(name, name.encode())
    page = raw("GET", "/v2/_catalog?n=2")
    assert json.loads(page.body) == {"repositories": ["a", "b/x"]}
    assert "last=b%2Fx" in page.headers["Link"]
    assert raw("GET", "/healthz").status == raw("GET", "/readyz").status == 200
    assert b'operation="catalog",method="GET",status="200"} 1' in raw("GET", "/metrics").body


def test_the_access_log_is_json_without_secrets(start: Start, tmp_path: object) -> None:
    running: Running = start(access_log=f"{tmp_path}/access.log")
    with closing(Raw(running.address)) as raw:
        raw("GET", "/v2/a/tags/list?last=hidden", Authorization="Basic c2VjcmV0OnNlY3JldA==")
    running.stop()
    with open(f"{tmp_path}/access.log") as log:
        line = log.read()
    record = json.loads(line)
    assert (record["path"], record["status"], record["operation"]) == ("/v2/a/tags/list", 404, "tags")
    assert "hidden" not in line
    assert "c2Vj" not in line
