"""Images at a registry are looked into without a pull: once by all their bytes, then by an index, or by their list."""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

import lamina
from lamina.api.explorer import Search
from lamina.cancellation import NEVER
from lamina.engine import Engine
from lamina.errors import Corrupt, InvalidInput, NotFound, TooLarge
from lamina.explorer.remote.contents_list import listed_files
from lamina.explorer.remote.kept_layers import KeptLayer, KeptLayers
from lamina.formats.config import History, ImageConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from support.registries import Raw, Running
from support.scripted import Reply, Request, scripted
from support.tars import tar

BIG = random.Random(1).randbytes(3_000_000)
FILES = {"etc/conf": b"one\n", "big": BIG, "usr/bin/tool": b"#!/bin/sh\n" * 300}


@contextmanager
def engine_at(root: Path) -> Iterator[Engine]:
    with lamina.Engine(root / "data", root / "exec") as engine:
        yield engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_at(tmp_path / "here") as engine:
        yield engine


def push(raw: Raw, blob: bytes, diff_id: Digest, media_type: str = f"{OCI_LAYER}+gzip", **annotations: str) -> None:
    """Push an image of one layer as app:1."""
    config = ImageConfig.build(diff_ids=[diff_id], history=[History("2024-05-06T07:08:09Z", "COPY . /")])
    layer = Descriptor(media_type, Digest.of(blob), len(blob), annotations=annotations)
    for part in (config.raw, blob):
        raw.push_blob("app", part)
    raw.push_manifest("app", "1", Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [layer]))


def test_what_is_kept_counts_as_disk_space(registry: Running, raw: Raw, engine: Engine) -> None:
    plain = tar(FILES)
    push(raw, gzip.compress(plain), Digest.of(plain))
    assert engine.disk_usage().remote_layers == {}
    engine.explorer.layers(f"registry://{registry.address}/app:1")
    (size,) = engine.disk_usage().remote_layers.values()
    assert size > len(BIG)
    assert engine.disk_usage(["volume"]).remote_layers == {}


def test_a_layer_is_fetched_once_and_its_index_stays(registry: Running, raw: Raw, tmp_path: Path) -> None:
    plain = tar(FILES)
    push(raw, gzip.compress(plain), Digest.of(plain))
    name = f"registry://{registry.address}/app:1"
    with engine_at(tmp_path / "here") as engine:
        first = engine.explorer.sources(name)
        assert [layer.read_from for layer in first.layers] == ["stream"]
        assert first.fetched > first.size > len(BIG)
        assert engine.images.list() == []
        again = engine.explorer.sources(first.reference)
        assert ([layer.read_from for layer in again.layers], again.fetched) == (["index"], first.fetched)
    with engine_at(tmp_path / "here") as engine:  # memory has nothing of it any more
        sources = engine.explorer.sources(name)
        assert [layer.read_from for layer in sources.layers] == ["index"]
        found = engine.explorer.find(sources.reference, Search(smallest=1000))
        assert [file.path for file in found] == ["/big", "/usr/bin/tool"]
        engine.explorer.read(sources.reference, "/etc/conf", sink := io.BytesIO())
        assert sink.getvalue() == b"one\n"
        (touch,) = engine.explorer.blame(sources.reference, "/etc/conf").touches
        assert touch.created_by == "COPY . /"
        assert engine.explorer.sources(sources.reference).fetched < sources.size / 20


def test_contents_that_are_not_kept_are_fetched_again(registry: Running, raw: Raw, engine: Engine) -> None:
    plain = tar(FILES)
    push(raw, gzip.compress(plain), Digest.of(plain))
    name = f"registry://{registry.address}/app:1"
    before = engine.explorer.sources(name).fetched
    for kept in (engine.root / "explorer").glob("*.tar"):
        kept.unlink()
    engine.explorer.files(name, "/etc")
    assert engine.explorer.sources(name).fetched - before < 10_000
    engine.explorer.read(name, "/etc/conf", sink := io.BytesIO())
    assert sink.getvalue() == b"one\n"
    assert engine.explorer.sources(name).fetched - before > len(BIG)


def test_layers_that_are_here_cost_nothing(registry: Running, raw: Raw, engine: Engine) -> None:
    plain = tar(FILES)
    push(raw, gzip.compress(plain), Digest.of(plain))
    engine.images.import_tar(io.BytesIO(plain), "same")
    name = f"registry://{registry.address}/app:1"
    sources = engine.explorer.sources(name)
    assert [layer.read_from for layer in sources.layers] == ["disk"]
    assert sources.fetched < 5_000
    assert engine.explorer.compare("same", name).files == ()
    assert engine.explorer.sharing("same", name).shared_bytes == sum(map(len, FILES.values()))


def test_a_layer_that_is_not_what_its_config_says_is_refused(registry: Running, raw: Raw, engine: Engine) -> None:
    push(raw, gzip.compress(tar(FILES)), Digest.of(b"another layer"))
    with pytest.raises(Corrupt, match="is not sha256:"):
        engine.explorer.layers(f"registry://{registry.address}/app:1")
    assert list((engine.root / "explorer").iterdir()) == []


def test_a_registry_that_sends_another_blob_is_found_out(tmp_path: Path, engine: Engine) -> None:
    plain = tar({"a": b"1"})
    blob = gzip.compress(plain)
    config = ImageConfig.build(diff_ids=[Digest.of(plain)])
    layer = Descriptor.of(f"{OCI_LAYER}+gzip", blob)
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [layer])
    sent = {
        "manifests/1": manifest.raw,
        f"blobs/{config.digest}": config.raw,
        f"blobs/{layer.digest}": blob[:-1] + b"x",
    }

    def answer(request: Request) -> Reply:
        body = next((content for path, content in sent.items() if request.path.endswith(path)), None)
        kind = {"Content-Type": manifest.media_type} if "manifests" in request.path else {}
        return Reply(404) if body is None else Reply(200, kind, body)

    with scripted(answer) as server, pytest.raises(Corrupt):
        engine.explorer.layers(f"registry://{server.address}/app:1")
    assert list((engine.root / "explorer").iterdir()) == []


def stargz(files: dict[str, bytes], change: Callable[[list[dict[str, Any]]], None] = lambda entries: None) -> Any:
    """An eStargz blob with its diff-id and the digest of its list: each file in a gzip member of its own."""
    blob, plain, entries = b"", b"", []
    for name, content in files.items():
        member = tar({name: content})[: 512 + -(-len(content) // 512) * 512]
        head, data = member[:512], member[512:]
        blob += gzip.compress(head)
        entries.append(
            {"name": name, "type": "reg", "mode": 0o644, "size": len(content), "digest": str(Digest.of(content))}
            | {"offset": len(blob), "modtime": "2024-05-06T07:08:09Z", "chunkDigest": str(Digest.of(content))}
        )
        blob += gzip.compress(data[: len(content)]) + gzip.compress(data[len(content) :])
        plain += member
    change(entries)
    document = json.dumps({"version": 1, "entries": entries}).encode()
    listing = tar({"stargz.index.json": document})
    offset = len(blob)
    blob += gzip.compress(listing)
    extra = b"SG" + struct.pack("<H", 22) + f"{offset:016x}".encode() + b"STARGZ"
    footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra + b"\x01\0\0\xff\xff"
    blob += footer + bytes(8)
    assert len(footer) + 8 == 51
    return blob, Digest.of(plain + listing), str(Digest.of(document))


TOC = "containerd.io/snapshot/stargz/toc.digest"


def test_an_estargz_layer_is_read_by_its_list_and_in_pieces(registry: Running, raw: Raw, engine: Engine) -> None:
    blob, diff_id, digest = stargz(FILES)
    push(raw, blob, diff_id, **{TOC: digest})
    name = f"registry://{registry.address}/app:1"
    sources = engine.explorer.sources(name)
    assert [layer.read_from for layer in sources.layers] == ["contents"]
    assert sources.fetched < sources.size / 20
    assert engine.explorer.report(name).size == sum(map(len, FILES.values()))
    for path, content in FILES.items():
        engine.explorer.read(name, f"/{path}", sink := io.BytesIO())
        assert sink.getvalue() == content
    assert engine.explorer.layers(name)[0].diff_id.startswith("list:")


def test_a_list_that_lies_about_contents_is_found_out(registry: Running, raw: Raw, engine: Engine) -> None:
    def lie(entries: list[dict[str, Any]]) -> None:
        entries[0]["chunkDigest"] = str(Digest.of(b"other"))

    blob, diff_id, digest = stargz(FILES, lie)
    push(raw, blob, diff_id, **{TOC: digest})
    name = f"registry://{registry.address}/app:1"
    assert engine.explorer.files(name, "/etc")
    with pytest.raises(Corrupt):
        engine.explorer.read(name, "/etc/conf", io.BytesIO())


def test_a_list_that_the_manifest_does_not_name_is_refused(registry: Running, raw: Raw, engine: Engine) -> None:
    blob, diff_id, _ = stargz(FILES)
    push(raw, blob, diff_id, **{TOC: str(Digest.of(b"another list"))})
    with pytest.raises(Corrupt):
        engine.explorer.layers(f"registry://{registry.address}/app:1")


@pytest.mark.parametrize("prefix", ["io.github.containers.zstd-chunked.", "io.containers.zstd-chunked."])
def test_a_zstd_chunked_layer_is_read_by_its_list(registry: Running, raw: Raw, engine: Engine, prefix: str) -> None:
    compress = zstandard.ZstdCompressor().compress
    blob, entries = b"", []
    for name, content in FILES.items():
        blob += compress(b"header")
        entries.append(
            {"type": "reg", "name": name, "mode": 0o644, "size": len(content), "digest": str(Digest.of(content))}
            | {"offset": len(blob), "endOffset": len(blob) + len(compress(content))}
        )
        blob += compress(content)
    document = json.dumps({"version": 1, "entries": entries}).encode()
    sent = compress(document)
    frame = b"\x50\x2a\x4d\x18" + struct.pack("<I", len(sent))
    position = f"{len(blob) + len(frame)}:{len(sent)}:{len(document)}:1"
    blob += frame + sent
    annotations = {f"{prefix}manifest-checksum": str(Digest.of(sent)), f"{prefix}manifest-position": position}
    push(raw, blob, Digest.of(b"nobody looks"), f"{OCI_LAYER}+zstd", **annotations)
    name = f"registry://{registry.address}/app:1"
    sources = engine.explorer.sources(name)
    assert ([layer.read_from for layer in sources.layers], sources.fetched < sources.size / 20) == (["contents"], True)
    engine.explorer.read(name, "/usr/bin/tool", sink := io.BytesIO())
    assert sink.getvalue() == FILES["usr/bin/tool"]


REG = {"type": "reg", "name": "a", "size": 10, "offset": 1, "endOffset": 5}
HOSTILE = [
    b"[" * 100_000,
    b'{"entries": 1}',
    *(
        json.dumps({"entries": [entry]}).encode()
        for entry in (
            {"type": "odd", "name": "a"},
            REG | {"name": "../../etc/passwd"},
            REG | {"name": "a\0b"},
            REG | {"size": -5},
            REG | {"size": 1 << 62},
            REG | {"chunkSize": 20},
            REG | {"chunkOffset": 5},
            REG | {"size": 1 << 40},
            {"type": "symlink", "name": "a", "linkName": "x" * 5000},
        )
    ),
]


@pytest.mark.parametrize("raw_list", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lists_are_refused(raw_list: bytes) -> None:
    with pytest.raises((InvalidInput, TooLarge)):
        list(listed_files(raw_list))


def test_an_image_that_is_not_there(registry: Running, engine: Engine) -> None:
    with pytest.raises(NotFound):
        engine.explorer.layers(f"registry://{registry.address}/none:1")
    with pytest.raises(InvalidInput, match="names nothing"):
        engine.explorer.layers("ftp://x")


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    (tmp_path / "partial-crashed").mkdir()
    (tmp_path / "partial-crashed" / "tar").write_bytes(b"half")
    kept = KeptLayers(tmp_path, index_bytes=25, content_bytes=100)

    def fetch(folder: Path) -> KeptLayer:
        (folder / "erofs").write_bytes(b"i" * 10)
        (folder / "tar").write_bytes(b"t" * 60)
        return KeptLayer(1, 60, verified=True)

    for key in ("a", "b", "c"):
        kept.fill(key, NEVER, fetch)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert sum(name.endswith(".erofs") for name in names) == 2
    assert sum(name.endswith(".tar") for name in names) == 1
    assert not any(name.startswith(("a.", "partial-")) for name in names)
