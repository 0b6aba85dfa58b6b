"""Exporters: images and indexes in the store and in a registry, archives, folders."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from lamina.builder.export.layer_blobs import forget_lost_blobs
from lamina.builder.export.push import push_assembly
from lamina.builder.export.result import Attestation, PlatformImage, Result
from lamina.builder.export.stored import stored
from lamina.errors import InvalidInput, Unsupported
from lamina.formats.descriptor import DOCKER_LIST, OCI_INDEX, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from lamina.formats.digest import Digest
from lamina.formats.manifest import ATTESTATION, SUBJECT, Index, Manifest
from lamina.formats.reference import Reference
from support.exports import Taker, export, open_registry, result
from support.registries import Raw, Running
from support.registry_fixtures import raw, registry, start
from support.workshop import Workshop

__all__ = ["raw", "registry", "start"]
SAID = Attestation("https://example.com/said/v1", {"word": "yes"}, "said.json")


def pulled(raw: Raw, name: str, reference: str) -> Index | Manifest:
    """What a registry has under a tag or digest."""
    accept = {"Accept": f"{OCI_INDEX}, {DOCKER_LIST}, application/vnd.oci.image.manifest.v1+json"}
    answer = raw("GET", f"/v2/{name}/manifests/{reference}", None, **accept)
    assert answer.status == 200, answer
    document = json.loads(answer.body)
    return Index.parse(answer.body) if "manifests" in document else Manifest.parse(answer.body)


def test_several_platforms_become_an_index_under_the_name(workshop: Workshop) -> None:
    told = export(workshop, result(workshop), "image", name="app:1,app:2")
    index = workshop.images.indexes.find("app:1")
    assert index is not None
    assert told["containerimage.digest"] == str(index.index.digest)
    assert told["image.name"] == "app:1,app:2"
    assert "containerimage.config.digest" not in told
    described = json.loads(base64.b64decode(told["containerimage.descriptor"]))
    assert described == {"mediaType": OCI_INDEX, "digest": str(index.index.digest), "size": len(index.index.raw)}
    assert [str(entry.platform) for entry in index.index.manifests] == ["linux/amd64", "linux/arm64"]
    assert {image.labels["for"] for _, image in index.images} == {"amd64", "arm64"}


def test_one_platform_is_an_image_without_an_index(workshop: Workshop) -> None:
    told = export(workshop, result(workshop, ["linux/arm64"]), "image", name="app")
    image = workshop.images.get("app")
    assert workshop.images.indexes.find("app") is None
    assert told["containerimage.config.digest"] == str(image.id)
    assert told["containerimage.digest"] == str(workshop.images.manifest(image).digest)


def test_without_store_nothing_is_named(workshop: Workshop) -> None:
    export(workshop, result(workshop), "image", name="app", store="false")
    assert workshop.images.find("app") is None


@pytest.mark.parametrize(
    ("attributes", "media_type"),
    [
        ({}, OCI_LAYER_GZIP),
        ({"compression": "zstd", "compression_level": "9"}, OCI_LAYER_ZSTD),
        ({"compression": "uncompressed"}, "application/vnd.oci.image.layer.v1.tar"),
        ({"oci_mediatypes": "false"}, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ],
)
def test_a_push_has_layers_as_they_were_asked_for(
    workshop: Workshop, registry: Running, raw: Raw, attributes: dict[str, str], media_type: str
) -> None:
    name = f"{registry.address}/app"
    told = export(workshop, result(workshop), "registry", name=name, **attributes)
    index = pulled(raw, "app", "latest")
    assert isinstance(index, Index)
    assert str(index.digest) == told["containerimage.digest"]
    for entry in index.manifests:
        manifest = pulled(raw, "app", str(entry.digest))
        assert isinstance(manifest, Manifest)
        assert {layer.media_type for layer in manifest.layers} == {media_type}
        for layer in manifest.layers:
            assert raw("HEAD", f"/v2/app/blobs/{layer.digest}").status == 200
    assert workshop.images.get(name).digests == (f"{name}@{index.digest}",)


def test_a_push_by_digest_has_no_tag(workshop: Workshop, registry: Running, raw: Raw) -> None:
    told = export(workshop, result(workshop), "image", name=f"{registry.address}/app", push="", push_by_digest="")
    assert pulled(raw, "app", told["containerimage.digest"]).media_type == OCI_INDEX
    assert raw("GET", "/v2/app/manifests/latest").status == 404


def test_one_build_has_one_digest_in_the_registry_however_often_it_is_pushed(
    workshop: Workshop, registry: Running
) -> None:
    pushed = {
        export(workshop, result(workshop), "registry", name=f"{registry.address}/app{number}")["containerimage.digest"]
        for number in range(2)
    }
    assert len(pushed) == 1


def test_annotations_go_where_they_are_asked_for(workshop: Workshop) -> None:
    attributes = {
        "annotation.a": "everywhere",
        "annotation-manifest[linux/arm64].b": "arm",
        "annotation-index.c": "index",
        "annotation-manifest-descriptor[linux/amd64].d": "entry",
        "annotation-index-descriptor.e": "top",
    }
    told = export(workshop, result(workshop), "image", name="app", **attributes)
    index = workshop.images.indexes.find("app")
    assert index is not None
    assert index.index.annotations == {"c": "index"}
    assert [dict(entry.annotations) for entry in index.index.manifests] == [{"d": "entry"}, {}]
    manifests = [workshop.images.indexes.manifest(entry.digest) for entry in index.index.manifests]
    assert [dict(manifest.annotations) for manifest in manifests] == [
        {"a": "everywhere"},
        {"a": "everywhere", "b": "arm"},
    ]
    assert json.loads(base64.b64decode(told["containerimage.descriptor"]))["annotations"] == {"e": "top"}


@pytest.mark.parametrize(
    ("platforms", "attributes", "message"),
    [
        (["linux/amd64"], {"annotation-index.a": "b"}, "index annotations not supported for single platform"),
        (["linux/amd64"], {"annotation[linux/s390x].a": "b"}, "no platform linux/s390x found in source"),
        (["linux/amd64"], {"annotation-page.a": "b"}, "unrecognized annotation type page"),
        (["linux/amd64"], {"compression": "lzma"}, "cannot be compressed by lzma"),
        (["linux/amd64"], {"compression": "gzip", "compression-level": "10"}, "no level of gzip"),
        (["linux/amd64"], {"compression": "zstd", "oci-mediatypes": "false"}, "conflicts with"),
        (["linux/amd64"], {"push": "perhaps"}, "non-bool value specified for push"),
        (["linux/amd64"], {"push": "true"}, "needs a name"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    workshop: Workshop, platforms: list[str], attributes: dict[str, str], message: str
) -> None:
    with pytest.raises((InvalidInput, Unsupported), match=message):
        export(workshop, result(workshop, platforms), "image", **attributes)


def test_an_unknown_exporter_is_refused(workshop: Workshop) -> None:
    with pytest.raises(Unsupported, match="exporter 'floppy' could not be found"):
        export(workshop, result(workshop), "floppy")


def test_attestations_are_manifests_in_the_index(workshop: Workshop) -> None:
    export(workshop, result(workshop, attestations=[SAID]), "image", name="app")
    index = workshop.images.indexes.find("app")
    assert index is not None
    assert [str(entry.platform) for entry in index.index.manifests] == ["linux/amd64", "linux/arm64"] + [
        "unknown/unknown"
    ] * 2
    for image, attestation in zip(index.index.manifests[:2], index.index.manifests[2:], strict=True):
        assert attestation.annotations == {ATTESTATION: "attestation-manifest", SUBJECT: str(image.digest)}
        manifest = workshop.images.indexes.manifest(attestation.digest)
        (layer,) = manifest.layers
        assert layer.media_type == "application/vnd.in-toto+json"
        assert layer.annotations == {"in-toto.io/predicate-type": SAID.predicate_type}
        statement = json.loads(workshop.rooms.store.blobs.read(layer.digest))
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["predicate"] == {"word": "yes"}
        platform = str(image.platform).replace("/", "%2F")
        assert statement["subject"] == [
            {"name": f"pkg:docker/app@latest?platform={platform}", "digest": {"sha256": image.digest.encoded}}
        ]


def test_a_push_of_a_kept_index_compresses_it_and_moves_the_statements(
    workshop: Workshop, registry: Running, raw: Raw
) -> None:
    name = Reference.parse(f"{registry.address}/app:latest")
    export(workshop, result(workshop, attestations=[SAID]), "image", name=str(name))
    plain = workshop.images.indexes.find(str(name))
    assert plain is not None
    taker = Taker()
    with workshop.rooms.store.lease(), open_registry(name, None, "push", taker.cancellation) as client:
        assembly = stored(workshop.images, plain, taker.cancellation)
        push_assembly(assembly, name, workshop.rooms.store, lambda message: None, client=client)
    pushed = pulled(raw, "app", "latest")
    assert isinstance(pushed, Index)
    image, attestation = pushed.manifests[0], pushed.manifests[2]
    assert image.digest != plain.index.manifests[0].digest
    assert attestation.annotations[SUBJECT] == str(image.digest)
    manifest = pulled(raw, "app", str(attestation.digest))
    assert isinstance(manifest, Manifest)
    statement = json.loads(raw("GET", f"/v2/app/blobs/{manifest.layers[0].digest}").body)
    assert statement["subject"][0]["digest"] == {"sha256": image.digest.encoded}
    # It is what a push with the build would have been.
    told = export(workshop, result(workshop, attestations=[SAID]), "registry", name=str(name))
    assert told["containerimage.digest"] == str(pushed.digest)


def test_blobs_that_are_gone_are_forgotten(workshop: Workshop, registry: Running) -> None:
    store = workshop.rooms.store
    export(workshop, result(workshop, ["linux/arm64"]), "registry", name=f"{registry.address}/app", store="false")

    def notes() -> int:
        with store.read() as tx:
            return len(list(tx.items("compressed-layer")))

    forget_lost_blobs(store)
    assert notes() == 2  # their layers are those of cached steps
    store.collect(cache_bytes=0)
    forget_lost_blobs(store)
    assert notes() == 0


def test_attestations_as_artifacts_are_referrers(workshop: Workshop, registry: Running, raw: Raw) -> None:
    made = result(workshop, attestations=[SAID])
    export(workshop, made, "registry", name=f"{registry.address}/app", oci_artifact="true")
    index = pulled(raw, "app", "latest")
    assert isinstance(index, Index)
    answer = raw("GET", f"/v2/app/referrers/{index.manifests[0].digest}")
    (referrer,) = json.loads(answer.body)["manifests"]
    assert referrer["artifactType"] == "application/vnd.docker.attestation.manifest.v1+json"
    assert referrer["digest"] == str(index.manifests[2].digest)


def test_an_oci_archive_holds_the_index_and_is_loaded_again(workshop: Workshop) -> None:
    taker = Taker()
    told = export(workshop, result(workshop, attestations=[SAID]), "oci", taker, name="app:3")
    members = taker.members()
    (top,) = json.loads(members["index.json"])["manifests"]
    assert top["digest"] == told["containerimage.digest"]
    assert top["annotations"] == {
        "io.containerd.image.name": "docker.io/library/app:3",
        "org.opencontainers.image.ref.name": "3",
    }
    for path, content in members.items():
        if path.startswith("blobs/"):
            assert Digest.of(content).encoded == path.rpartition("/")[2]
    again = Taker()
    export(workshop, result(workshop, attestations=[SAID]), "oci", again, name="app:3")
    assert again.stream_bytes == taker.stream_bytes


def test_a_docker_archive_is_for_one_platform(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match="does not currently support exporting manifest lists"):
        export(workshop, result(workshop), "docker")
    taker = Taker()
    export(workshop, result(workshop, ["linux/arm64"]), "docker", taker, name="app:4")
    (item,) = json.loads(taker.members()["manifest.json"])
    assert item["RepoTags"] == ["app:4"]
    assert item["Config"] in taker.members()


@pytest.mark.parametrize("type", ["local", "tar"])
def test_files_of_several_platforms_have_a_folder_each(workshop: Workshop, type: str) -> None:
    taker = Taker()
    export(workshop, result(workshop), type, taker)
    files = taker.files if type == "local" else taker.members()
    assert sorted(files) == [
        "linux_amd64/a.txt",
        "linux_amd64/for-amd64",
        "linux_arm64/a.txt",
        "linux_arm64/for-arm64",
    ]
    assert files["linux_arm64/a.txt"] == b"alpha\n"


def test_files_of_one_platform_have_one_on_request(workshop: Workshop) -> None:
    plain, split = Taker(), Taker()
    made = result(workshop, ["linux/arm64"])
    export(workshop, made, "local", plain)
    export(workshop, made, "local", split, platform_split="true", source_date_epoch="1700000000")
    assert sorted(plain.files) == ["a.txt", "for-arm64"]
    assert sorted(split.files) == ["linux_arm64/a.txt", "linux_arm64/for-arm64"]
    assert split.times == {1700000000 * 10**9}


def test_platforms_in_one_folder_must_not_have_the_same_files(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match=r"cannot overwrite a\.txt"):
        export(workshop, result(workshop), "local", platform_split="false")
    taker = Taker()
    apart = "FROM scratch\nARG TARGETARCH\nCOPY a.txt /d/$TARGETARCH\n"
    export(workshop, result(workshop, dockerfile=apart), "local", taker, platform_split="false")
    assert sorted(taker.files) == ["d/amd64", "d/arm64"]


def test_attestations_stand_beside_the_files(workshop: Workshop) -> None:
    hidden = Attestation("https://example.com/inline/v1", {}, "inline.json", inline_only=True)
    taker = Taker()
    made = result(workshop, ["linux/arm64"], [SAID, hidden])
    export(workshop, made, "local", taker, attestation_prefix="the-")
    assert sorted(taker.files) == ["a.txt", "for-arm64", "the-said.json"]
    subjects = {each["name"]: each["digest"] for each in json.loads(taker.files["the-said.json"])["subject"]}
    assert subjects["a.txt"] == {"sha256": Digest.of(b"alpha\n").encoded}
    assert set(subjects) == {"a.txt", "for-arm64"}


def test_times_are_rewritten_to_the_epoch(workshop: Workshop) -> None:
    made = result(workshop, ["linux/arm64"], epoch="1500000000")
    export(workshop, made, "image", name="late")
    export(workshop, made, "image", name="early", rewrite_timestamp="true", source_date_epoch="1000000000")
    late, early = workshop.images.get("late"), workshop.images.get("early")
    assert late.config.created == "2017-07-14T02:40:00Z"
    assert early.config.created == "2001-09-09T01:46:40Z"
    assert {step.created for step in early.config.history} == {"2001-09-09T01:46:40Z"}
    assert early.diff_ids != late.diff_ids
    files = Taker()
    export(workshop, Result((PlatformImage(early.platform, early),)), "local", files)
    assert max(files.times) <= 1000000000 * 10**9
    export(workshop, made, "local", files := Taker())
    assert files.times == {1500000000 * 10**9}


def test_layers_that_are_rewritten_say_so(workshop: Workshop) -> None:
    made = result(workshop, ["linux/arm64"], epoch="1500000000")

    def notes(**attributes: str) -> list[str | None]:
        taker = Taker()
        told = export(workshop, made, "oci", taker, rewrite_timestamp="true", **attributes)
        raw = taker.members()["blobs/sha256/" + told["containerimage.digest"].partition(":")[2]]
        return [blob.annotations.get("buildkit/rewritten-timestamp") for blob in Manifest.parse(raw).layers]

    assert notes() == ["1500000000"] * 2
    assert notes(source_date_epoch="1400000000") == ["1400000000"] * 2
    assert notes(source_date_epoch="") == [None] * 2
    (item,) = made.images
    made = Result((replace(item, base=item.image.config),))
    assert notes() == [None] * 2
