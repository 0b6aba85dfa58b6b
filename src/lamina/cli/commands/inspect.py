"""`lamina inspect`, for every kind of object, and the `inspect` of each group."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from lamina.cli.arguments import for_each, switch
from lamina.cli.parsing.declare import argument, command, option
from lamina.client.client import Client
from lamina.errors import InvalidInput, NotFound
from lamina.light import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from typing import Any

    from lamina.cli.session import Session

    Getter = Callable[[Client, str, bool], Mapping[str, Any]]


GETTERS: dict[str, Getter] = {
    "container": lambda client, name, size: client.containers.get(name, size=size),
    "image": lambda client, name, size: client.images.get(name),
    "network": lambda client, name, size: client.networks.get(name),
    "volume": lambda client, name, size: client.volumes.get(name),
}
names_argument = argument("names", many=True, metavar="NAME|ID [NAME|ID...]")
template_option = option("-f", "--format", "format_", default="", metavar="TEMPLATE", help="Print with a template")
size_option = switch("-s", "--size", help="Tell file sizes of containers")

# Objects that are structs in Docker's client, with the JSON's order of fields in Go.
STRUCTS = {
    "LogConfig": ("Type", "Config"),
    "RestartPolicy": ("Name", "MaximumRetryCount"),
    "GraphDriver": ("Data", "Name"),
    "RootFS": ("Type", "Layers"),
    "ConfigFrom": ("Network",),
}


def _with_empties(value: Any) -> Any:
    """Return the document as Go has it: empty lists and maps for null, and structs where Docker's client has them."""
    if not isinstance(value, Mapping):
        return value
    return {name: _as_in_go(name, item) for name, item in value.items()}


def _as_in_go(name: str, value: Any) -> Any:
    from lamina.cli.template.functions import Struct

    if value is None:
        with suppress(KeyError):
            return empty_value(name)
    if name in STRUCTS and isinstance(value, Mapping):
        return Struct({field: _as_in_go(field, value[field]) for field in STRUCTS[name] if field in value})
    if name in ("Volumes", "ExposedPorts") and value:
        return {key: Struct(item) for key, item in value.items()}
    if name in MAPS and isinstance(value, Mapping):
        return dict(sorted(value.items()))
    if name in ("Ports", "PortBindings") and isinstance(value, Mapping):
        return {port: [Struct(binding) for binding in bindings or ()] for port, bindings in value.items()}
    return _with_empties(value)


def _get_any(client: Client, name: str, size: bool) -> Mapping[str, Any]:
    for kind in GETTERS:
        try:
            return GETTERS[kind](client, name, size)
        except NotFound:
            continue
    raise NotFound(f"No such object: {name}")


def _run(session: Session, getter: Getter, names: tuple[str, ...], form: str, size: bool = False) -> int:
    documents: list[Mapping[str, Any]] = []
    code = for_each(names, lambda name: documents.append(getter(session.client, name, size)))
    if form in ("", "json"):
        _print_json(documents, compact=form == "json")
    else:
        _print_template(documents, form)
    return code


def _print_json(documents: list[Mapping[str, Any]], compact: bool) -> None:
    from json import dumps

    if compact:
        text = dumps([dict(document) for document in documents], ensure_ascii=False, separators=(",", ":"))
    else:
        text = dumps([dict(document) for document in documents], ensure_ascii=False, indent=4)
    sys.stdout.write(text + "\n")


def _print_template(documents: list[Mapping[str, Any]], form: str) -> None:
    from lamina.cli.template import Template

    template = Template.parse(form)
    for document in documents:
        sys.stdout.write(template.render(_with_empties(document), empty_value) + "\n")


@command("""
    lamina inspect app1
    lamina inspect -f '{{.State.Status}}' app1
    lamina inspect --type image -f '{{json .Config.Env}}' my-app
""")
@names_argument
@template_option
@size_option
@option("--type", "type_", default="", help="Kind of the object: container, image, network or volume")
def inspect(session: Session, names: tuple[str, ...], format_: str, size: bool, type_: str) -> int:
    """Return low-level information on objects, as JSON."""
    if type_ and type_ not in GETTERS:
        raise InvalidInput(f"{type_!r} is not a valid value for --type", advice=f"Give one of {', '.join(GETTERS)}")
    return _run(session, GETTERS.get(type_, _get_any), names, format_, size)


@command("lamina container inspect -f '{{.State.ExitCode}}' app1")
@names_argument
@template_option
@size_option
def inspect_container(session: Session, names: tuple[str, ...], format_: str, size: bool) -> int:
    """Display detailed information on containers."""
    return _run(session, GETTERS["container"], names, format_, size)


@command("lamina image inspect my-app | jq -r '.[].RootFS.Layers[]'")
@names_argument
@template_option
@option("--platform", default="", help="Of images for several platforms, show the one for this")
def inspect_image(session: Session, names: tuple[str, ...], format_: str, platform: str) -> int:
    """Display detailed information on images."""
    return _run(session, lambda client, name, size: client.images.get(name, platform=platform), names, format_)


@command("lamina network inspect -f '{{.Driver}}' bridge")
@names_argument
@template_option
@switch("-v", "--verbose", help="Tell more")
def inspect_network(session: Session, names: tuple[str, ...], format_: str, verbose: bool) -> int:
    """Display detailed information on networks."""
    return _run(session, GETTERS["network"], names, format_)


@command("lamina volume inspect -f '{{.Mountpoint}}' data")
@names_argument
@template_option
def inspect_volume(session: Session, names: tuple[str, ...], format_: str) -> int:
    """Display detailed information on volumes."""
    return _run(session, GETTERS["volume"], names, format_)


TEXTS = frozenset({
    "Author", "Comment", "Container", "Created", "DockerVersion", "Isolation", "MacAddress", "OsVersion", "Parent",
    "Platform", "Runtime", "StopSignal", "Variant",
})  # fmt: skip
SWITCHES = frozenset({"ArgsEscaped", "NetworkDisabled"})
NUMBERS = frozenset({
    "CPUCount", "CPUPercent", "GwPriority", "IOMaximumBandwidth", "IOMaximumIOps", "KernelMemory", "KernelMemoryTCP",
    "Size", "VirtualSize",
})  # fmt: skip
LISTS = frozenset({
    "Aliases", "Args", "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps", "BlkioWeightDevice", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceCgroupRules",
    "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env", "ExecIDs", "ExtraHosts",
    "GroupAdd", "Links", "Manifests", "MaskedPaths", "Mounts", "OnBuild", "Peers", "ReadonlyPaths", "RepoDigests",
    "RepoTags", "SecondaryIPAddresses", "SecondaryIPv6Addresses", "SecurityOpt", "Shell", "Ulimits", "VolumesFrom",
})  # fmt: skip
MAPS = frozenset({
    "Annotations", "DriverOpts", "ExposedPorts", "Labels", "Options", "Services", "Status", "StorageOpt", "Sysctls",
    "Tmpfs", "Volumes",
})  # fmt: skip
POINTERS = frozenset({
    "ClusterVolume", "ContainerConfig", "Descriptor", "GraphDriver", "Health", "Healthcheck", "Identity",
    "ImageManifestDescriptor", "Init", "SizeRootFs", "SizeRw", "StopTimeout", "UsageData",
})  # fmt: skip

_EMPTY: tuple[tuple[frozenset[str], object], ...] = (
    (TEXTS, ""), (SWITCHES, False), (NUMBERS, 0), (LISTS, ()), (MAPS, {}), (POINTERS, None),
)  # fmt: skip


def empty_value(name: str) -> object:
    """Return the value of a missing field in a template. Raise KeyError if Docker has no such field."""
    for names, value in _EMPTY:
        if name in names:
            return value
    raise KeyError(name)
