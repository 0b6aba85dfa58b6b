"""`lamina update`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from lamina.cli import completing
from lamina.cli.arguments import command
from lamina.cli.each import for_each
from lamina.cli.session import Session

FLAGS: dict[str, tuple[int | str, str]] = {
    "--blkio-weight": (0, "Relative weight of block I/O, 10 to 1000"),
    "--cpu-period": (0, "Period of the CPU limit, in microseconds"),
    "--cpu-quota": (0, "CPU time in each period, in microseconds"),
    "--cpu-rt-period": (0, "Period of the real-time limit, in microseconds"),
    "--cpu-rt-runtime": (0, "Real-time CPU time in each period, in microseconds"),
    "--cpu-shares": (0, "Relative weight of CPU time"),
    "--pids-limit": (0, "Limit of processes; -1 for none"),
    "--cpus": ("", "Number of CPUs, such as 1.5"),
    "--cpuset-cpus": ("", "CPUs to run on: 0-3, 0,1"),
    "--cpuset-mems": ("", "Memory nodes to use: 0-3, 0,1"),
    "--kernel-memory": ("", "Ignored, as by Docker"),
    "--memory": ("", "Limit of memory, such as 512m"),
    "--memory-reservation": ("", "Soft limit of memory"),
    "--memory-swap": ("", "Limit of memory and swap together; -1 for no limit"),
    "--restart": ("", "Restart policy: no, on-failure[:N], always or unless-stopped"),
}
SHORT = {"--cpu-shares": ("-c",), "--memory": ("-m",)}


def _limits(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, (default, text) in FLAGS.items():
        function = click.option(*SHORT.get(name, ()), name, type=type(default), default=default, help=text)(function)
    return function


@command("lamina update -m 512m --cpus 1.5 --restart always app1")
@click.argument(
    "names", nargs=-1, required=True, metavar="CONTAINER [CONTAINER...]", shell_complete=completing.containers
)
@_limits
@click.pass_obj
def update(session: Session, /, names: tuple[str, ...], **flags: Any) -> int:
    """Change the limits or the restart policy of containers."""
    from lamina.api.containers import RestartPolicy, UpdateConfig
    from lamina.cli.run.limits import changeable
    from lamina.cli.run.security import restart_policy

    changes = UpdateConfig(
        blkio_weight=flags["blkio_weight"],
        cpu_realtime_period=flags["cpu_rt_period"],
        cpu_realtime_runtime=flags["cpu_rt_runtime"],
        restart_policy=restart_policy(flags["restart"]) if flags["restart"] else RestartPolicy(),
        **changeable(flags),
    )

    def change(name: str) -> None:
        for warning in session.client.containers.update(name, changes).warnings:
            print(f"WARNING: {warning}", file=sys.stderr)
        print(name)

    return for_each(names, change)
