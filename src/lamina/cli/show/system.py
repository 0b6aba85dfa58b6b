"""`info` and `version` as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lamina.formats.sizes import binary_size

Document = Mapping[str, Any]

PLAIN = (
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
)
MACHINE = (
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
)
PLACES = (
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Debug Mode", "Debug"),
    ("HTTP Proxy", "HttpProxy"),
    ("HTTPS Proxy", "HttpsProxy"),
    ("No Proxy", "NoProxy"),
    ("Experimental", "ExperimentalBuild"),
)


def info_lines(info: Document, version: str, context: str, endpoint: str, config: str) -> Iterator[str]:
    """Yield the text of `info`, line by line; `endpoint` and `config` tell where the daemon and config.json are."""
    yield "Client:"
    yield f" Version:    {version}"
    yield f" Context:    {context}"
    yield f" Endpoint:   {endpoint}"
    yield f" Config:     {config}"
    yield ""
    yield "Server:"
    yield f" Containers: {info['Containers']}"
    for name in ("Running", "Paused", "Stopped"):
        yield f"  {name}: {info[f'Containers{name}']}"
    yield f" Images: {info['Images']}"
    for title, key in PLAIN:
        yield from _value(title, info.get(key))
        if key == "Driver":
            yield from (f"  {name}: {value}" for name, value in info.get("DriverStatus") or ())
    yield from _plugins(info)
    yield from _runtimes(info)
    yield from _security(info)
    for title, key in MACHINE:
        yield from _value(title, info.get(key))
    yield f" Total Memory: {binary_size(info.get('MemTotal') or 0)}"
    for title, key in PLACES:
        yield from _value(title, info.get(key))
    yield from _labels_and_registries(info)


def _value(title: str, value: object) -> Iterator[str]:
    if value not in (None, ""):
        yield f" {title}: {str(value).lower() if isinstance(value, bool) else value}"


def _plugins(info: Document) -> Iterator[str]:
    plugins = info.get("Plugins") or {}
    yield " Plugins:"
    for kind in ("Volume", "Network", "Log"):
        yield f"  {kind}: {' '.join(plugins.get(kind) or ())}"
    yield f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"


def _runtimes(info: Document) -> Iterator[str]:
    if info.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(info['Runtimes']))}"
        yield f" Default Runtime: {info.get('DefaultRuntime', '')}"


def _security(info: Document) -> Iterator[str]:
    options = info.get("SecurityOptions") or ()
    if options:
        yield " Security Options:"
    for option in options:
        pairs = [part.partition("=")[::2] for part in option.split(",")]
        for key, value in pairs:
            yield f"  {value}" if key == "name" else f"   {key.title()}: {value}"


def _labels_and_registries(info: Document) -> Iterator[str]:
    if info.get("Labels"):
        yield " Labels:"
        yield from (f"  {label}" for label in info["Labels"])
    config = info.get("RegistryConfig") or {}
    insecure = [name for name, index in (config.get("IndexConfigs") or {}).items() if not index.get("Secure", True)]
    insecure += config.get("InsecureRegistryCIDRs") or ()
    for title, items in (("Insecure Registries", insecure), ("Registry Mirrors", config.get("Mirrors") or ())):
        if items:
            yield f" {title}:"
            yield from (f"  {item}" for item in items)
    yield f" Live Restore Enabled: {str(bool(info.get('LiveRestoreEnabled'))).lower()}"


def version_lines(client: Document, server: Document | None) -> Iterator[str]:
    """The text of `version`, line by line."""
    yield "Client:"
    for title, key in (("Version", "Version"), ("API version", "ApiVersion"), ("Python version", "PythonVersion")):
        yield f" {title + ':':<18}{client[key]}"
    yield f" {'OS/Arch:':<18}{client['Os']}/{client['Arch']}"
    yield f" {'Context:':<18}{client['Context']}"
    if server is None:
        return
    yield ""
    yield f"Server: {(server.get('Platform') or {}).get('Name', '')}".rstrip()
    for part in server.get("Components") or ():
        details = part.get("Details") or {}
        yield f" {part['Name']}:"
        yield f"  {'Version:':<17}{part['Version']}"
        if "ApiVersion" in details:
            yield f"  {'API version:':<17}{details['ApiVersion']} (minimum version {details.get('MinAPIVersion', '')})"
        if "GoVersion" in details:
            yield f"  {'Go version:':<17}{details['GoVersion']}"
        if details.get("GitCommit"):
            yield f"  {'Git commit:':<17}{details['GitCommit']}"
        if "Os" in details:
            yield f"  {'OS/Arch:':<17}{details['Os']}/{details.get('Arch', '')}"
