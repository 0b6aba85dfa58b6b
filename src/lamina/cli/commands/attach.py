"""`lamina attach` and `lamina start`."""

from __future__ import annotations

import click

from lamina.cli import completing
from lamina.cli.arguments import command, switch
from lamina.cli.each import for_each_named
from lamina.cli.session import Session
from lamina.errors import Conflict, InvalidInput

detach_keys_option = click.option("--detach-keys", default="", metavar="KEYS", help="Keys that leave it running")
sig_proxy_option = click.option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on (default true)")


@command("lamina attach --detach-keys ctrl-x app1")
@click.argument("container", shell_complete=completing.running)
@detach_keys_option
@switch("--no-stdin", help="Do not attach stdin")
@sig_proxy_option
@click.pass_obj
def attach(session: Session, container: str, detach_keys: str, no_stdin: bool, sig_proxy: bool) -> int:
    """Attach your terminal to a running container; its exit code becomes yours."""
    found = session.client.containers.get(container)
    if not found.running:
        raise Conflict("cannot attach to a stopped container", advice=f"Start it with `lamina start -a {container}`")
    if found.state == "paused":
        raise Conflict("cannot attach to a paused container", advice=f"See `lamina unpause {container}`")
    stdin = not no_stdin and bool(found["Config"].get("OpenStdin"))
    return _attend(session, found.id, found.tty, stdin, detach_keys, sig_proxy, start=False)


@command("""
    lamina start app1 app2
    lamina start -ai shell1
""")
@click.argument(
    "names", nargs=-1, required=True, metavar="CONTAINER [CONTAINER...]", shell_complete=completing.containers
)
@switch("-a", "--attach", "attach_", help="Attach its output, and pass signals on")
@detach_keys_option
@switch("-i", "--interactive", help="Attach stdin")
@sig_proxy_option
@click.pass_obj
def start(
    session: Session, names: tuple[str, ...], attach_: bool, detach_keys: str, interactive: bool, sig_proxy: bool
) -> int:
    """Start stopped containers."""
    containers = session.client.containers
    if not (attach_ or interactive):
        return for_each_named(names, containers.start)
    if len(names) > 1:
        raise InvalidInput("you cannot start and attach multiple containers at once")
    found = containers.get(names[0])
    stdin = interactive and bool(found["Config"].get("OpenStdin"))
    return _attend(session, found.id, found.tty, stdin, detach_keys, sig_proxy and not found.tty, start=True)


def _attend(
    session: Session, identifier: str, tty: bool, stdin: bool, detach_keys: str, sig_proxy: bool, *, start: bool
) -> int:
    from lamina.cli.run.attached import Attachment, attend, check_terminal, signal_name

    check_terminal(tty, stdin)
    containers = session.client.containers
    keys = detach_keys or session.settings.config.text("detachKeys")
    stream = containers.attach(identifier, stdin=stdin, detach_keys=keys or None, tty=tty)
    attachment = Attachment(
        tty=tty,
        stdin=stdin,
        detach_keys=keys,
        resize=lambda rows, columns: containers.resize(identifier, rows, columns),
        kill=(lambda number: containers.kill(identifier, signal_name(number))) if sig_proxy else None,
    )
    with containers.waiting(identifier, "next-exit" if start else "not-running") as waiting:

        def begin() -> None:
            if start:
                containers.start(identifier)

        return waiting.result() if attend(stream, attachment, begin) else 0
