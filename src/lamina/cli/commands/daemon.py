"""`lamina daemon`: the engine behind the Docker Engine API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lamina.cli.arguments import many
from lamina.cli.key_values import mapping
from lamina.cli.parsing.declare import Choice, command, integer, option, parse_bool
from lamina.errors import InvalidInput

F = TypeVar("F", bound=Callable[..., Any])

# Flags that are daemon.json's keys as they are, with what the help says about them.
_TEXTS = {
    "data-root": "Root directory of persistent state (default /var/lib/lamina)",
    "exec-root": "Root directory of what does not outlive a reboot (default /run/lamina)",
    "group": "Group for the unix socket",
    "bip": "IP address of the default bridge, in CIDR form",
    "bip6": "IPv6 address of the default bridge, in CIDR form",
    "bridge": "Bridge of the host for the default network, or none for no such network",
    "fixed-cidr": "IPv4 range for addresses of the default bridge",
    "fixed-cidr-v6": "IPv6 subnet of the default bridge",
    "default-gateway": "Router of the default bridge's containers, where it is not the host",
    "default-gateway-v6": "The same for IPv6",
    "ip": "Host address for published ports that name none (default all)",
    "storage-driver": "Storage driver: erofs, overlay or copy",
    "log-driver": "Default driver for container logs",
    "cgroup-parent": "Cgroup that holds those of all containers (default /lamina)",
    "default-cgroupns-mode": "Whose cgroups containers see: private or host (private on cgroup v2)",
    "default-ipc-mode": "Who shares memory with a container: private or shareable (default private)",
    "default-shm-size": "Size of /dev/shm in containers (default 64MiB)",
    "init-path": "Program of the init in containers",
    "default-runtime": "Default OCI runtime for containers",
    "dashboard": "Address of the web dashboard, on this machine: 127.0.0.1:PORT",
    "userns-remap": "User and group for user namespaces",
    "tlscacert": "Trust certs signed only by this CA",
    "tlscert": "Path to the TLS certificate file",
    "tlskey": "Path to the TLS key file",
}
_NUMBERS = {
    "max-concurrent-downloads": "Layers to download at once for one pull",
    "max-concurrent-uploads": "Layers to upload at once for one push",
    "shutdown-timeout": "Seconds that containers get to stop",
}
_SWITCHES = {
    "live-restore": "Keep containers running when the daemon stops (default true)",
    "init": "Run an init in each container, which forwards signals and reaps processes",
    "ipv6": "Give containers of the default bridge IPv6 addresses",
    "ip6tables": "Accepted for Docker's sake; IPv6 networks always have their rules",
    "allow-direct-routing": "Let others reach published ports at the containers' addresses",
    "ip-forward": "Let the host forward packets (default true)",
    "ip-forward-no-drop": "Let it forward those of others too, where the engine switches forwarding on",
    "userland-proxy": "Carry connections that the kernel cannot translate (default true)",
    "dashboard-read-only": "Let the dashboard show everything and change nothing",
    "tls": "Use TLS; implied by --tlsverify. TCP without TLS is only served with --tls=false",
    "tlsverify": "Use TLS and check who connects",
}
_LISTS = {
    "registry-mirror": ("registry-mirrors", "Registry to ask before Docker Hub"),
    "insecure-registry": ("insecure-registries", "Registry that may be spoken to without TLS"),
    "allowed-host": ("allowed-hosts", "Name by which clients may call a TCP address without TLS"),
    "allowed-origin": ("allowed-origins", "Web page that may use the API, such as https://ui.example"),
    "cdi-spec-dir": ("cdi-spec-dirs", "Folder of specs of the Container Device Interface"),
    "label": ("labels", "Label of the daemon"),
    "host-gateway-ip": ("host-gateway-ips", "Address that host-gateway in --add-host stands for"),
    "dns": ("dns", "DNS server for containers"),
    "dns-opt": ("dns-opts", "DNS option for containers"),
    "dns-search": ("dns-search", "DNS search domain for containers"),
}


def _settings(function: F) -> F:
    for name, help_ in reversed(_TEXTS.items()):
        function = option(f"--{name}", help=help_)(function)
    for name, help_ in _NUMBERS.items():
        function = option(f"--{name}", convert=integer, help=help_)(function)
    for name, help_ in _SWITCHES.items():
        function = option(f"--{name}", convert=parse_bool, bare=True, help=help_)(function)
    for name, (_, help_) in _LISTS.items():
        function = many(f"--{name}", help=help_)(function)
    return function


@command("lamina daemon --host unix:///run/lamina/lamina.sock", takes_session=False)
@many(
    "-H",
    "--host",
    "hosts",
    metavar="ADDRESS",
    help="Address to serve: unix://PATH, tcp://HOST:PORT or fd:// (default unix:///run/lamina/lamina.sock)",
)
@option("--config-file", convert=Path, metavar="PATH", help="daemon.json to read (default /etc/lamina/daemon.json)")
@option("-p", "--pidfile", help="File for the process id")
@option("-D", "--debug", is_switch=True, default=False, help="Log more")
@option("-l", "--log-level", convert=Choice("debug", "info", "warning", "error"), help="What to log")
@many("--log-opt", metavar="KEY=VALUE", help="Default option of the log driver")
@many("--default-address-pool", metavar="base=CIDR,size=N", help="Where new networks get their subnets")
@many("--default-network-opt", metavar="DRIVER=KEY=VALUE", help="Default option of new networks")
@_settings
def daemon(
    hosts: tuple[str, ...],
    config_file: Path | None,
    log_opt: tuple[str, ...],
    default_address_pool: tuple[str, ...],
    default_network_opt: tuple[str, ...],
    **flag_values: Any,
) -> None:
    """Run the engine in the foreground and serve the Docker Engine API.

    For a user who is not root, the default directories lie below XDG_DATA_HOME and XDG_RUNTIME_DIR. The CAs and the
    client certificates for a registry are read from /etc/docker/certs.d/REGISTRY.
    """
    from lamina.daemon.config import load
    from lamina.daemon.main import serve

    flags = _flags(flag_values)
    if hosts:
        flags["hosts"] = list(hosts)
    if log_opt:
        flags["log-opts"] = mapping(log_opt)
    if default_address_pool:
        flags["default-address-pools"] = [_pool(text) for text in default_address_pool]
    if default_network_opt:
        flags["default-network-opts"] = _network_options(default_network_opt)
    serve(load(flags, config_file))


def _flags(flag_values: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that were given, under their keys in daemon.json."""
    settings: dict[str, Any] = {}
    for name, value in flag_values.items():
        if value is None or (value is False and name == "debug") or value == ():
            continue
        flag = name.replace("_", "-")
        key = _LISTS[flag][0] if flag in _LISTS else flag
        settings[key] = list(value) if isinstance(value, tuple) else value
    return settings


def _pool(text: str) -> dict[str, Any]:
    pairs = dict(part.partition("=")[::2] for part in text.split(","))
    return {"base": pairs.get("base", ""), "size": int(pairs.get("size", "0") or 0)}


def _network_options(texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return the options by driver. Raise InvalidInput for what is not driver=key=value."""
    options: dict[str, dict[str, str]] = {}
    for text in texts:
        driver, _, option = text.partition("=")
        key, equals, value = option.partition("=")
        if not (driver and key and equals):
            raise InvalidInput(f'invalid default network option: must be "driver=key=value", but got: {text}')
        options.setdefault(driver, {})[key] = value
    return options
