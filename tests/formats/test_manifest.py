"""Manifests, indexes and descriptors: what is taken, what is refused, and what names the fault."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput, NotFound
from lamina.formats.descriptor import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
)
from lamina.formats.digest import Digest
from lamina.formats.document import MAX_DEPTH
from lamina.formats.manifest import Index, Manifest, parse_manifest
from lamina.formats.platform import Platform

CONFIG = Descriptor.of(OCI_CONFIG, b"{}")
LAYER = Descriptor.of(OCI_LAYER_GZIP, b"layer")


def document(**changes: Any) -> dict[str, Any]:
    whole = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": CONFIG.to_json(),
        "layers": [LAYER.to_json()],
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_raw_bytes_are_the_identity() -> None:
    odd = b"  " + raw(document()) + b"\n"
    manifest = Manifest.parse(odd)
    assert manifest.raw == odd
    assert manifest.digest == Digest.of(odd)
    assert Manifest.parse(odd, algorithm="sha512").digest == Digest.of(odd, "sha512")


def test_building_is_deterministic_and_complete() -> None:
    subject = Descriptor.of(OCI_MANIFEST, b"subject")
    parts: dict[str, Any] = {"subject": subject, "artifact_type": "a/b", "annotations": {"z": "1", "a": "2"}}
    manifest = Manifest.build(CONFIG, [LAYER], **parts)
    again = Manifest.build(CONFIG, [LAYER], **(parts | {"annotations": {"a": "2", "z": "1"}}))
    assert manifest == again
    assert (manifest.config, manifest.layers, manifest.subject) == (CONFIG, (LAYER,), subject)
    assert (manifest.artifact_type, manifest.annotations) == ("a/b", {"a": "2", "z": "1"})
    assert manifest.is_image
    assert not Manifest.build(Descriptor.of(OCI_EMPTY, b"{}"), []).is_image


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schemaVersion": 1}, "schemaVersion"),
        ({"schemaVersion": ...}, "schemaVersion"),
        ({"schemaVersion": True}, "schemaVersion"),
        ({"mediaType": 7}, "mediaType"),
        ({"mediaType": "text/plain"}, "mediaType"),
        ({"config": ...}, "config"),
        ({"config": []}, "config"),
        ({"config": CONFIG.to_json() | {"digest": "sha256:xyz"}}, "config.digest"),
        ({"config": CONFIG.to_json() | {"digest": 3}}, "config.digest"),
        ({"config": CONFIG.to_json() | {"size": -1}}, "config.size"),
        ({"config": CONFIG.to_json() | {"size": 2**63}}, "config.size"),
        ({"config": CONFIG.to_json() | {"size": "1"}}, "config.size"),
        ({"config": CONFIG.to_json() | {"data": "%%%"}}, "config.data"),
        ({"layers": {}}, "layers"),
        ({"layers": [LAYER.to_json(), 1]}, "layers[1]"),
        ({"layers": [LAYER.to_json(), LAYER.to_json() | {"mediaType": ""}]}, "layers[1].mediaType"),
        ({"layers": [LAYER.to_json() | {"urls": [1]}]}, "layers[0].urls[0]"),
        ({"layers": [LAYER.to_json() | {"annotations": {"a": 1}}]}, "layers[0].annotations['a']"),
        ({"layers": [LAYER.to_json() | {"platform": "linux"}]}, "layers[0].platform"),
        ({"layers": [LAYER.to_json() | {"platform": {"os": 1}}]}, "layers[0].platform.os"),
        ({"subject": {"digest": "x"}}, "subject.mediaType"),
        ({"annotations": []}, "annotations"),
        ({"manifests": []}, "manifests"),
    ],
)
def test_malformed_manifests_name_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Manifest.parse(raw(document(**changes)))
    assert caught.value.facts["field"] == field
    assert field in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000]
)
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_manifest(text)


def test_nesting_is_limited() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(InvalidInput, match="nested"):
        Manifest.parse(raw(document(extra=deep)))


def test_sent_and_declared_types_must_agree() -> None:
    assert Manifest.parse(raw(document()), OCI_MANIFEST + "; charset=utf-8").media_type == OCI_MANIFEST
    assert Manifest.parse(raw(document(mediaType=...)), DOCKER_MANIFEST).media_type == DOCKER_MANIFEST
    assert Manifest.parse(raw(document(mediaType=...)), "application/json").media_type == OCI_MANIFEST
    with pytest.raises(InvalidInput, match="sent as"):
        Manifest.parse(raw(document()), DOCKER_MANIFEST)


def test_manifests_and_indexes_are_told_apart() -> None:
    index = Index.build([Descriptor.of(OCI_MANIFEST, b"m")])
    assert isinstance(parse_manifest(index.raw), Index)
    assert isinstance(parse_manifest(raw(document())), Manifest)
    assert isinstance(parse_manifest(raw({"schemaVersion": 2, "manifests": []})), Index)
    assert isinstance(parse_manifest(raw({"schemaVersion": 2, "manifests": []}), DOCKER_LIST), Index)
    with pytest.raises(InvalidInput):
        parse_manifest(raw(document(manifests=[])))
    with pytest.raises(InvalidInput):
        Index.parse(raw({"schemaVersion": 2, "manifests": [], "layers": []}))
    with pytest.raises(InvalidInput, match="schema 1"):
        parse_manifest(b'{"schemaVersion": 1, "fsLayers": []}')


def test_index_selects_by_platform_and_passes_over_attestations() -> None:
    def entry(name: str, **more: Any) -> Descriptor:
        return Descriptor(OCI_MANIFEST, Digest.of(name.encode()), 3, Platform.parse(name), **more)

    attestation = entry("linux/amd64", annotations={"vnd.docker.reference.type": "attestation-manifest"})
    index = Index.build([attestation, entry("linux/arm64"), entry("linux/amd64"), entry("linux/arm/v6")])
    assert index.select(Platform.parse("linux/amd64")) == index.manifests[2]
    assert index.select(Platform.parse("linux/arm/v7")) == index.manifests[3]
    with pytest.raises(NotFound, match="linux/arm64"):
        index.select(Platform.parse("linux/s390x"))


def test_descriptor_data_and_check() -> None:
    described = Descriptor.of("text/plain", b"hello").to_json() | {"data": base64.b64encode(b"hello").decode()}
    descriptor = Descriptor.from_json(described, "image manifest")
    assert descriptor.data == b"hello"
    assert descriptor.check(b"hello") == b"hello"
    assert descriptor.to_json() == described
    with pytest.raises(InvalidInput):
        descriptor.check(b"hellO")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "x"])


@given(st.dictionaries(_KEYS, _JSON, max_size=5))
def test_any_document_parses_or_is_invalid_input(changes: dict[str, Any]) -> None:
    for start in ({}, document()):
        with suppress(InvalidInput):
            parse_manifest(raw(start | changes))


_KNOWN = frozenset({"mediaType", "digest", "size", "platform", "annotations", "urls", "data", "artifactType"})


@given(st.dictionaries(st.text(max_size=8).filter(lambda key: key not in _KNOWN), _JSON, max_size=3))
def test_unknown_descriptor_members_survive(extra: dict[str, Any]) -> None:
    written = extra | LAYER.to_json()
    assert Descriptor.from_json(written, "image manifest").to_json() == written
