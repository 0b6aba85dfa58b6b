"""`-v`, `--tmpfs` and `--mount`."""

from __future__ import annotations

import os

from lamina.cli.key_values import boolean
from lamina.cli.run.documents import docker_name, document
from lamina.errors import InvalidInput
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lamina.cli.run.documents import Document

ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
TYPES = ("bind", "volume", "tmpfs", "npipe", "cluster", "image")


def binds_and_volumes(specs: Sequence[str]) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """Return `-v` values as HostConfig.Binds (with a source) and Config.Volumes (without).

    A source that begins with a dot is made absolute. Raise InvalidInput.
    """
    binds: list[str] = []
    volumes: dict[str, dict[str, Any]] = {}
    for spec in dict.fromkeys(specs):
        source, colon, rest = spec.partition(":")
        if not spec or (colon and not (source and rest)):
            raise InvalidInput(f"invalid volume {spec!r}", advice="Write it as [SOURCE:]DIRECTORY[:OPTIONS]")
        if not colon:
            volumes[source] = {}
            continue
        binds.append(f"{os.path.abspath(source)}:{rest}" if source.startswith(".") else spec)
    return tuple(binds), volumes


def tmpfs_map(specs: Sequence[str]) -> dict[str, str]:
    """Return `--tmpfs` values as HostConfig.Tmpfs."""
    return {path: options for path, _, options in (spec.partition(":") for spec in specs)}


def parse_mount(spec: str) -> Document:
    """Return one `--mount` value, comma-separated `key=value` in CSV's quoting. Raise InvalidInput."""
    import csv

    mount: dict[str, Any] = {"type": "volume"}
    options: dict[str, dict[str, Any]] = {}
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        key = ALIASES.get(key.strip().lower(), key.strip().lower())
        if not equals and key not in ("readonly", "volume-nocopy", "bind-nonrecursive"):
            raise InvalidInput(f"invalid field {field!r} in --mount", advice="Write fields as key=value")
        if not _set(mount, key, value if equals else "true"):
            _set_option(options, key, value if equals else "true", field)
    if not mount.get("target") and mount["type"] != "cluster":
        raise InvalidInput(f"--mount {spec!r} names no target", advice="Add target=DIRECTORY")
    if mount["type"] == "bind" and mount.get("source", "").startswith("."):
        mount["source"] = os.path.abspath(mount["source"])
    for kind in options:
        if kind != mount["type"]:
            raise InvalidInput(f"cannot mix {kind}-* options with mount type {mount['type']!r}")
    sections = {docker_name(f"{kind}_options"): document(**values) for kind, values in options.items()}
    return {**document(**mount), **sections}


def _set(mount: dict[str, Any], key: str, value: str) -> bool:
    """Set what every type of mount has; False when `key` is an option of one type."""
    if key == "type":
        if value.lower() not in TYPES:
            raise InvalidInput(f"{value!r} is not a type of mount", advice=f"Types are {', '.join(TYPES)}")
        mount["type"] = value.lower()
    elif key in ("source", "target", "consistency"):
        mount[key] = value
    elif key == "readonly":
        mount["read_only"] = boolean(value)
    else:
        return False
    return True


def _set_option(options: dict[str, dict[str, Any]], key: str, value: str, field: str) -> None:
    kind, _, name = key.partition("-")
    section = options.setdefault(kind, {})
    if key in ("bind-propagation", "volume-subpath", "image-subpath"):
        section[name] = value
    elif key == "bind-recursive":
        section.update(_recursion(value))
    elif key == "bind-nonrecursive":
        section["non_recursive"] = boolean(value)
    elif key == "volume-nocopy":
        section["no_copy"] = boolean(value)
    elif key == "volume-label":
        label, _, text = value.partition("=")
        section["labels"] = {**section.get("labels", {}), label: text}
    elif key in ("volume-driver", "volume-opt"):
        section["driver_config"] = _driver(section.get("driver_config") or {}, name, value)
    elif key == "tmpfs-size":
        from lamina.formats.sizes import parse_size

        section["size_bytes"] = parse_size(value, "tmpfs-size")
    elif key == "tmpfs-mode":
        if not value or set(value) - set("01234567"):
            raise InvalidInput(f"{value!r} is not an octal mode")
        section["mode"] = int(value, 8)
    else:
        raise InvalidInput(f"unexpected key {key!r} in {field!r} of --mount")


def _driver(driver: Document, key: str, value: str) -> Document:
    if key == "driver":
        return {**driver, "Name": value}
    name, _, text = value.partition("=")
    return {**driver, "Options": {**driver.get("Options", {}), name: text}}


def _recursion(value: str) -> dict[str, bool]:
    choices: dict[str, dict[str, bool]] = {
        "enabled": {},
        "disabled": {"non_recursive": True},
        "writable": {"read_only_non_recursive": True},
        "readonly": {"read_only_force_recursive": True},
    }
    if value not in choices:
        raise InvalidInput(f"{value!r} is not valid for bind-recursive", advice=f"Give one of {', '.join(choices)}")
    return choices[value]
