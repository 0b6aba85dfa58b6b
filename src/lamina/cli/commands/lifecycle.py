"""`lamina stop`, `restart`, `kill`, `pause`, `unpause`, `rename`, `wait` and `rm`."""

from __future__ import annotations

import click

from lamina.cli import completing
from lamina.cli.arguments import command, switch
from lamina.cli.each import for_each, for_each_named
from lamina.cli.session import Session
from lamina.errors import NotFound

containers_argument = click.argument(
    "names", nargs=-1, required=True, metavar="CONTAINER [CONTAINER...]", shell_complete=completing.containers
)
signal_option = click.option("-s", "--signal", default=None, help="Signal to send to the container")


@command("lamina stop -t 3 app1")
@containers_argument
@signal_option
@click.option("-t", "--timeout", "--time", type=int, default=None, metavar="SECONDS", help="Wait before killing")
@click.pass_obj
def stop(session: Session, names: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Stop running containers."""
    containers = session.client.containers
    return for_each_named(names, lambda name: containers.stop(name, timeout=timeout, signal=signal))


@command("lamina restart app1 app2")
@containers_argument
@signal_option
@click.option("-t", "--timeout", "--time", type=int, default=None, metavar="SECONDS", help="Wait before killing")
@click.pass_obj
def restart(session: Session, names: tuple[str, ...], signal: str | None, timeout: int | None) -> int:
    """Restart containers."""
    containers = session.client.containers
    return for_each_named(names, lambda name: containers.restart(name, timeout=timeout, signal=signal))


@command("lamina kill -s HUP app1")
@containers_argument
@click.option("-s", "--signal", default="KILL", help="Signal to send (default KILL)")
@click.pass_obj
def kill(session: Session, names: tuple[str, ...], signal: str) -> int:
    """Send a signal to running containers."""
    return for_each_named(names, lambda name: session.client.containers.kill(name, signal))


@command("lamina pause app1")
@containers_argument
@click.pass_obj
def pause(session: Session, names: tuple[str, ...]) -> int:
    """Pause all processes of containers."""
    return for_each_named(names, session.client.containers.pause)


@command("lamina unpause app1")
@containers_argument
@click.pass_obj
def unpause(session: Session, names: tuple[str, ...]) -> int:
    """Let all processes of paused containers go on."""
    return for_each_named(names, session.client.containers.unpause)


@command("lamina rename app1 old-app1")
@click.argument("container", shell_complete=completing.containers)
@click.argument("new_name")
@click.pass_obj
def rename(session: Session, container: str, new_name: str) -> None:
    """Rename a container."""
    session.client.containers.rename(container, new_name)


@command("lamina wait job")
@containers_argument
@click.pass_obj
def wait(session: Session, names: tuple[str, ...]) -> int:
    """Block until containers stop, then print their exit codes."""
    return for_each(names, lambda name: print(session.client.containers.wait(name), flush=True))


@command("""
    lamina rm app1
    lamina rm -fv $(lamina ps -aq)
""")
@containers_argument
@switch("-f", "--force", help="Kill it first where it runs; an unknown one is no error")
@switch("-l", "--link", help="Remove the link of this name")
@switch("-v", "--volumes", help="Remove its anonymous volumes too")
@click.pass_obj
def rm(session: Session, names: tuple[str, ...], force: bool, link: bool, volumes: bool) -> int:
    """Remove containers."""
    containers = session.client.containers

    def remove(name: str) -> None:
        containers.remove(name, force=force, volumes=volumes, link=link)
        print(name)

    return for_each(names, remove, forgive=NotFound if force else None)
