"""`lamina update`."""

from __future__ import annotations

import sys
from typing import Any

import click

from lamina.cli.arguments import command
from lamina.cli.each import for_each
from lamina.cli.session import Session

NUMBERS = ("blkio-weight", "cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "pids-limit")
TEXTS = (
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "kernel-memory",
    "memory",
    "memory-reservation",
    "memory-swap",
    "restart",
)
SHORT = {"cpu-shares": ("-c",), "memory": ("-m",)}


def _limits(function: Any) -> Any:
    for name in NUMBERS:
        function = click.option(*SHORT.get(name, ()), f"--{name}", type=int, default=0)(function)
    for name in TEXTS:
        function = click.option(*SHORT.get(name, ()), f"--{name}", default="")(function)
    return function


@command("lamina update -m 512m --cpus 1.5 --restart always app1")
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER [CONTAINER...]")
@_limits
@click.pass_obj
def update(session: Session, /, names: tuple[str, ...], **flags: Any) -> int:
    """Change the limits or the restart policy of containers. See `lamina run --help` for what the flags mean."""
    from lamina.cli.run.limits import changeable
    from lamina.cli.run.security import restart_policy

    changes: dict[str, Any] = {
        "BlkioWeight": flags["blkio_weight"],
        "CpuRealtimePeriod": flags["cpu_rt_period"],
        "CpuRealtimeRuntime": flags["cpu_rt_runtime"],
        **changeable(flags),
    }
    changes = {name: value for name, value in changes.items() if value}
    if flags["restart"]:
        changes["RestartPolicy"] = restart_policy(flags["restart"])

    def change(name: str) -> None:
        for warning in session.client.containers.update(name, changes).warnings:
            print(f"WARNING: {warning}", file=sys.stderr)
        print(name)

    return for_each(names, change)
