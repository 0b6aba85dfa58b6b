"""The options of `--cache-from` and `--cache-to` as values. What is not supported is refused, not ignored.

Rule: moby/buildkit, cache/remotecache/registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.api.build import CacheOption
from lamina.errors import InvalidInput, Unsupported
from lamina.formats.reference import Reference
from lamina.images.record import check_tag

MOST_PLACES = 16
_EXPORT = {"ref", "mode", "ignore-error", "image-manifest", "oci-mediatypes", "compression"}
_ONLY = {"image-manifest": "true", "oci-mediatypes": "true", "compression": "gzip"}  # there is one form of a cache
_INLINE_ARGUMENT = "BUILDKIT_INLINE_CACHE"  # the build argument that older clients ask with
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class CacheTarget:
    """A place for a cache. `whole` takes the steps of all stages, else those whose layers are in the result."""

    reference: Reference
    whole: bool = False
    ignore_error: bool = False


def cache_sources(options: Sequence[CacheOption]) -> tuple[Reference, ...]:
    """Return where caches are to be read. Raise InvalidInput, Unsupported for a type that there is not."""
    _check_number(options)
    return tuple(_reference(option, {"ref"}) for option in options)


def cache_targets(options: Sequence[CacheOption]) -> tuple[CacheTarget, ...]:
    """Return the registries where the cache is to be written. Raise as `cache_sources` does."""
    _check_number(options)
    for option in options:
        if option.type == "inline" and option.attrs.get("mode", "min") != "min":
            raise InvalidInput("an inline cache has mode=min only", advice="Use type=registry for the other stages.")
    return tuple(_target(option) for option in options if option.type != "inline")


def inline_wanted(options: Sequence[CacheOption], build_args: Mapping[str, str | None]) -> bool:
    """Return whether the cache is to be part of the image's config."""
    return any(option.type == "inline" for option in options) or build_args.get(_INLINE_ARGUMENT) in ("1", "true")


def _target(option: CacheOption) -> CacheTarget:
    reference = check_tag(_reference(option, _EXPORT))
    for name, only in _ONLY.items():
        if option.attrs.get(name, only) != only:
            raise Unsupported(f"a cache is exported with {name}={only} only", advice=f"Leave {name} out.")
    mode, ignored = option.attrs.get("mode", "min"), option.attrs.get("ignore-error", "false")
    if mode not in ("min", "max"):
        raise InvalidInput(f"a cache has no mode {mode!r}", advice="Write mode=min or mode=max.")
    if ignored not in _FLAGS:
        raise InvalidInput(f"ignore-error={ignored} is no flag", advice="Write true or false.")
    return CacheTarget(reference, mode == "max", _FLAGS[ignored])


def _reference(option: CacheOption, names: set[str]) -> Reference:
    if option.type != "registry":
        advice = "Use type=registry,ref=NAME."
        raise Unsupported(f"a cache of the type {option.type!r} is not supported", advice=advice)
    for name in option.attrs:
        if name not in names:
            raise InvalidInput(
                f"a cache at a registry has no option {name}", advice=f"Known: {', '.join(sorted(names))}."
            )
    if not option.attrs.get("ref"):
        raise InvalidInput("a cache at a registry needs a ref", advice="Write type=registry,ref=NAME.")
    return Reference.parse(option.attrs["ref"]).with_default_tag()


def _check_number(options: Sequence[CacheOption]) -> None:
    if len(options) > MOST_PLACES:
        raise InvalidInput(f"a build has {MOST_PLACES} caches at most, not {len(options)}")
