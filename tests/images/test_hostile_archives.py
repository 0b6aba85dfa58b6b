"""Archives that are wrong, by accident or on purpose: a clear error, and the store as it was."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from lamina.errors import Corrupt, InvalidInput, LaminaError, NotFound, TooLarge
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from support.gallery import Files, Gallery
from support.tars import tar

LAYER = tar({"file": b"content"})
DIFF_ID = Digest.of(LAYER)
CONFIG = ImageConfig.build(diff_ids=[DIFF_ID])


def archive(
    files: Files | None = None, *, without: str = "", links: dict[str, str] | None = None, **item: object
) -> bytes:
    """A good docker-archive, spoilt."""
    fields = {"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar"], **item}
    whole = {"config.json": CONFIG.raw, "l/layer.tar": LAYER, "manifest.json": json.dumps([fields]).encode()}
    whole |= dict(files or {})
    whole.pop(without, None)
    return tar(whole, **(links or {}))


def manifest(value: object) -> Files:
    return {"manifest.json": json.dumps(value).encode()}


def layers(count: int) -> Files:
    """A config that names one layer again and again."""
    rootfs = {"type": "layers", "diff_ids": [str(DIFF_ID)] * count}
    return {"config.json": json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()}


def layout(*, layer: bytes = LAYER, claimed: Digest = DIFF_ID, media_type: str = OCI_LAYER) -> bytes:
    """An OCI layout whose layer blob is `layer` under the name `claimed`."""
    made = Manifest.build(Descriptor.of(OCI_CONFIG, CONFIG.raw), [Descriptor(media_type, claimed, len(layer))])
    return tar(
        {
            "index.json": Index.build([made.descriptor]).raw,
            f"blobs/sha256/{made.digest.encoded}": made.raw,
            f"blobs/sha256/{CONFIG.digest.encoded}": CONFIG.raw,
            f"blobs/sha256/{claimed.encoded}": layer,
        }
    )


def nested(times: int, depth: int) -> bytes:
    """A layout whose indexes name the one below them many times, down to one manifest."""
    config = ImageConfig.build()
    inner: Manifest | Index = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [])
    files = {f"blobs/sha256/{config.digest.encoded}": config.raw}
    for _ in range(depth):
        files[f"blobs/sha256/{inner.digest.encoded}"] = inner.raw
        inner = Index.build([inner.descriptor] * times)
    return tar({**files, "index.json": inner.raw})


BAD: list[tuple[str, bytes, type[LaminaError], str]] = [
    ("not a tar", b"this is no tar " * 100, InvalidInput, ""),
    ("indexes that name each other again and again", nested(100, 3), TooLarge, "more than 10000 entries"),
    ("very many layers", archive(layers(1001)), InvalidInput, "more than 1000 layers"),
    ("nothing", b"", InvalidInput, "no image archive"),
    ("a root file system", tar({"bin/sh": b"#!"}), InvalidInput, "no image archive"),
    ("cut off", archive()[:3000], InvalidInput, ""),
    ("damaged compression", gzip.compress(archive())[:-200], InvalidInput, "gzip"),
    ("manifest no JSON", archive({"manifest.json": b"{"}), InvalidInput, "manifest.json"),
    ("manifest an object", archive(manifest({"Config": "c"})), InvalidInput, "manifest.json"),
    ("manifest with a number", archive(manifest([{"Config": 1}])), InvalidInput, "Config"),
    ("config missing", archive(without="config.json"), NotFound, "config.json"),
    ("config no JSON", archive({"config.json": b"[]"}), InvalidInput, "config"),
    ("config without rootfs", archive({"config.json": b"{}"}), InvalidInput, "rootfs"),
    ("layer missing", archive(without="l/layer.tar"), NotFound, "l/layer.tar"),
    ("layer no tar", archive({"l/layer.tar": b"x" * 2000}), NotFound, "l/layer.tar"),
    (
        "layer with other content",
        archive({"l/layer.tar": tar({"file": b"evil"})}),
        Corrupt,
        "invalid diffID for layer 0",
    ),
    ("layer with a bad path", archive({"l/layer.tar": tar({"../../etc/passwd": b"x"})}), InvalidInput, "etc/passwd"),
    ("one layer too many", archive(Layers=["l/layer.tar", "l/layer.tar"]), InvalidInput, "length mismatch"),
    ("a name without a tag", archive(RepoTags=["app"]), InvalidInput, "invalid tag"),
    ("a name that is none", archive(RepoTags=["App:1"]), InvalidInput, ""),
    ("config outside", archive(Config="../../../etc/passwd"), InvalidInput, "outside"),
    ("config absolute", archive(Config="/etc/passwd"), InvalidInput, "outside"),
    ("layer outside", archive(Layers=["../../etc/passwd"]), InvalidInput, "outside"),
    (
        "a link outside",
        archive(without="l/layer.tar", links={"l/layer.tar": "../../../etc/passwd"}),
        InvalidInput,
        "outside",
    ),
    ("an absolute link", archive(without="l/layer.tar", links={"l/layer.tar": "/etc/passwd"}), InvalidInput, "outside"),
    (
        "links in a ring",
        archive(without="l/layer.tar", links={"l/layer.tar": "x", "l/x": "layer.tar"}),
        InvalidInput,
        "links",
    ),
    ("a member outside", archive({"../../evil": b"x"}), InvalidInput, "evil"),
    ("index no JSON", tar({"index.json": b"{"}), InvalidInput, "index"),
    ("blob with another digest", layout(layer=tar({"file": b"evil"})), Corrupt, "digest"),
    ("gzip blob with another digest", layout(layer=gzip.compress(LAYER), claimed=Digest.of(b"x")), Corrupt, "digest"),
    (
        "index to a missing blob",
        tar({"index.json": Index.build([Descriptor.of(OCI_MANIFEST, b"x")]).raw}),
        NotFound,
        "",
    ),
    ("repositories only", tar({"repositories": b'{"a":{"1":"x"}}'}), NotFound, "x/json"),
    ("repositories wrong", tar({"repositories": b"[1]"}), InvalidInput, "repositories"),
    (
        "ancestors in a ring",
        tar({"repositories": b'{"a":{"1":"x"}}', "x/json": b'{"parent":"y"}', "y/json": b'{"parent":"x"}'}),
        InvalidInput,
        "no end",
    ),
]


@pytest.mark.parametrize(("data", "kind", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_archive(gallery: Gallery, data: bytes, kind: type[LaminaError], said: str) -> None:
    gallery.image({"before": b"1"}, names=["before"])
    content = gallery.content()
    with pytest.raises(LaminaError) as caught:
        gallery.images.load(io.BytesIO(data))
    assert type(caught.value) is kind, caught.value
    assert said in caught.value.message
    assert gallery.content() == content
    assert gallery.names(all_images=True) == ["before:latest"]
    assert [path.name for path in (gallery.store.root / "ingest").iterdir()] == []


def test_the_good_one_loads(gallery: Gallery) -> None:
    assert gallery.images.load(io.BytesIO(archive()))[0].id == CONFIG.digest
    assert gallery.images.load(io.BytesIO(layout()))[0].id == CONFIG.digest


def test_bad_members_that_nobody_refers_to_do_no_harm(gallery: Gallery) -> None:
    extra = {"notes.gz": gzip.compress(b"just text"), "sbom.json": b"{ not json", "blobs/sha256/" + "0" * 64: b"wrong"}
    gallery.images.load(io.BytesIO(archive(extra)))
    assert gallery.names() == ["app:1"]


def test_one_bad_image_of_two_means_none(gallery: Gallery) -> None:
    good = {"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar"]}
    bad = {"Config": "missing.json", "RepoTags": ["bad:1"], "Layers": ["l/layer.tar"]}
    with pytest.raises(NotFound):
        gallery.images.load(io.BytesIO(archive(manifest([good, bad]))))
    assert gallery.names(all_images=True) == []
    assert gallery.content() == set()


def test_a_layer_that_is_left_out_but_here_is_taken(gallery: Gallery) -> None:
    gallery.images.load(io.BytesIO(archive()))
    gallery.images.load(io.BytesIO(archive(without="l/layer.tar", RepoTags=["again:1"])))
    assert gallery.images.get("again:1").id == CONFIG.digest


def test_an_index_is_read_once_however_often_it_is_named(gallery: Gallery) -> None:
    (loaded,) = {loaded.id for loaded in gallery.images.load(io.BytesIO(nested(50, 2)))}
    assert gallery.images.get(str(loaded)).layers == ()
