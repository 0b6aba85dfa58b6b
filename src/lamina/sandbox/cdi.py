"""Devices by the Container Device Interface: what a vendor's spec on the host adds to a container.

Rule: cncf-tags/container-device-interface, SPEC.md. Specs are JSON; those in YAML are read where PyYAML is installed.
The folders of specs are the administrator's, and what they say is trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from lamina.errors import InvalidInput, Unsupported
from lamina.runtime import bundle
from lamina.runtime.spec import AnyMount, BindMount, ContainerSpec, Device, TmpfsMount

DRIVER = "cdi"
_CLASS = "org.mobyproject.buildkit.device.class"
_SIZE_LIMIT = 1 << 20  # bytes of a spec
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*=[A-Za-z0-9][\w.:-]*", re.ASCII)
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart")


# YAML reads `true` and numbers as such, where the specification has text.
Annotations = dict[str, str | bool | int | float]


class DeviceNode(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A device node; what is left out is that of the host's node."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = "rwm"
    uid: int | None = None
    gid: int | None = None


class CdiMount(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A mount, with mount(8)'s words as options."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str = ""


class Hook(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A program that the runtime runs; `timeout` in seconds."""

    hook_name: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class Edits(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is added to a container."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[CdiMount, ...] = ()
    hooks: tuple[Hook, ...] = ()
    additional_gids: tuple[int, ...] = ()


class CdiDevice(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A device of a spec."""

    name: str
    container_edits: Edits = Edits()
    annotations: Annotations = {}


class CdiSpec(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One file: devices of a `kind` (vendor/class), and edits that each of them brings along."""

    cdi_version: str
    kind: str
    devices: tuple[CdiDevice, ...] = ()
    container_edits: Edits = Edits()
    annotations: Annotations = {}


def with_devices(spec: ContainerSpec, names: Sequence[str], folders: Sequence[str]) -> ContainerSpec:
    """Return `spec` with the devices called `names` (vendor.com/class=name) of the specs in `folders`.

    A later folder goes before an earlier one. Raise InvalidInput for devices that no spec has, or that cannot be read,
    and Unsupported for what lamina does not do.
    """
    if not names:
        return spec
    specs = [entry for folder in reversed(folders) for entry in _specs(Path(folder))]
    all_edits: list[Edits] = []
    missing = []
    for name in names:
        edits = _edits(name, specs)
        missing += [] if edits else [name]
        all_edits += [each for each in edits if each not in all_edits]
    if missing:
        words = ", ".join(missing)
        raise InvalidInput(f"CDI device injection failed: unresolvable CDI devices {words}", devices=missing)
    for each in all_edits:
        spec = _edited(spec, each)
    return spec


def registered(name: str, folders: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the devices that a name means, each with its annotations: none where the specs have no such device.

    `vendor.com/class` means the first device of a class, `vendor.com/class=*` all of them, and a word those that are
    annotated with it as their class. Rule: moby/buildkit, solver/llbsolver/cdidevices. Raise InvalidInput for specs
    that cannot be read.
    """
    devices: dict[str, dict[str, str]] = {}
    for folder in reversed(folders):
        for spec in _specs(Path(folder)):
            for each in spec.devices:
                devices.setdefault(f"{spec.kind}={each.name}", _texts(spec.annotations | each.annotations))
    kind, _, device = name.partition("=")
    of_kind = [device for device in sorted(devices) if device.partition("=")[0] == kind]
    chosen = [name] if name in devices else of_kind if device == "*" else of_kind[:1] if not device else []
    chosen = chosen or [device for device in sorted(devices) if devices[device].get(_CLASS) == name]
    return {device: devices[device] for device in chosen}


def _texts(annotations: Annotations) -> dict[str, str]:
    """Return annotations as text, as the specification has them."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in annotations.items()}


def _edits(name: str, specs: Sequence[CdiSpec]) -> tuple[Edits, ...]:
    """Return the edits for one device, those of its whole spec first; none where no spec has it."""
    kind, _, device = name.partition("=")
    if not _NAME.fullmatch(name):
        return ()
    for spec in specs:
        for each in spec.devices:
            if (spec.kind, each.name) == (kind, device):
                return (spec.container_edits, each.container_edits)
    return ()


def _specs(folder: Path) -> Iterator[CdiSpec]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if file.suffix in (".json", ".yaml", ".yml"):
            try:
                yield msgspec.convert(_document(file), CdiSpec)
            except (OSError, ValueError) as error:
                raise InvalidInput(f"CDI device injection failed: {file}: {error}", path=str(file)) from None


def _document(file: Path) -> Any:
    """Return a file's JSON or YAML. Raise ValueError."""
    with file.open("rb") as opened:
        text = opened.read(_SIZE_LIMIT + 1)
    if len(text) > _SIZE_LIMIT:
        raise ValueError(f"it has more than {_SIZE_LIMIT} bytes")
    if file.suffix == ".json":
        return msgspec.json.decode(text)
    return msgspec.yaml.decode(text)


def _edited(spec: ContainerSpec, edits: Edits) -> ContainerSpec:
    names = {entry.partition("=")[0] for entry in edits.env}
    environment = tuple(entry for entry in spec.process.env if entry.partition("=")[0] not in names)
    user = spec.process.user
    user = replace(user, additional_gids=tuple(dict.fromkeys((*user.additional_gids, *edits.additional_gids))))
    return replace(
        spec,
        process=replace(spec.process, env=(*environment, *edits.env), user=user),
        devices=(*spec.devices, *(_node(node) for node in edits.device_nodes)),
        mounts=(*spec.mounts, *(_mount(mount) for mount in edits.mounts)),
        hooks=(*spec.hooks, *(_hook(hook) for hook in edits.hooks)),
    )


def _node(node: DeviceNode) -> Device:
    source = node.host_path or node.path
    try:
        device = bundle.device_at(source, node.path, node.permissions)
    except OSError as error:
        raise InvalidInput(f"CDI device injection failed: {source}: {error.strerror}", path=source) from None
    if device is None:
        raise InvalidInput(f"CDI device injection failed: {source} is no device", path=source)
    return replace(
        device,
        mode=device.mode if node.file_mode is None else node.file_mode,
        uid=device.uid if node.uid is None else node.uid,
        gid=device.gid if node.gid is None else node.gid,
    )


def _mount(mount: CdiMount) -> AnyMount:
    if mount.type == "tmpfs":
        return TmpfsMount(mount.container_path, mount.options)
    flags = tuple(word for word in mount.options if word in ("nosuid", "nodev", "noexec"))
    return BindMount(
        mount.host_path,
        mount.container_path,
        read_only="ro" in mount.options,
        recursive="bind" not in mount.options,
        options=flags,
    )


def _hook(hook: Hook) -> tuple[str, dict[str, Any]]:
    if hook.hook_name not in _HOOKS:
        raise Unsupported(f"CDI device injection failed: hooks of the kind {hook.hook_name} are not run here")
    entry: dict[str, Any] = {"path": hook.path, "args": list(hook.args), "env": list(hook.env)}
    return hook.hook_name, entry if hook.timeout is None else {**entry, "timeout": hook.timeout}
