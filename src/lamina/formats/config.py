"""Image configs: what an image runs, its layers, its history (OCI image-spec 1.1, config.md; Docker's names)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.document import (
    bad_field,
    decode_object,
    encode,
    mapping,
    objects,
    strings,
    text,
)
from lamina.formats.go_json import shaped
from lamina.formats.platform import Platform
from lamina.formats.runconfig import Healthcheck, RunConfig
from lamina.formats.times import parse_time

__all__ = ["Healthcheck", "History", "ImageConfig", "RunConfig", "chain_ids"]

WHAT = "image config"
MOST_LAYERS = 1000  # twice as many as overlayfs stacks: each takes descriptors and memory wherever it is looked at


@dataclass(frozen=True, slots=True)
class History:
    """One step of how the image was made. `created` is RFC 3339 text; `empty_layer` steps made no layer."""

    created: str | None = None
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the object for a config; empty members are left out."""
        fields = {"created": self.created, "created_by": self.created_by, "comment": self.comment}
        return {k: v for k, v in {**fields, "author": self.author, "empty_layer": self.empty_layer}.items() if v}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image's config: `raw` is kept exactly, `document` is all of it with unknown members, `digest` is the ID."""

    raw: bytes = field(repr=False)
    digest: Digest
    architecture: str
    os: str
    variant: str
    os_version: str
    os_features: tuple[str, ...]
    created: str | None
    author: str
    config: RunConfig
    diff_ids: tuple[Digest, ...]
    history: tuple[History, ...]
    document: Mapping[str, Any] = field(repr=False)

    def __hash__(self) -> int:
        return hash(self.digest)

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """Return the config in `raw`. As in Docker, a missing OS means linux, and a missing architecture amd64.

        Raise InvalidInput that names the field.
        """
        document = decode_object(raw, WHAT)
        rootfs = mapping(document, "rootfs", WHAT)
        if rootfs is None:
            raise bad_field(WHAT, "rootfs", "it is missing")
        if text(rootfs, "type", WHAT, "rootfs.") not in ("layers", ""):
            raise bad_field(WHAT, "rootfs.type", "it must be 'layers'")
        return cls(
            raw=raw,
            digest=Digest.of(raw),
            architecture=text(document, "architecture", WHAT) or "amd64",
            os=text(document, "os", WHAT) or "linux",
            variant=text(document, "variant", WHAT),
            os_version=text(document, "os.version", WHAT),
            os_features=strings(document, "os.features", WHAT),
            created=_time(document.get("created"), "created"),
            author=text(document, "author", WHAT),
            config=_run_config(mapping(document, "config", WHAT) or {}),
            diff_ids=_diff_ids(strings(rootfs, "diff_ids", WHAT, "rootfs.")),
            history=tuple(_history(step, n) for n, step in enumerate(objects(document, "history", WHAT))),
            document=document,
        )

    @classmethod
    def build(
        cls,
        *,
        platform: Platform | None = None,
        config: RunConfig | None = None,
        diff_ids: Sequence[Digest] = (),
        history: Sequence[History] = (),
        created: str | None = None,
        author: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> ImageConfig:
        """Return a new config; the same parts always give the same bytes. `extra` holds further top-level members."""
        fields: dict[str, Any] = {"platform": platform or Platform.host(), "config": config or RunConfig()}
        fields |= {"diff_ids": diff_ids, "history": history, "created": created, "author": author}
        return cls.parse(encode(_changed(dict(extra or {}), fields)))

    @property
    def platform(self) -> Platform:
        """Return what the image runs on, as written."""
        return Platform(self.os, self.architecture, self.variant, self.os_version, self.os_features)

    def replace(self, **changes: Any) -> ImageConfig:
        """Return the config with new values for arguments of `build`; all other members stay, unknown ones too.

        Raise TypeError for a name that `build` does not take.
        """
        extra = dict(changes.pop("extra", None) or {})
        return ImageConfig.parse(encode(_changed({**self.document, **extra}, changes)))


def chain_ids(diff_ids: Iterable[Digest]) -> list[str]:
    """Return the chain ID of the stack up to each layer, bottom first, as text (config.md, "Layer ChainID")."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(_chain_id(chains[-1], diff_id) if chains else str(diff_id))
    return chains


@lru_cache(maxsize=4096)  # each step of a build has the stack of the step before it, and one layer more
def _chain_id(below: str, diff_id: str) -> str:
    return f"sha256:{sha256(f'{below} {diff_id}'.encode()).hexdigest()}"


def _changed(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in changes.items():
        if name == "platform":
            _put_platform(document, value)
        elif name == "config":
            document["config"] = value.over(mapping(document, "config", WHAT) or {})
        elif name == "diff_ids":
            document["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in value]}
        elif name == "history":
            _put(document, "history", [step.to_json() for step in value])
        elif name in ("created", "author"):
            _put(document, name, value)
        else:
            raise TypeError(f"an image config has no part {name!r}")
    return document


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    if value:
        document[key] = value
    else:
        document.pop(key, None)


def _put_platform(document: dict[str, Any], platform: Platform) -> None:
    for key in ("os", "architecture", "variant", "os.version", "os.features"):
        document.pop(key, None)
    document.update(platform.to_json())


def _run_config(document: dict[str, Any]) -> RunConfig:
    try:
        return msgspec.convert(shaped(document, RunConfig), RunConfig)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise bad_field(WHAT, "config" + path.rstrip("`"), problem) from error


def _time(value: Any, name: str) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            parse_time(value)
            return value
    except ValueError:
        pass
    raise bad_field(WHAT, name, "a time such as 2024-01-31T12:00:00Z is needed")


def _diff_ids(written: tuple[str, ...]) -> tuple[Digest, ...]:
    if len(written) > MOST_LAYERS:
        raise bad_field(WHAT, "rootfs.diff_ids", f"an image cannot have more than {MOST_LAYERS} layers")
    diff_ids = []
    for position, item in enumerate(written):
        try:
            diff_ids.append(_diff_id(item))
        except InvalidInput as error:
            raise bad_field(WHAT, f"rootfs.diff_ids[{position}]", error.message) from error
    return tuple(diff_ids)


@lru_cache(maxsize=4096)
def _diff_id(text: str) -> Digest:
    return Digest.parse(text)


def _history(step: Mapping[str, Any], position: int) -> History:
    """Return a step. Images of one build share their steps, so each is checked and kept once."""
    values = tuple(map(step.get, _STEP_MEMBERS))
    if sum(len(value) for value in values if isinstance(value, str)) > _SHARED_STEP:
        return _checked_history(step, position)
    try:
        return _shared_history(*values)
    except (TypeError, InvalidInput):  # of a kind that cannot be a key, or must not be there
        return _checked_history(step, position)


_STEP_MEMBERS = ("created", "created_by", "comment", "author", "empty_layer")
_SHARED_STEP = 2048  # characters; longer steps would take too much memory


@lru_cache(maxsize=4096, typed=True)  # `true` is no 1
def _shared_history(*values: Any) -> History:
    return _checked_history(dict(zip(_STEP_MEMBERS, values, strict=True)), 0)


def _checked_history(step: Mapping[str, Any], position: int) -> History:
    where = f"history[{position}]."
    empty = step.get("empty_layer")
    if empty is not None and not isinstance(empty, bool):
        raise bad_field(WHAT, where + "empty_layer", "true or false is needed")
    return History(
        _time(step.get("created"), where + "created"),
        text(step, "created_by", WHAT, where),
        text(step, "comment", WHAT, where),
        text(step, "author", WHAT, where),
        bool(empty),
    )
