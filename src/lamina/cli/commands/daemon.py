"""`lamina daemon`: the engine behind the Docker Engine API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lamina.cli.arguments import command, many, switch
from lamina.cli.pairs import mapping
from lamina.errors import InvalidInput

# Flags of one value: their names are daemon.json's keys.
TEXTS = {
    "bip": ("CIDR", "Address and network of the default bridge, such as 172.17.0.1/16"),
    "bridge": ("NAME", "Attach containers to this bridge; none disables networking"),
    "data-root": ("DIR", "Where images, containers and volumes are kept (default /var/lib/lamina)"),
    "default-runtime": ("NAME", "OCI runtime for containers: crun, runc, or one of the configured"),
    "exec-root": ("DIR", "Where the state of running containers is (default /run/lamina)"),
    "group": ("GROUP", "Group that may use the socket (default docker)"),
    "log-driver": ("NAME", "Logging driver of containers (default json-file)"),
    "log-level": ("LEVEL", "debug, info, warn, error or fatal"),
    "pidfile": ("FILE", "Write the daemon's process id here"),
    "storage-driver": ("NAME", "erofs, overlay or copy; chosen by what the kernel can where not given"),
    "tlscacert": ("FILE", "Trust clients with certificates of this CA"),
    "tlscert": ("FILE", "TLS certificate"),
    "tlskey": ("FILE", "TLS key"),
    "userns-remap": ("USER", "Map the containers' users"),
}
NUMBERS = {
    "max-concurrent-downloads": "Layers a pull fetches at once",
    "max-concurrent-uploads": "Layers a push sends at once",
    "shutdown-timeout": "Seconds containers have to stop",
}
SWITCHES = {"debug": "Log more", "tls": "Use TLS on TCP", "tlsverify": "Use TLS on TCP, and check clients"}
LISTS = {
    "dns": "Name servers of containers",
    "dns-opt": "Option of name look-ups",
    "dns-search": "Domains to search",
    "insecure-registry": "Registry to talk to without TLS or without checking it",
    "label": "Label of this engine",
    "registry-mirror": "Mirror to pull from first",
}
KEYS = {  # where daemon.json's key is not the flag's name
    "dns-opt": "dns-opts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "registry-mirror": "registry-mirrors",
}


def _flags(function: Any) -> Any:
    for name, (metavar, text) in TEXTS.items():
        function = click.option(f"--{name}", default=None, metavar=metavar, help=text)(function)
    for name, text in NUMBERS.items():
        function = click.option(f"--{name}", type=int, default=None, help=text)(function)
    for name, text in SWITCHES.items():
        function = switch(f"--{name}", help=text, default=None)(function)
    for name, text in LISTS.items():
        function = many(f"--{name}", help=text)(function)
    return function


@command("""
    lamina daemon
    lamina daemon --host unix:///tmp/l/sock --data-root /tmp/l/data --exec-root /tmp/l/exec --pidfile /tmp/l/pid
""")
@click.option("-H", "--host", "hosts", multiple=True, metavar="HOST", help="Where to listen: unix:// or tcp://")
@click.option("--config-file", default="", metavar="FILE", help="Settings (default /etc/lamina/daemon.json)")
@many("--default-address-pool", metavar="base=CIDR,size=N", help="Where networks get subnets")
@many("--default-ulimit", metavar="NAME=SOFT[:HARD]", help="Limit for every container")
@click.option("--live-restore/--no-live-restore", default=None, help="Containers outlive the daemon (default true)")
@many("--log-opt", metavar="KEY=VALUE", help="Options of the logging driver")
@_flags
def daemon(hosts: tuple[str, ...], config_file: str, **flags: Any) -> None:
    """Run the engine in the foreground: serve the Docker Engine API until SIGTERM."""
    from lamina.daemon.config import load
    from lamina.daemon.main import serve

    given: dict[str, Any] = {"hosts": hosts} if hosts else {}
    for name, value in flags.items():
        flag = name.replace("_", "-")
        if value not in (None, (), False) or (value is False and flag == "live-restore"):
            given.update(_setting(flag, value))
    serve(load(given, Path(config_file) if config_file else None))


def _setting(flag: str, value: Any) -> dict[str, Any]:
    """A flag's value under daemon.json's key, in its form."""
    from lamina.cli.run.limits import parse_ulimit

    if flag == "log-opt":
        return {"log-opts": mapping(value)}
    if flag == "default-ulimit":
        return {"default-ulimits": {limit["Name"]: limit for limit in map(parse_ulimit, value)}}
    if flag == "default-address-pool":
        return {"default-address-pools": [_pool(text) for text in value]}
    return {KEYS.get(flag, flag): list(value) if isinstance(value, tuple) else value}


def _pool(text: str) -> dict[str, Any]:
    fields = mapping(text.split(","))
    if set(fields) != {"base", "size"} or not fields["size"].isdecimal():
        raise InvalidInput(f"invalid address pool {text!r}", advice="Write it as base=10.10.0.0/16,size=24")
    return {"base": fields["base"], "size": int(fields["size"])}
