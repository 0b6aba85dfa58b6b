"""`-v`, `--tmpfs` and `--mount`."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from typing import Any

from lamina.cli.arguments import parse_bool
from lamina.errors import InvalidInput
from lamina.formats.sizes import parse_size

ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
SECTIONS = {
    "bind-propagation": ("BindOptions", "Propagation"),
    "volume-driver": ("VolumeOptions", "DriverConfig"),
    "volume-subpath": ("VolumeOptions", "Subpath"),
    "image-subpath": ("ImageOptions", "Subpath"),
}
TYPES = ("bind", "volume", "tmpfs", "npipe", "cluster", "image")


def binds_and_volumes(specs: Sequence[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """`-v` values as HostConfig.Binds (those with a source) and Config.Volumes (those without).

    A source that begins with a dot is made absolute. Raises InvalidInput.
    """
    binds, volumes = [], {}
    for spec in dict.fromkeys(specs):
        source, colon, rest = spec.partition(":")
        if not spec or (colon and not (source and rest)):
            raise InvalidInput(f"invalid volume {spec!r}", advice="Write it as [SOURCE:]DIRECTORY[:OPTIONS]")
        if not colon:
            volumes[source] = dict[str, str]()
            continue
        binds.append(f"{os.path.abspath(source)}:{rest}" if source.startswith(".") else spec)
    return binds, volumes


def tmpfs_map(specs: Sequence[str]) -> dict[str, str]:
    """HostConfig.Tmpfs."""
    return {path: options for path, _, options in (spec.partition(":") for spec in specs)}


def parse_mount(spec: str) -> dict[str, Any]:
    """One `--mount` value, comma-separated `key=value` in CSV's quoting, as Docker's Mount. Raises InvalidInput."""
    mount: dict[str, Any] = {"Type": "volume"}
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        key = ALIASES.get(key.strip().lower(), key.strip().lower())
        if not equals and key not in ("readonly", "volume-nocopy", "bind-nonrecursive"):
            raise InvalidInput(f"invalid field {field!r} in --mount", advice="Write fields as key=value")
        _set(mount, key, value if equals else "true", field)
    if not mount.get("Target") and mount["Type"] != "cluster":
        raise InvalidInput(f"--mount {spec!r} names no target", advice="Add target=DIRECTORY")
    if mount["Type"] == "bind" and str(mount.get("Source", "")).startswith("."):
        mount["Source"] = os.path.abspath(mount["Source"])
    _check_sections(mount)
    return mount


def _set(mount: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "type":
        if value.lower() not in TYPES:
            raise InvalidInput(f"{value!r} is not a type of mount", advice=f"Types are {', '.join(TYPES)}")
        mount["Type"] = value.lower()
    elif key in ("source", "target", "consistency"):
        mount[key.title()] = value
    elif key == "readonly":
        mount["ReadOnly"] = parse_bool(value)
    elif key in SECTIONS:
        section, name = SECTIONS[key]
        mount.setdefault(section, {})[name] = {"Name": value} if key == "volume-driver" else value
    elif key in ("volume-label", "volume-opt"):
        _set_pair(mount.setdefault("VolumeOptions", {}), key, value)
    elif key in ("volume-nocopy", "bind-nonrecursive"):
        section, name = ("VolumeOptions", "NoCopy") if key == "volume-nocopy" else ("BindOptions", "NonRecursive")
        mount.setdefault(section, {})[name] = parse_bool(value)
    elif key == "bind-recursive":
        mount.setdefault("BindOptions", {}).update(_recursion(value))
    elif key == "tmpfs-size":
        mount.setdefault("TmpfsOptions", {})["SizeBytes"] = parse_size(value, "tmpfs-size")
    elif key == "tmpfs-mode":
        if not value or set(value) - set("01234567"):
            raise InvalidInput(f"{value!r} is not an octal mode")
        mount.setdefault("TmpfsOptions", {})["Mode"] = int(value, 8)
    else:
        raise InvalidInput(f"unexpected key {key!r} in {field!r} of --mount")


def _set_pair(options: dict[str, Any], key: str, value: str) -> None:
    name, _, text = value.partition("=")
    if key == "volume-label":
        options.setdefault("Labels", {})[name] = text
    else:
        options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = text


def _recursion(value: str) -> dict[str, bool]:
    choices: dict[str, dict[str, bool]] = {
        "enabled": {},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
        "readonly": {"ReadOnlyForceRecursive": True},
    }
    if value not in choices:
        raise InvalidInput(f"{value!r} is not valid for bind-recursive", advice=f"Give one of {', '.join(choices)}")
    return choices[value]


def _check_sections(mount: dict[str, Any]) -> None:
    for section, kind in (("BindOptions", "bind"), ("VolumeOptions", "volume"), ("TmpfsOptions", "tmpfs")):
        if mount.get(section) and mount["Type"] != kind:
            raise InvalidInput(f"cannot mix {kind}-* options with mount type {mount['Type']!r}")
