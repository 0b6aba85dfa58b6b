"""Indexes in a store: one name for images of several platforms, and what becomes of them when the name goes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from lamina.errors import Conflict, NotFound
from lamina.formats.descriptor import OCI_CONFIG, Descriptor
from lamina.formats.document import encode
from lamina.formats.manifest import ATTESTATION, SUBJECT, Index, Manifest
from lamina.formats.platform import Platform, choose
from lamina.formats.reference import Reference
from lamina.images.archive.save import copy_to
from lamina.images.image import Image, ImageUser, plain_manifest
from lamina.images.indexes import LocalIndex, NewIndex
from lamina.images.remove import Deleted
from support.gallery import Gallery, open_gallery

PLATFORMS = ("linux/amd64", "linux/arm64")


def member(gallery: Gallery, platform: str) -> Image:
    """An image of a layer that both platforms share, and one of its own."""
    image = gallery.image({"shared": b"1"}, {"own": platform.encode()})
    config = image.config.replace(platform=Platform.parse(platform))
    with gallery.store.lease():
        made = gallery.images.create(config)
        if made.id != image.id:
            gallery.images.remove(str(image.id))
        return made


def keep(gallery: Gallery, *names: str, note: str = "", platforms: Sequence[str] = PLATFORMS) -> LocalIndex:
    """An index of two images. With a `note` the first one has an attestation that says it."""
    images = [member(gallery, platform) for platform in platforms]
    manifests = [plain_manifest(image) for image in images]
    entries = [
        Descriptor(manifest.media_type, manifest.digest, len(manifest.raw), image.platform)
        for manifest, image in zip(manifests, images, strict=True)
    ]
    documents = [manifest.raw for manifest in manifests]
    if note:
        statement, config = encode({"note": note}), encode({"os": "unknown", "rootfs": {}})
        attestation = Manifest.build(Descriptor.of(OCI_CONFIG, config), [Descriptor.of("text/x", statement)])
        about = {ATTESTATION: "attestation-manifest", SUBJECT: str(manifests[0].digest)}
        described = attestation.descriptor
        entries.append(Descriptor(described.media_type, described.digest, described.size, annotations=about))
        documents += [attestation.raw, config, statement]
    new = NewIndex(
        Index.build(entries),
        [(manifest.digest, image) for manifest, image in zip(manifests, images, strict=True)],
        documents,
        plain=True,
    )
    return gallery.images.indexes.create(new, [Reference.parse(name).with_default_tag() for name in names])


def other_of(index: LocalIndex) -> Image:
    (other,) = [image for _, image in index.images if image.id != index.main.id]
    return other


def saved(gallery: Gallery, *names: str, platform: str = "") -> bytes:
    sink = io.BytesIO()
    with gallery.images.archive(names, platform=platform) as pieces:
        copy_to(pieces, sink.write)
    return sink.getvalue()


def test_a_name_means_the_image_for_this_machine_and_any_other_on_request(gallery: Gallery) -> None:
    index = keep(gallery, "app")
    best = choose(Platform.host(), [Platform.parse(text) for text in PLATFORMS])
    assert index.main.platform == Platform.parse(PLATFORMS[best or 0])
    assert gallery.images.get("app").id == index.main.id
    for platform in PLATFORMS:
        image = gallery.images.get("app", platform=platform)
        assert image.platform == Platform.parse(platform)
        assert (image.tags, image.digests) == (("app:latest",), (f"app@{index.index.digest}",))
    with pytest.raises(NotFound, match="not for linux/s390x"):
        gallery.images.get("app", platform="linux/s390x")


def test_digests_of_the_index_and_of_its_manifests_are_names(gallery: Gallery) -> None:
    index = keep(gallery, "app:1", "app:2")
    assert gallery.images.get("app:1").digests == (f"app@{index.index.digest}",)
    assert gallery.images.get(f"app@{index.index.digest}").id == index.main.id
    assert gallery.images.get(str(index.index.digest)).id == index.main.id
    for manifest, image in index.images:
        assert gallery.images.get(f"app@{manifest}").id == image.id
    with pytest.raises(NotFound):
        gallery.images.get(f"elsewhere@{index.index.digest}")


def test_the_list_shows_one_line_for_all_platforms(gallery: Gallery) -> None:
    keep(gallery, "app")
    assert gallery.names() == ["app:latest"]
    assert sorted(gallery.names(all_images=True)) == ["<none>", "app:latest"]
    gallery.images.prune({"dangling": ["true"]})
    assert len(gallery.names(all_images=True)) == 2


def test_with_the_last_name_all_platforms_go(gallery: Gallery) -> None:
    before = gallery.content()
    index = keep(gallery, "app", "app:2", note="x")
    gallery.images.remove("app")
    assert gallery.images.indexes.find("app:2") is not None
    removed = gallery.images.remove("app:2")
    gone = {item.digest for item in removed if isinstance(item, Deleted) and item.is_image}
    assert gone == {image.id for _, image in index.images}
    gallery.store.collect()
    assert gallery.content() == before


def test_a_digest_takes_all_tags_of_its_repository(gallery: Gallery) -> None:
    index = keep(gallery, "app:1", "app:2")
    gallery.images.remove(f"app@{index.index.digest}")
    assert gallery.names(all_images=True) == []


def test_an_image_of_an_index_does_not_go_alone(gallery: Gallery) -> None:
    index = keep(gallery, "app")
    with pytest.raises(Conflict, match="one of the platforms"):
        gallery.images.remove(str(other_of(index).id), force=True)


def test_an_image_with_a_name_of_its_own_stays(gallery: Gallery) -> None:
    index = keep(gallery, "app")
    gallery.images.tag(str(other_of(index).id), "mine")
    gallery.images.remove("app")
    assert gallery.names(all_images=True) == ["mine:latest"]


def test_a_new_tag_of_an_indexs_name_means_the_index(gallery: Gallery) -> None:
    index = keep(gallery, "app")
    gallery.images.tag("app", "copy")
    gallery.images.tag(str(index.main.id), "alone")
    found = gallery.images.indexes.find("copy")
    assert found is not None
    assert found.index.digest == index.index.digest
    assert gallery.images.indexes.find("alone") is None


def test_an_index_goes_when_its_name_means_something_else(gallery: Gallery) -> None:
    first = keep(gallery, "app", note="first")
    second = keep(gallery, "app", note="second")
    assert gallery.images.get("app").digests == (f"app@{second.index.digest}",)
    assert not gallery.store.blobs.has(first.index.digest)
    gallery.images.tag(str(second.main.id), "app")
    assert gallery.images.indexes.find("app") is None
    assert not gallery.store.blobs.has(second.index.digest)
    assert len(gallery.names(all_images=True)) == 2


def test_without_a_name_the_newest_index_of_an_image_stays(gallery: Gallery) -> None:
    keep(gallery, note="first")
    index = keep(gallery, note="second")
    found = gallery.images.indexes.find(str(index.index.digest))
    assert found is not None
    assert found.attestations(index.images[0][0]) != ()
    gallery.images.remove(str(index.main.id))
    assert gallery.names(all_images=True) == []


def test_an_archive_holds_all_platforms_and_what_is_attested(gallery: Gallery, other: Gallery) -> None:
    index = keep(gallery, "app:1", note="said")
    archive = saved(gallery, "app:1")
    (image,) = other.images.load(io.BytesIO(archive))
    assert image.id == index.main.id
    loaded = other.images.indexes.find("app:1")
    assert loaded is not None
    assert loaded.index.raw == index.index.raw
    assert [image.id for _, image in loaded.images] == [image.id for _, image in index.images]
    assert saved(other, "app:1") == archive
    assert list(other.store.verify()) == []


def test_an_archive_for_one_platform_holds_that_image(gallery: Gallery, other: Gallery) -> None:
    index = keep(gallery, "app")
    platform = str(other_of(index).platform)
    other.images.load(io.BytesIO(saved(gallery, "app", platform=platform)))
    assert [str(item.image.platform) for item in other.images.list(all=True)] == [platform]
    other.images.remove(str(other_of(index).id), force=True)
    other.images.load(io.BytesIO(saved(gallery, "app")), platform=platform)
    assert [str(item.image.platform) for item in other.images.list(all=True)] == [platform]


def test_an_index_is_there_after_a_restart(gallery: Gallery) -> None:
    index = keep(gallery, "app")
    gallery.store.close()
    with open_gallery(gallery.store.root) as again:
        found = again.images.indexes.find("app")
        assert found is not None
        assert found.index.digest == index.index.digest


def test_an_index_that_lost_a_document_leaves_its_image(gallery: Gallery) -> None:
    index = keep(gallery, "app")
    gallery.store.close()
    gallery.store.root.joinpath("blobs/sha256", index.index.digest.encoded).unlink()
    with open_gallery(gallery.store.root) as again:
        image = again.images.get("app")
        assert (image.id, image.digest_references) == (index.main.id, ())


def test_a_platform_leaves_an_index(gallery: Gallery) -> None:
    before = keep(gallery, "app:1", "app:2", note="of amd64", platforms=("linux/amd64", "linux/arm64", "linux/s390x"))
    gone = before.images[1][1]
    removed = gallery.images.remove("app:1", platforms=["linux/arm64"])
    assert [item.deleted for item in removed if isinstance(item, Deleted) and item.is_image] == [str(gone.id)]
    assert {digest for digest in gone.diff_ids if not gallery.store.layers.has(digest)} == {gone.diff_ids[1]}
    after = gallery.images.indexes.find("app:2")
    assert after is not None
    assert after.index.digest != before.index.digest
    assert [str(image.platform) for _, image in after.images] == ["linux/amd64", "linux/s390x"]
    assert [entry.annotations.get(SUBJECT, "") for entry in after.index.manifests][2] == str(after.images[0][0])
    assert gallery.images.get("app:1").digests == (f"app@{after.index.digest}",)
    with gallery.images.archive(["app:1"]) as parts:
        copy_to(parts, io.BytesIO().write)
    with pytest.raises(NotFound, match="not for linux/arm64"):
        gallery.images.remove("app:1", platforms=["linux/arm64"])


def test_the_last_platforms_of_an_index(gallery: Gallery) -> None:
    before = keep(gallery, "app", note="of amd64")
    stays = before.images[1][1]
    gallery.images.remove("app", platforms=["linux/amd64"])
    assert gallery.images.indexes.find("app") is None, "an image alone needs no index"
    assert gallery.images.get("app").id == stays.id
    with pytest.raises(NotFound, match="not for linux/amd64"):
        gallery.images.remove("app", platforms=["linux/amd64"])
    removed = gallery.images.remove("app", platforms=["linux/arm64", "linux/386"])
    assert removed[0].untagged == "app:latest"
    assert gallery.content() == set()


def test_a_platform_that_a_container_uses_stays(gallery: Gallery) -> None:
    before = keep(gallery, "app")
    used = before.images[1][1]
    gallery.users[used.id] = [ImageUser("c" * 64, running=True)]
    with pytest.raises(Conflict, match="used by running container"):
        gallery.images.remove("app", platforms=["linux/arm64"], force=True)
    after = gallery.images.indexes.find("app")
    assert after is not None
    assert after.index.digest == before.index.digest
    gallery.users[used.id] = [ImageUser("c" * 64, running=False)]
    with pytest.raises(Conflict, match="must be forced"):
        gallery.images.remove("app", platforms=["linux/arm64"])
    gallery.images.remove("app", platforms=["linux/arm64"], force=True)
    assert gallery.images.indexes.find("app") is None
