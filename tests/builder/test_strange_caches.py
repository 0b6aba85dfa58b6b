"""Caches of strangers, options that no cache has, and an engine that dies while a layer is on its way."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import CacheOption
from lamina.api.memory_context import MemoryContext
from lamina.builder.buildkit_keys.key_records import KeyRecord
from lamina.builder.cache.records import CachedResult, CachedStep
from lamina.builder.cache_exchange import cache_document
from lamina.builder.cache_exchange.cache_document import (
    MEDIA_TYPE,
    read_document,
    read_inline,
    write_document,
    write_inline,
)
from lamina.builder.cache_exchange.cache_import import CachePlaces
from lamina.builder.cache_exchange.cache_options import cache_sources, cache_targets
from lamina.builder.console import Console
from lamina.cancellation import NEVER
from lamina.distribution import RegistryClient
from lamina.engine import Engine
from lamina.errors import InvalidInput, LaminaError, TooLarge, Unavailable, Unsupported
from lamina.formats.descriptor import OCI_LAYER, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.progress import ignore
from support.build_caches import ONE, Builder, builders, cache, fetched, put_cache
from support.registries import Raw, Running
from support.registry_fixtures import client, raw, registry, start
from support.stalling import SIZE, stalling_registry

__all__ = ["builders", "client", "raw", "registry", "start"]


@pytest.mark.parametrize("index", [False, True], ids=["manifest", "index"])
def test_a_layer_that_is_not_what_the_cache_says_is_left_and_the_step_runs(
    builders: list[Builder], registry: Running, client: RegistryClient, index: bool
) -> None:
    """The blob is what its own digest says, and has the files of another step."""
    first, second = builders
    result = first.build(ONE)
    other = first.build("FROM scratch\nCOPY tool /\n").image.layers[0].tar.read_bytes()
    (step,) = result.cached
    assert isinstance(step, CachedStep)
    assert step.layer is not None
    blob = Descriptor.of(OCI_LAYER, other)
    put_cache(client, registry, write_document([step], {step.layer: blob}), [(blob, other)], index=index)

    again = second.build(ONE, cache_imports=cache(registry)).image
    assert "does not give the layer of this step" in second.said
    assert (second.cached, again.id) == (0, result.image.id)


def test_a_cache_written_as_an_index_is_read(
    builders: list[Builder], registry: Running, client: RegistryClient
) -> None:
    result = builders[0].build(ONE)
    layer = result.image.layers[0]
    blob = Descriptor(OCI_LAYER, layer.diff_id, layer.size)
    document = write_document(result.cached, {layer.diff_id: blob})
    put_cache(client, registry, document, [(blob, layer.tar.read_bytes())], index=True)
    assert builders[1].build(ONE, cache_imports=cache(registry)).image.id == result.image.id
    assert builders[1].cached == 1


@pytest.mark.parametrize(
    ("change", "hits"),
    [
        ({}, 1),
        ({"layers": [{"layer": 7}]}, 0),
        ({"layers": [], "chains": [{"layers": [7]}]}, 0),
        ({"digest": str(Digest.of(b"op"))}, 0),
        ({"inputs": [[]]}, 0),
        ({"inputs": []}, 0),
        ({"inputs": [[{"link": 77}, {"link": 2}]]}, 0),
    ],
    ids=["as it is", "layer", "chain", "digest", "no link", "no input", "circle"],
)
def test_a_record_of_buildkit_counts_as_a_whole(
    builders: list[Builder], registry: Running, client: RegistryClient, raw: Raw, change: dict[str, Any], hits: int
) -> None:
    image = builders[0].build(ONE, cache_exports=cache(registry, "ours:1", mode="max")).image
    manifest, document = fetched(raw, "ours")
    (blob,) = (Descriptor.from_json(layer, "manifest") for layer in manifest["layers"])
    records = [{**each, **change} if each.keys() >= {"inputs", "layers"} else each for each in document["records"]]
    theirs = json.dumps({"layers": document["layers"], "records": records}).encode()
    put_cache(client, registry, theirs, [(blob, raw("GET", f"/v2/ours/blobs/{blob.digest}").body)])
    assert builders[1].build(ONE, cache_imports=cache(registry)).image.id == image.id
    assert builders[1].cached == hits


def test_what_is_no_cache_and_what_is_not_there_are_told_and_left_out(
    builders: list[Builder], registry: Running
) -> None:
    builder, name = builders[0], f"{registry.address}/app:1"
    builder.build(ONE, tags=(name,))
    builder.engine.registries.push(name)
    builder.build(ONE, cache_imports=(*cache(registry, "missing:1"), *cache(registry, "app:1")))
    assert builder.said.count("is not used") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"records": [{"digest": "sha256:short"}]},
        {"records": [{"digest": "KEY", "layers": [{"layer": 7}]}]},
        {"records": [{"digest": "KEY", "layers": [{"layer": -1}]}]},
        {"records": [{"digest": "KEY", "created": "tomorrow"}]},
        {"records": "all"},
        {"layers": [{"blob": "KEY", "annotations": {"diffID": "KEY"}}]},
    ],
)
def test_documents_of_strangers_are_refused_by_their_field(change: dict[str, Any]) -> None:
    document = json.loads(write_document([], {})) | change
    raw = json.dumps(document).replace("KEY", str(Digest.of(b"key"))).encode()
    with pytest.raises(InvalidInput, match="build cache has a bad field"):
        read_document(raw, [])


def test_inline_caches_of_strangers_are_told_apart() -> None:
    def inline(value: object) -> str:
        return base64.b64encode(json.dumps(value).encode()).decode()

    key, layer = str(Digest.of(b"key")), Digest.of(b"layer")
    layers = [(layer, Descriptor(OCI_LAYER, layer, 5))]
    theirs = read_inline(inline([{"digest": key, "layers": [{"layer": 0}]}]), layers)
    assert theirs.steps == {}
    assert list(theirs.keyed.chains(KeyRecord(key))) == [layers]
    assert read_inline(inline([]), layers).steps == {}
    step = CachedStep(key, layer)
    assert read_inline(write_inline([step], [layer]), layers).steps == {key: (step, dict(layers))}
    for wrong in ("*", inline(7), inline([7]), inline([{"digest": key, "lamina": 1, "layers": [{"layer": 1}]}])):
        with pytest.raises(InvalidInput):
            read_inline(wrong, layers)


def test_the_number_of_steps_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_document, "MOST_RECORDS", 2)
    steps = [CachedStep(str(Digest.of(bytes([number]))), None) for number in range(3)]
    assert len(read_document(write_document(steps[:2], {}), []).steps) == 2
    with pytest.raises(TooLarge):
        read_document(write_document(steps, {}), [])


@pytest.mark.parametrize(
    "outputs",
    [
        7,
        [7],
        [{"layers": [1]}],
        [{"layers": [-1]}],
        [{"layers": [0] * 2000}],
        [{"time": 1}],
        [{"layers": [], "time": "x"}],
    ],
)
def test_stacks_of_a_graph_are_checked(outputs: object) -> None:
    layer = Digest.of(b"layer")
    blob = Descriptor(OCI_LAYER, layer, 5)
    right = CachedResult(str(Digest.of(b"key")), (((layer, layer), 7), ((), 0)))
    raw = write_document([right], {layer: blob})
    assert read_document(raw, [blob]).steps == {right.key: (right, {layer: blob})}
    document = json.loads(raw)
    document["records"][0]["outputs"] = outputs
    with pytest.raises(InvalidInput, match="stacks of layers"):
        read_document(json.dumps(document).encode(), [blob])


@pytest.mark.parametrize(
    ("type", "attributes", "kind"),
    [
        ("gha", {}, Unsupported),
        ("s3", {"bucket": "b"}, Unsupported),
        ("azblob", {}, Unsupported),
        ("local", {"dest": ""}, InvalidInput),
        ("inline", {"mode": "max"}, InvalidInput),
        ("registry", {}, InvalidInput),
        ("registry", {"ref": "localhost:1/c", "mode": "most"}, InvalidInput),
        ("registry", {"ref": "localhost:1/c", "ignore-error": "perhaps"}, InvalidInput),
        ("registry", {"ref": "localhost:1/c", "compression": "zstd", "oci-mediatypes": "false"}, InvalidInput),
        ("registry", {"ref": "localhost:1/c", "colour": "red"}, InvalidInput),
    ],
)
def test_what_a_cache_cannot_be_is_refused(type: str, attributes: dict[str, str], kind: type[LaminaError]) -> None:
    with pytest.raises(kind):
        cache_targets([CacheOption(type, attributes)])
    with pytest.raises(LaminaError):
        cache_sources([CacheOption(type, attributes)])


def test_a_cache_that_cannot_be_is_refused_before_the_first_step(builders: list[Builder]) -> None:
    wrong = (CacheOption("gha"),)
    choices: list[dict[str, Any]] = [{"cache_exports": wrong}, {"cache_imports": wrong}]
    for options in choices:
        with pytest.raises(Unsupported, match="type 'gha' is not supported"):
            builders[0].build(**options)
        assert "Step" not in builders[0].said


def test_a_failure_of_the_build_is_not_told_as_one_of_the_cache(builders: list[Builder], registry: Running) -> None:
    engine = builders[0].engine
    caches = CachePlaces(engine.registries.client, lambda reference: None)
    reference = Reference.parse(f"{registry.address}/missing:1")
    with (
        pytest.raises(Unavailable, match=r"^another registry is away$"),
        caches.caches([reference], engine.store, Platform.host(), Console(ignore), NEVER),
    ):
        raise Unavailable("another registry is away")


BUILD = """
import sys
from lamina.api.build import BuildRequest, CacheOption
from lamina.api.memory_context import MemoryContext
from lamina.engine import Engine

root, run, text, field, ref = sys.argv[1:]
option = (CacheOption("registry", {"ref": ref}),)
with Engine(root, run) as engine:
    engine.builds.build(MemoryContext(text, {"a.txt": b"alpha\\n"}), BuildRequest(**{field: option}))
"""


@pytest.mark.parametrize("field", ["cache_imports", "cache_exports"])
def test_a_kill_while_a_layer_is_on_its_way_leaves_nothing(builders: list[Builder], tmp_path: Path, field: str) -> None:
    """The registry stops in the middle of the layer, and the engine is killed there."""
    result = builders[0].build(ONE)
    (step,) = result.cached
    root, run = tmp_path / "killed", tmp_path / "run-killed"
    with stalling_registry() as registry:
        assert isinstance(step, CachedStep)
        assert step.layer is not None
        blob = Descriptor(OCI_LAYER, Digest.of(b"stalls"), SIZE)
        registry.config = write_document([step], {step.layer: blob})
        registry.manifest = Manifest.build(Descriptor.of(MEDIA_TYPE, registry.config), [blob]).raw
        command = [sys.executable, "-c", BUILD, str(root), str(run), ONE, field, f"{registry.address}/cache:1"]
        with subprocess.Popen(command) as process:
            assert registry.stalled.wait(30)
            process.kill()
    with Engine(root, run) as engine:
        engine.store.collect()
        kept = {
            str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "history" not in str(path)
        }
        assert list(engine.store.verify()) == []
        image = engine.builds.build(MemoryContext(ONE, {"a.txt": b"alpha\n"})).image
    assert image.id == result.image.id
    assert not [name for name in kept if name.startswith(("ingest/", "temporary/"))]
    layers = [name for name in kept if name.startswith("layers/")]
    assert layers == [] if field == "cache_imports" else len(layers) == 2, kept
