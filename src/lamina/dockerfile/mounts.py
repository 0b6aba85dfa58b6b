"""`RUN --mount=…` and `--device=…`: their comma-separated fields as typed values.

Rule: Dockerfile reference, "RUN --mount".
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import did_you_mean
from lamina.errors import InvalidInput
from lamina.formats.sizes import parse_size

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_NUMBERS = ("size", "mode", "uid", "gid")
_KEYS = ("type", "from", "source", "target", "readonly", "readwrite", "required", "id", "sharing", "env", *_NUMBERS)
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
Expander = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class MountFlag:
    """One mount of a RUN step. `size` in bytes, 0 for none; `mode` octal bits or None; `env` None when not asked."""

    type: str
    target: str = ""
    source: str = ""
    source_image: str = ""  # from=
    readonly: bool = True
    id: str = ""
    sharing: str = ""
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceFlag:
    """A CDI device, and whether the step fails without it."""

    name: str
    required: bool = False


def _fields(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Problem(f"failed to parse csv mounts: {error}", "Quote a whole field, as CSV does.") from None
    return rows[0] if rows else []


def boolean(key: str, value: str) -> bool:
    """Parse a boolean as Go's ParseBool does. Raise Problem for other text."""
    if value not in _TRUE + _FALSE:
        raise Problem(f"invalid value for {key}: {value}", "Write true or false.")
    return value in _TRUE


def parse_mount(text: str, expand: Expander | None = None) -> MountFlag:
    """Parse one --mount. Without `expand`, values that hold `$` are only checked later, when it is given.

    Raise Problem for unknown keys or types and for fields that do not fit the type.
    """
    values = dict(_entry(part, expand) for part in _fields(text))
    deferred = expand is None and any("$" in value for value in values.values())
    if expand is None and "$" in values.get("from", "")[:-1]:
        raise Problem("'from' doesn't support variable expansion, define alias stage instead", "FROM $NAME AS alias")
    if deferred:
        return MountFlag(type="bind")
    kind = values.get("type", "bind").lower()
    if kind not in TYPES:
        raise Problem(f'unsupported mount type "{kind}"', did_you_mean(kind, TYPES) or f"Known: {', '.join(TYPES)}.")
    _check_fit(kind, values)
    return _built(kind, values)


def _entry(part: str, expand: Expander | None) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    key = key.lower()
    key = _ALIASES.get(key, key)
    if key not in _KEYS:
        raise Problem(f"unexpected key '{key}' in '{part}'", did_you_mean(key, _KEYS) or f"Known: {', '.join(_KEYS)}.")
    if not equals:
        if key not in ("readonly", "readwrite", "required"):
            raise Problem(f"invalid field '{part}' must be a key=value pair", f"Write {part}=value.")
        return key, "true"
    return key, expand(value) if expand else value


def _check_fit(kind: str, values: Mapping[str, str]) -> None:
    allowed = {
        "size": ("tmpfs",),
        "required": ("secret", "ssh"),
        "mode": ("secret", "ssh", "cache"),
        "uid": ("secret", "ssh", "cache"),
        "gid": ("secret", "ssh", "cache"),
        "sharing": ("cache",),
    }
    for key, kinds in allowed.items():
        if key in values and kind not in kinds:
            raise Problem(f"unexpected key '{key}' for mount type '{kind}'", f"It belongs to {', '.join(kinds)}.")
    if kind == "secret":
        _check_secret(values)


def _check_secret(values: Mapping[str, str]) -> None:
    if "from" in values:
        raise Problem("secret mount should not have a from", "Take it out.")
    if not any(values.get(key) for key in ("source", "target", "id")):
        raise Problem("invalid secret mount. one of source, target required", "Write id=NAME.")
    if values.get("source") and values.get("id"):
        raise Problem("both source and id can't be set", "Keep id.")


def _built(kind: str, values: Mapping[str, str]) -> MountFlag:
    sharing = values.get("sharing", "").lower()
    if sharing and sharing not in SHARING:
        raise Problem(f'unsupported sharing value "{sharing}"', did_you_mean(sharing, SHARING))
    readonly = kind not in ("cache", "tmpfs")
    if "readonly" in values:
        readonly = boolean("readonly", values["readonly"])
    if "readwrite" in values:
        readonly = not boolean("readwrite", values["readwrite"])
    return MountFlag(
        type=kind,
        target=values.get("target", ""),
        source=values.get("source", ""),
        source_image=values.get("from", ""),
        readonly=readonly,
        id=values.get("id", ""),
        sharing=sharing,
        required=boolean("required", values.get("required", "false")),
        size=_size(values.get("size", "0")),
        mode=_number("mode", values, 8),
        uid=_number("uid", values, 10),
        gid=_number("gid", values, 10),
        env=values.get("env"),
    )


def _number(key: str, values: Mapping[str, str], base: int) -> int | None:
    value = values.get(key)
    if value is None:
        return None
    digits = "01234567" if base == 8 else "0123456789"
    if not value or value.strip(digits) or int(value, base) >= 2**32:
        raise Problem(f"invalid value {value} for {key}", f"Write {key} as {'an octal' if base == 8 else 'a'} number.")
    return int(value, base)


def _size(text: str) -> int:
    try:
        return parse_size(text, "value for size:")
    except InvalidInput as error:
        raise Problem(error.message, error.advice) from None


def secret_id(mount: MountFlag) -> str:
    """Return the name of a secret: its id, else its source, else the last part of where it goes."""
    return mount.id or mount.source or mount.target.rpartition("/")[2]


def agent_id(mount: MountFlag) -> str:
    """Return the name of an ssh agent."""
    return mount.id or "default"


def parse_device(text: str) -> DeviceFlag:
    """Parse one --device: `vendor.com/class=name[,required]`. Raise Problem for further fields."""
    name, required = "", False
    for part in _fields(text):
        key, equals, value = part.partition("=")
        if key.lower() == "required":
            required = boolean("required", value) if equals else True
        elif key.lower() == "name" and equals and not name:
            name = value
        elif not name:
            name = part
        else:
            raise Problem(f"unexpected key '{key}' in '{part}'", "Known: name, required.")
    return DeviceFlag(name, required)
