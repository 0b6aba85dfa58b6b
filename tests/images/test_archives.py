"""Save and load between two stores, in every form an archive comes in."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable

import pytest
import zstandard

from lamina.errors import NotFound
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.images.archive.save import copy_to
from lamina.images.image import Image
from lamina.progress import Message, Output, Status
from support.gallery import Gallery
from support.tars import tar


def saved(gallery: Gallery, *names: str, docker_archive: bool = True) -> bytes:
    sink = io.BytesIO()
    with gallery.images.archive(names, docker_archive=docker_archive) as pieces:
        copy_to(pieces, sink.write)
    return sink.getvalue()


def loaded(gallery: Gallery, archive: bytes, platform: str = "") -> list[str]:
    """Load; gives the lines for people."""
    messages: list[Message] = []
    gallery.images.load(io.BytesIO(archive), platform=platform, report=messages.append)
    return [message.text.strip() for message in messages if isinstance(message, Output)]


def same(one: Image, two: Image) -> bool:
    parts = [(i.id, i.config.raw, i.layer_sizes, [layer.size for layer in i.layers]) for i in (one, two)]
    return parts[0] == parts[1]


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {m.name: (f.read() if (f := opened.extractfile(m)) else b"") for m in opened if m.isreg()}


def test_there_and_back(gallery: Gallery, other: Gallery) -> None:
    image = gallery.image({"a": b"1"}, {"b": b"2"}, names=["app:1", "example.com/app:2"])
    lines = loaded(other, saved(gallery, "app:1", "example.com/app:2"))
    assert lines == ["Loaded image: app:1", "Loaded image: example.com/app:2"]
    assert same(other.images.get("app:1"), image)
    assert other.images.get("example.com/app:2").id == image.id
    assert list(other.store.verify()) == []
    assert [event[0] for event in other.events()] == ["load"]
    assert gallery.events()[-1][0] == "save"


def test_the_same_images_give_the_same_bytes(gallery: Gallery, other: Gallery) -> None:
    gallery.image({"a": b"1"}, {"b": b"2"}, names=["app:1"])
    first = saved(gallery, "app:1")
    assert saved(gallery, "app:1") == first
    loaded(other, first)
    assert saved(other, "app:1") == first


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress], ids=["gzip", "bzip2", "xz", "zstd"]
)
def test_a_compressed_archive(gallery: Gallery, other: Gallery, compress: Callable[[bytes], bytes]) -> None:
    image = gallery.image({"a": b"1" * 10_000}, names=["app"])
    assert loaded(other, compress(saved(gallery, "app"))) == ["Loaded image: app:latest"]
    assert same(other.images.get("app"), image)


def test_what_names_mean_to_save(gallery: Gallery, other: Gallery) -> None:
    one = gallery.image({"a": b"1"}, names=["app:1"])
    gallery.image({"b": b"2"}, names=["app:2"])
    nameless = gallery.image({"c": b"3"})
    assert loaded(other, saved(gallery, "app")) == ["Loaded image: app:1", "Loaded image: app:2"]
    assert loaded(other, saved(gallery, nameless.id.short)) == [f"Loaded image ID: {nameless.id}"]
    assert loaded(other, saved(gallery, str(one.id))) == [f"Loaded image ID: {one.id}"]
    with pytest.raises(NotFound):
        saved(gallery, "app:1", "nothing")
    assert gallery.images.load(io.BytesIO(saved(gallery))) == []


def test_shared_layers_are_in_the_archive_once(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"}, names=["base"])
    gallery.image({"b": b"2"}, parent=base, names=["app"])
    layers = [name for name in members(saved(gallery, "base", "app")) if name.startswith("blobs/sha256/")]
    assert len(layers) == len(set(layers)) == 2 + 2 + 2  # layers, configs, manifests


def test_parents_in_the_same_archive_are_kept(gallery: Gallery, other: Gallery) -> None:
    base = gallery.image({"a": b"1"}, names=["base"])
    app = gallery.image({"b": b"2"}, parent=base, names=["app"])
    loaded(other, saved(gallery, "app"))
    assert other.images.get("app").parent is None
    loaded(other, saved(gallery, "app", "base"))
    assert other.images.get("app").parent == base.id
    assert [step.id for step in other.images.history("app")] == [str(app.id), str(base.id)]


def test_loading_moves_a_tag_and_says_so(gallery: Gallery, other: Gallery) -> None:
    gallery.image({"a": b"new"}, names=["app"])
    old = other.image({"a": b"old"}, names=["app"])
    assert loaded(other, saved(gallery, "app")) == [
        f"The image app:latest already exists, renaming the old one with ID {old.id} to empty string",
        "Loaded image: app:latest",
    ]
    assert other.images.get(old.id).references == ()


def test_progress_is_told_by_layer(gallery: Gallery, other: Gallery) -> None:
    image = gallery.image({"a": b"x" * 9_000_000}, names=["app"])
    messages: list[Message] = []
    other.images.load(io.BytesIO(saved(gallery, "app")), report=messages.append)
    told = [m for m in messages if isinstance(m, Status)]
    size = image.layers[0].size
    assert {(m.id, m.status, m.total) for m in told} == {(image.layers[0].diff_id.short, "Loading layer", size)}
    assert told[-1].current == size
    assert len(told) >= 3


def test_layers_that_are_here_are_not_read(gallery: Gallery, other: Gallery) -> None:
    image = gallery.image({"a": b"1" * 100}, names=["app"])
    archive = saved(gallery, "app")
    loaded(other, archive)
    other.images.remove("app")
    with other.store.lease():
        other.layer({"a": b"1" * 100})
        messages: list[Message] = []
        other.images.load(io.BytesIO(archive), report=messages.append)
    assert [m for m in messages if isinstance(m, Status)] == []
    assert same(other.images.get("app"), image)


def test_an_oci_layout_alone(gallery: Gallery, other: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["example.com/app:1"])
    archive = saved(gallery, "example.com/app:1", docker_archive=False)
    assert "manifest.json" not in members(archive)
    assert loaded(other, archive) == ["Loaded image: example.com/app:1"]
    assert same(other.images.get("example.com/app:1"), image)


def test_an_image_without_layers(gallery: Gallery, other: Gallery) -> None:
    image = gallery.image(names=["empty"])
    loaded(other, saved(gallery, "empty"))
    assert same(other.images.get("empty"), image)


def layout(*images: tuple[Platform, bytes], name: str = "", nested: bool = False) -> tuple[bytes, list[ImageConfig]]:
    """An OCI layout with gzip layers, one image for each platform, under one name."""
    files: dict[str, bytes] = {}

    def blob(raw: bytes, media_type: str) -> Descriptor:
        descriptor = Descriptor.of(media_type, raw)
        files[f"blobs/sha256/{descriptor.digest.encoded}"] = raw
        return descriptor

    configs, entries = [], []
    annotations = {"org.opencontainers.image.ref.name": name} if name else {}
    for platform, content in images:
        plain = tar({"file": content})
        diff_id = Descriptor.of(OCI_LAYER, plain).digest
        config = ImageConfig.build(platform=platform, diff_ids=[diff_id])
        layer = blob(gzip.compress(plain, mtime=0), OCI_LAYER_GZIP)
        manifest = Manifest.build(blob(config.raw, OCI_CONFIG), [layer])
        blob(manifest.raw, OCI_MANIFEST)
        entry = manifest.descriptor
        entries.append(Descriptor(entry.media_type, entry.digest, entry.size, platform, {} if nested else annotations))
        configs.append(config)
    index = Index.build(entries)
    if nested:
        inner = blob(index.raw, OCI_INDEX)
        index = Index.build([Descriptor(inner.media_type, inner.digest, inner.size, annotations=annotations)])
    files |= {"index.json": index.raw, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    return tar(files), configs


HOST, ARM = Platform.host(), Platform("linux", "arm", "v7")


@pytest.mark.parametrize("nested", [False, True])
def test_of_several_platforms_one_is_taken(gallery: Gallery, nested: bool) -> None:
    archive, (arm, host) = layout((ARM, b"arm"), (HOST, b"host"), name="example.com/app:1", nested=nested)
    assert loaded(gallery, archive) == ["Loaded image: example.com/app:1"]
    assert gallery.images.get("example.com/app:1").id == host.digest
    loaded(gallery, archive, platform=str(ARM))
    assert gallery.images.get("example.com/app:1").id == arm.digest
    with pytest.raises(NotFound):
        loaded(gallery, archive, platform="linux/s390x")


def test_what_the_other_platforms_brought_is_not_kept(gallery: Gallery) -> None:
    archive, (_, host) = layout((ARM, b"arm"), (HOST, b"host"), name="example.com/app:1")
    loaded(gallery, archive)
    assert len(list((gallery.store.root / "layers/sha256").iterdir())) == 2, "one tar, one index"
    assert gallery.images.get("example.com/app:1").id == host.digest


def test_the_manifest_of_a_layout_survives_with_its_compressed_layers(gallery: Gallery) -> None:
    archive, (config,) = layout((HOST, b"host"), name="latest")
    assert loaded(gallery, archive) == [f"Loaded image ID: {config.digest}"], "a bare tag is no name"
    image = gallery.images.get(config.digest)
    manifest = gallery.images.manifest(image)
    assert manifest.layers[0].media_type == OCI_LAYER_GZIP
    assert gallery.store.blobs.cached_forms(image.config.diff_ids[0]) == (manifest.layers[0].digest,)
    gallery.images.remove(str(image.id))
    assert gallery.content() == set()


def legacy_archive() -> bytes:
    """What docker save wrote before 1.10, as far as it matters."""
    lower = {"id": "a" * 64, "created": "2015-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "one"]}}
    upper = {
        "id": "b" * 64,
        "parent": "a" * 64,
        "created": "2015-01-02T00:00:00Z",
        "author": "me",
        "os": "linux",
        "architecture": "amd64",
        "config": {"Cmd": ["sh"], "Env": ["A=1"]},
        "container_config": {"Cmd": ["/bin/sh", "-c", "two"]},
    }
    files = {"repositories": json.dumps({"old": {"1": "b" * 64}}).encode()}
    for document, content in ((upper, b"2"), (lower, b"1")):
        name = str(document["id"])
        files |= {f"{name}/VERSION": b"1.0", f"{name}/json": json.dumps(document).encode()}
        files[f"{name}/layer.tar"] = tar({"file": content})
    return tar(files)


def test_an_archive_from_before_docker_1_10(gallery: Gallery) -> None:
    assert loaded(gallery, legacy_archive())[-1] == "Loaded image: old:1"
    image = gallery.images.get("old:1")
    assert image.config.config.env == ("A=1",)
    assert image.config.author == "me"
    assert len(image.layers) == 2
    steps = gallery.images.history("old:1")
    assert [step.created_by for step in steps] == ["/bin/sh -c two", "/bin/sh -c one"]
    assert [step.id for step in steps] == [str(image.id), str(image.parent)]


def test_layers_may_be_links_to_each_other(gallery: Gallery) -> None:
    layer = tar({"file": b"1"})
    diff_id = Descriptor.of(OCI_LAYER, layer).digest
    config = ImageConfig.build(diff_ids=[diff_id, diff_id])
    manifest = [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
    files = {"c.json": config.raw, "one/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    loaded(gallery, tar(files, **{"two/layer.tar": "../one/layer.tar"}))
    assert len(gallery.images.get("app:1").layers) == 2
