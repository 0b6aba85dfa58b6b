"""The cache of a build at a registry of ours: written by one engine, and used by another."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.api.build import BuildOutput, CacheOption
from lamina.builder.cache_exchange.cache_document import INLINE, MEDIA_TYPE
from lamina.errors import LaminaError
from support.build_caches import FILES, ONE, Builder, builders, cache, fetched
from support.registries import Raw, Running, Start
from support.registry_fixtures import raw, registry, start

__all__ = ["builders", "raw", "registry", "start"]


def own_records(document: dict[str, Any]) -> list[Any]:
    """The steps under lamina's keys."""
    return [record for record in document["records"] if "inputs" not in record]


def test_another_engine_goes_on_from_the_steps_of_the_first(
    builders: list[Builder], registry: Running, raw: Raw
) -> None:
    first, second = builders
    image = first.build(cache_exports=cache(registry, mode="max")).image
    manifest, document = fetched(raw)
    assert manifest["config"]["mediaType"] == MEDIA_TYPE
    assert len(own_records(document)) == 5
    assert {layer["blob"] for layer in document["layers"]} == {layer["digest"] for layer in manifest["layers"]}

    again = second.build(cache_imports=cache(registry))
    assert again.image.id == image.id
    assert second.cached == 5, second.said
    assert [step.outcome for step in again.steps if step.instruction.startswith("COPY")] == ["cached"] * 3
    assert second.build(cache_imports=()).image.id == image.id, "what a cache gave is remembered without it"


def test_only_the_layers_of_steps_that_are_needed_are_fetched(builders: list[Builder], registry: Running) -> None:
    first, second = builders
    first.build(cache_exports=cache(registry, mode="max"))
    second.build("FROM scratch\nCOPY a.txt /\n", cache_imports=cache(registry))
    assert second.cached == 1
    assert len(list((second.engine.root / "layers/sha256").glob("*.tar"))) == 1


def test_the_mode_min_has_the_layers_of_the_result_only(builders: list[Builder], registry: Running, raw: Raw) -> None:
    image = builders[0].build(cache_exports=cache(registry)).image
    _, document = fetched(raw)
    assert {layer["annotations"]["diffID"] for layer in document["layers"]} == set(map(str, image.diff_ids))


def test_a_changed_file_runs_its_step_again(builders: list[Builder], registry: Running) -> None:
    first, second = builders
    first.build(cache_exports=cache(registry, mode="max"))
    changed = second.build(files={**FILES, "a.txt": b"beta\n"}, cache_imports=cache(registry))
    assert second.cached == 2, "the stage of tools"
    layer = changed.image.layers[0]
    assert b"beta" in layer.tar.read_bytes()


def test_what_was_found_in_the_cache_is_exported_again(builders: list[Builder], registry: Running, raw: Raw) -> None:
    first, second = builders
    first.build(cache_exports=cache(registry, mode="max"))
    first.build(cache_exports=cache(registry, "warm:1", mode="max"))
    second.build(cache_imports=cache(registry), cache_exports=cache(registry, "passed:1", mode="max"))
    documents = [fetched(raw, name)[1] for name in ("cache", "warm", "passed")]
    assert documents[0] == documents[1] == documents[2]
    assert len(own_records(documents[0])) == 5


def test_several_platforms_share_a_cache(builders: list[Builder], registry: Running) -> None:
    first, second = builders
    text = "FROM scratch\nARG TARGETARCH\nCOPY a.txt /$TARGETARCH\n"
    first.build(text, platform="linux/amd64,linux/arm64", cache_exports=cache(registry))
    second.build(text, platform="linux/arm64", cache_imports=cache(registry))
    assert second.cached == 1


def test_a_prune_takes_nothing_that_was_imported(builders: list[Builder], registry: Running) -> None:
    first, second = builders
    first.build(tags=("app",), cache_exports=cache(registry, mode="max"))
    second.build(tags=("app",), cache_imports=cache(registry))
    second.engine.builds.prune(all=True)
    assert list(second.engine.store.verify()) == []
    assert second.engine.images.get("app").id == first.engine.images.get("app").id


INLINE_CACHE = (CacheOption("inline"),)


@pytest.mark.parametrize(
    "asked", [{"cache_exports": INLINE_CACHE}, {"build_args": {"BUILDKIT_INLINE_CACHE": "1"}}], ids=["type", "argument"]
)
def test_an_image_takes_its_cache_along(builders: list[Builder], registry: Running, asked: dict[str, Any]) -> None:
    first, second = builders
    name = f"{registry.address}/app:1"
    image = first.build(tags=(name,), outputs=(BuildOutput("image", {"push": "true"}),), **asked).image
    assert INLINE in image.config.document
    plain = second.build(cache_imports=cache(registry, "app:1")).image
    assert second.cached == 3, "the steps whose layers are in the image, but for those of tools"
    assert INLINE not in plain.config.document
    assert plain.diff_ids == image.diff_ids
    again = second.build(tags=(name,), cache_imports=cache(registry, "app:1"), **asked).image
    assert (again.id, second.engine.images.get(name).id) == (image.id, image.id)
    second.build(f"FROM {name}\nCOPY tool /\n")
    assert INLINE not in second.build(f"FROM {name}\nCOPY tool /\n").image.config.document


def test_an_index_takes_the_caches_of_its_platforms_along(builders: list[Builder], registry: Running) -> None:
    first, second = builders
    text = "FROM scratch\nARG TARGETARCH\nCOPY a.txt /$TARGETARCH\n"
    first.build(
        text,
        tags=(f"{registry.address}/app:1",),
        platform="linux/amd64,linux/arm64",
        cache_exports=INLINE_CACHE,
        outputs=(BuildOutput("image", {"push": "true"}),),
    )
    second.build(text, platform="linux/arm64", cache_imports=cache(registry, "app:1"))
    assert second.cached == 1


def test_an_export_that_fails_fails_the_build_unless_it_may(builders: list[Builder], start: Start) -> None:
    registry = start(read_only=True)
    with pytest.raises(LaminaError, match="read-only"):
        builders[0].build(ONE, cache_exports=cache(registry))
    builders[0].build(ONE, cache_exports=cache(registry, **{"ignore-error": "true"}))
    assert "The cache was not exported" in builders[0].said
