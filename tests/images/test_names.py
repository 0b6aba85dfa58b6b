"""Finding images by name, tagging and untagging."""

from __future__ import annotations

import pytest

from lamina.errors import InvalidInput, NotFound
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from support.gallery import Gallery


def test_an_image_is_found_by_tag_id_and_prefix(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app:1"])
    assert image.id == image.config.digest
    for name in (
        "app:1",
        "docker.io/library/app:1",
        str(image.id),
        image.id.encoded,
        image.id.short,
        image.id.encoded[:3],
    ):
        assert gallery.images.get(name) == image
    assert gallery.images.get(image.id) == image
    assert gallery.images.find("nothing") is None


def test_latest_is_the_default(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app"])
    assert gallery.images.get("app:latest") == image
    with pytest.raises(NotFound) as caught:
        gallery.images.get("app2")
    assert caught.value.message == "No such image: app2:latest"


def test_a_tag_comes_before_an_id_that_begins_alike(gallery: Gallery) -> None:
    first, second = gallery.image({"a": b"1"}), gallery.image({"a": b"2"})
    gallery.images.tag(second.id, first.id.encoded[:4])
    assert gallery.images.get(first.id.encoded[:4]).id == second.id


def test_an_ambiguous_prefix_is_no_name(gallery: Gallery) -> None:
    for number in range(20):
        gallery.image(author=str(number))
    with pytest.raises(InvalidInput):
        gallery.images.get(_shared_digit(gallery))


def _shared_digit(gallery: Gallery) -> str:
    digits = [item.image.id.encoded[0] for item in gallery.images.list(all=True)]
    return next(digit for digit in digits if digits.count(digit) > 1)


def test_by_digest(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app:1"])
    manifest = gallery.images.manifest(image)
    pinned = Reference.parse("example.com/app").with_digest(manifest.digest)
    gallery.images.add_digest(image, pinned, manifest)
    found = gallery.images.get(str(pinned))
    local = f"app@{manifest.digest}"
    assert found.digests == (pinned.familiar(), local)
    assert found.manifest_digest == manifest.digest
    assert gallery.images.get(f"example.com/app:any@{manifest.digest}") == found
    with pytest.raises(NotFound):
        gallery.images.get(f"example.com/other@{manifest.digest}")


def test_a_tag_moves(gallery: Gallery) -> None:
    first = gallery.image({"a": b"1"}, names=["app:1", "app:2"])
    second = gallery.image({"a": b"2"}, names=["app:1"])
    assert gallery.images.get("app:1").id == second.id
    assert [name.familiar() for name in gallery.images.get(first.id).references] == ["app:2"]


def test_tagging_tells_and_is_kept(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, labels={"team": "x"})
    assert image.tagged == ""
    gallery.images.tag(image.id.short, "app")
    assert gallery.images.get(image.id).tags == ("app:latest",)
    assert gallery.images.get("app").tagged != ""
    assert gallery.events() == [("tag", image.id.short, "app:latest")]
    assert gallery.bus.past(0, 2**62)[0].attributes["team"] == "x"


@pytest.mark.parametrize("name", ["sha256:abc", "app@sha256:" + "0" * 64])
def test_names_that_would_mislead_are_refused(gallery: Gallery, name: str) -> None:
    image = gallery.image({"a": b"1"})
    with pytest.raises(InvalidInput):
        gallery.images.tag(image.id, name)


def test_making_an_image_again_adds_names(gallery: Gallery) -> None:
    first = gallery.image({"a": b"1"}, names=["app:1"])
    again = gallery.image({"a": b"1"}, names=["app:2"])
    assert again.id == first.id
    assert again.made == first.made
    assert [name.familiar() for name in again.references] == ["app:1", "app:2"]


def test_an_image_needs_its_layers(gallery: Gallery) -> None:
    before = gallery.content()
    with pytest.raises(NotFound):
        gallery.images.create(ImageConfig.build(diff_ids=[Digest.of(b"no layer")]))
    assert gallery.content() == before
    assert gallery.images.list(all=True) == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (RunConfig(working_dir="/a\0b"), "config.WorkingDir"),
        (RunConfig(env=("A=1", "B=\0")), r"config.Env\[1\]"),
        (RunConfig(volumes={"/\0": {}}), "config.Volumes"),
    ],
)
def test_a_config_with_a_nul_never_gets_in(gallery: Gallery, config: RunConfig, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{field}': it holds a NUL"):
        gallery.images.create(ImageConfig.build(config=config))
    assert gallery.names(all_images=True) == []


def test_the_manifest_of_an_image_made_here(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, {"b": b"2"})
    manifest = gallery.images.manifest(image)
    assert manifest.config.digest == image.id
    assert [layer.digest for layer in manifest.layers] == list(image.config.diff_ids)
    for layer in manifest.layers:
        assert gallery.store.blobs.size(layer.digest) == layer.size


def test_a_name_of_an_image_made_here_has_a_digest(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app:1", "app:2", "other"])
    manifest = gallery.images.manifest(image).digest
    found = gallery.images.get("app:1")
    assert found.digests == (f"app@{manifest}", f"other@{manifest}")
    assert found.digest_references == (), "no registry has it"
    assert gallery.images.get(f"app@{manifest}").id == image.id
    removed = gallery.images.remove(f"app@{manifest}")
    assert [item.untagged for item in removed] == ["app:1", "app:2"]
    assert gallery.images.get(image.id).digests == (f"other@{manifest}",)
    with pytest.raises(NotFound):
        gallery.images.get(f"app@{manifest}")


def test_a_new_name_of_a_pulled_image_has_the_digest_of_the_registry(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["example.com/app:1"])
    pinned = Reference.parse("example.com/app").with_digest(Digest.of(b"an index"))
    gallery.images.add_digest(image, pinned)
    gallery.images.tag("example.com/app:1", "mine")
    assert gallery.images.get("mine").digests == (pinned.familiar(), f"mine@{pinned.digest}")
