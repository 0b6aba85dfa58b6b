"""`lamina stop`, `restart`, `kill`, `pause`, `unpause`, `rename`, `wait`, `rm` and `update`."""

from __future__ import annotations

import sys

from lamina.cli.arguments import complete_containers, for_each, for_each_named, switch, text
from lamina.cli.parsing.declare import argument, command, integer, option
from lamina.cli.run.flags import limit_flags
from lamina.errors import NotFound
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lamina.cli.session import Session

containers_argument = argument("names", many=True, metavar="CONTAINER [CONTAINER...]", complete=complete_containers)
signal_option = option("-s", "--signal", default=None, help="Signal to send to the container")


@command("lamina stop -t 3 app1")
@containers_argument
@signal_option
@option("-t", "--timeout", "--time", convert=integer, default=None, metavar="SECONDS", help="Wait before killing")
def stop(session: Session, names: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Stop running containers."""
    containers = session.client.containers
    return for_each_named(names, lambda name: containers.stop(name, timeout=timeout, signal=signal or ""))


@command("lamina restart app1 app2")
@containers_argument
@signal_option
@option("-t", "--timeout", "--time", convert=integer, default=None, metavar="SECONDS", help="Wait before killing")
def restart(session: Session, names: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Restart containers."""
    containers = session.client.containers
    return for_each_named(names, lambda name: containers.restart(name, timeout=timeout, signal=signal or ""))


@command("lamina kill -s HUP app1")
@containers_argument
@option("-s", "--signal", default="KILL", help="Signal to send (default KILL)")
def kill(session: Session, names: tuple[str, ...], signal: str) -> int:
    """Send a signal to running containers."""
    return for_each_named(names, lambda name: session.client.containers.kill(name, signal))


@command("lamina pause app1")
@containers_argument
def pause(session: Session, names: tuple[str, ...]) -> int:
    """Pause all processes of containers."""
    return for_each_named(names, session.client.containers.pause)


@command("lamina unpause app1")
@containers_argument
def unpause(session: Session, names: tuple[str, ...]) -> int:
    """Let all processes of paused containers go on."""
    return for_each_named(names, session.client.containers.unpause)


@command("lamina rename app1 old-app1")
@argument("container", complete=complete_containers)
@argument("new_name")
def rename(session: Session, container: str, new_name: str) -> None:
    """Rename a container."""
    session.client.containers.rename(container, new_name)


@command("lamina wait job")
@containers_argument
def wait(session: Session, names: tuple[str, ...]) -> int:
    """Block until containers stop, then print their exit codes."""
    return for_each(names, lambda name: print(session.client.containers.wait(name).exit_code, flush=True))


@command("""
    lamina rm app1
    lamina rm -fv $(lamina ps -aq)
""")
@containers_argument
@switch("-f", "--force", help="Kill it first where it runs; an unknown one is no error")
@switch("-l", "--link", help="Remove the link of this name")
@switch("-v", "--volumes", help="Remove its anonymous volumes too")
def rm(session: Session, names: tuple[str, ...], force: bool, link: bool, volumes: bool) -> int:
    """Remove containers."""
    containers = session.client.containers

    def remove(name: str) -> None:
        containers.remove(name, force=force, volumes=volumes, link=link)
        print(name)

    return for_each(names, remove, forgive=NotFound if force else None)


@command("lamina update -m 512m --cpus 1.5 --restart always app1")
@containers_argument
@limit_flags(
    "blkio_weight",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset_cpus",
    "cpuset_mems",
    "kernel_memory",
    "memory",
    "memory_reservation",
    "memory_swap",
    "pids_limit",
)
@text("--restart", metavar="POLICY", help="Restart policy: no, on-failure[:N], always or unless-stopped")
def update(session: Session, /, names: tuple[str, ...], **flags: Any) -> int:
    """Change the limits or the restart policy of containers."""
    import msgspec

    from lamina.api.containers import RestartPolicy, UpdateConfig
    from lamina.cli.run.limits import read_limits
    from lamina.cli.run.request import restart_policy

    policy = restart_policy(flags["restart"]) if flags["restart"] else {}
    changes = UpdateConfig(restart_policy=msgspec.convert(policy, RestartPolicy), **read_limits(flags))

    def change(name: str) -> None:
        for warning in session.client.containers.update(name, changes):
            print(f"WARNING: {warning}", file=sys.stderr)
        print(name)

    return for_each(names, change)
