"""The options of `--cache-from` and `--cache-to` as values. What is not supported is refused, not ignored.

Rule: moby/buildkit, cache/remotecache/registry and local. Paths of folders are words here: whoever has the folder says
what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.api.build import CacheOption
from lamina.builder.export.options import LayerForm, flag, layer_form
from lamina.errors import InvalidInput, Unsupported
from lamina.formats.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.images.record import check_tag
from lamina.layers.compression import Compression

MOST_PLACES = 16
LATEST = "latest"
_COMPRESSION = {"compression", "compression-level", "force-compression"}
_WRITING = {"mode", "ignore-error", "image-manifest", "oci-mediatypes", *_COMPRESSION}
_NAMES = {"registry": {"ref"}, "local": {"src", "digest", "tag"}}
_EXPORT_NAMES = {"registry": {"ref"} | _WRITING, "local": {"dest", "tag"} | _WRITING, "inline": {"mode"}}
_INLINE_ARGUMENT = "BUILDKIT_INLINE_CACHE"  # the build argument that older clients ask with


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A cache in a folder of the client's: its word for the folder, and a tag of `index.json`, or what it means."""

    folder: str
    tag: str = LATEST
    digest: Digest | None = None


Place = Reference | FolderPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTarget:
    """A place for a cache. `whole` takes the steps of all stages, else those whose layers are in the result.

    Without a `form` layers are sent as they are at hand. With `is_manifest` the cache looks like an image, else it is
    an index, as BuildKit wrote it before version 0.26.
    """

    place: Place
    whole: bool = False
    ignore_error: bool = False
    form: LayerForm | None = None
    is_manifest: bool = True
    oci_types: bool = True

    @property
    def layer_family(self) -> str:
        """Return the media type of manifests whose types of layers the cache uses."""
        return OCI_MANIFEST if self.oci_types else DOCKER_MANIFEST

    @property
    def index_type(self) -> str:
        """Return the media type of the cache as an index."""
        return OCI_INDEX if self.oci_types else DOCKER_LIST


def cache_sources(options: Sequence[CacheOption]) -> tuple[Place, ...]:
    """Return where caches are to be read. Raise InvalidInput, Unsupported for a type that there is not."""
    _check_number(options)
    for option in options:
        _check_names(option, _NAMES)
    return tuple(_source(option) for option in options)


def cache_targets(options: Sequence[CacheOption]) -> tuple[CacheTarget, ...]:
    """Return where the cache is to be written beside the image. Raise as `cache_sources` does."""
    _check_number(options)
    for option in options:
        _check_names(option, _EXPORT_NAMES)
        if option.type == "inline" and option.attrs.get("mode", "min") != "min":
            raise InvalidInput("an inline cache has mode=min only", advice="Use type=registry for the other stages.")
    return tuple(_target(option) for option in options if option.type != "inline")


def inline_wanted(options: Sequence[CacheOption], build_args: Mapping[str, str | None]) -> bool:
    """Return whether the cache is to be part of the image's config."""
    return any(option.type == "inline" for option in options) or build_args.get(_INLINE_ARGUMENT) in ("1", "true")


def _source(option: CacheOption) -> Place:
    if option.type == "registry":
        return _reference(option)
    place = _folder(option, "src")
    digest = option.attrs.get("digest")
    return FolderPlace(place.folder, place.tag, Digest.parse(digest) if digest else None)


def _target(option: CacheOption) -> CacheTarget:
    attrs = option.attrs
    mode = attrs.get("mode", "min")
    if mode not in ("min", "max"):
        raise InvalidInput(f"a cache has no mode {mode!r}", advice="Write mode=min or mode=max.")
    oci_types, form = flag(attrs, "oci-mediatypes", True), layer_form(attrs)
    is_manifest = flag(attrs, "image-manifest", oci_types)
    if is_manifest and not oci_types:
        raise InvalidInput(
            "a cache with image-manifest=true needs OCI's media types", advice="Leave oci-mediatypes=false out."
        )
    if form is not None and form.compression is Compression.ZSTD and not oci_types:
        raise InvalidInput("compression=zstd needs OCI's media types", advice="Leave oci-mediatypes=false out.")
    return CacheTarget(
        place=check_tag(_reference(option)) if option.type == "registry" else _folder(option, "dest"),
        whole=mode == "max",
        ignore_error=flag(attrs, "ignore-error", False),
        form=form,
        is_manifest=is_manifest,
        oci_types=oci_types,
    )


def _check_names(option: CacheOption, names: Mapping[str, set[str]]) -> None:
    if option.type not in names:
        advice = f"Use {' or '.join(f'type={kind}' for kind in names)}."
        raise Unsupported(f"a cache of the type {option.type!r} is not supported", advice=advice)
    for name in option.attrs:
        if name not in names[option.type]:
            options = ", ".join(sorted(names[option.type]))
            raise InvalidInput(f"a cache of the type {option.type} has no option {name}", advice=f"Known: {options}.")


def _reference(option: CacheOption) -> Reference:
    if not option.attrs.get("ref"):
        raise InvalidInput("a cache at a registry needs a ref", advice="Write type=registry,ref=NAME.")
    return Reference.parse(option.attrs["ref"]).with_default_tag()


def _folder(option: CacheOption, name: str) -> FolderPlace:
    if not option.attrs.get(name):
        raise InvalidInput(f"a cache in a folder needs a {name}", advice=f"Write type=local,{name}=FOLDER.")
    return FolderPlace(option.attrs[name], option.attrs.get("tag") or LATEST)


def _check_number(options: Sequence[CacheOption]) -> None:
    if len(options) > MOST_PLACES:
        raise InvalidInput(f"a build has {MOST_PLACES} caches at most, not {len(options)}")
