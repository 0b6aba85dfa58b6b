"""`lamina attach`, `start` and `exec`."""

from __future__ import annotations

from lamina.cli.arguments import complete_containers, complete_running, for_each_named, many, switch
from lamina.cli.key_values import environment
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.terminal.attach import Attachment, attend, check_terminal, exit_code, signal_name
from lamina.errors import Conflict, InvalidInput
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lamina.cli.session import Session

detach_keys_option = option("--detach-keys", default="", metavar="KEYS", help="Keys that leave it running")
sig_proxy_option = option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on (default true)")


@command("lamina attach --detach-keys ctrl-x app1")
@argument("container", complete=complete_running)
@detach_keys_option
@switch("--no-stdin", help="Do not attach stdin")
@sig_proxy_option
def attach(session: Session, container: str, detach_keys: str, no_stdin: bool, sig_proxy: bool) -> int:
    """Attach your terminal to a running container; its exit code becomes yours."""
    details = session.client.containers.get(container)
    if not details.running:
        raise Conflict("cannot attach to a stopped container", advice=f"Start it with `lamina start -a {container}`")
    if details.state.status == "paused":
        raise Conflict("cannot attach to a paused container", advice=f"See `lamina unpause {container}`")
    stdin = not no_stdin and bool(details["Config"].get("OpenStdin"))
    return _attend(session, details.id, details.tty, stdin, detach_keys, sig_proxy, start=False)


@command("""
    lamina start app1 app2
    lamina start -ai shell1
""")
@argument("names", many=True, metavar="CONTAINER [CONTAINER...]", complete=complete_containers)
@switch("-a", "--attach", "attach_", help="Attach its output, and pass signals on")
@detach_keys_option
@switch("-i", "--interactive", help="Attach stdin")
@sig_proxy_option
def start(
    session: Session, names: tuple[str, ...], attach_: bool, detach_keys: str, interactive: bool, sig_proxy: bool
) -> int:
    """Start stopped containers."""
    containers = session.client.containers
    if not (attach_ or interactive):
        return for_each_named(names, containers.start)
    if len(names) > 1:
        raise InvalidInput("you cannot start and attach multiple containers at once")
    details = containers.get(names[0])
    stdin = interactive and bool(details["Config"].get("OpenStdin"))
    return _attend(session, details.id, details.tty, stdin, detach_keys, sig_proxy and not details.tty, start=True)


def _attend(
    session: Session, identifier: str, tty: bool, stdin: bool, detach_keys: str, sig_proxy: bool, *, start: bool
) -> int:

    check_terminal(tty, stdin)
    containers = session.client.containers
    keys = detach_keys or session.settings.config.text("detachKeys")
    stream = containers.attach(identifier, stdin=stdin, detach_keys=keys, tty=tty)
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

        return exit_code(waiting) if attend(stream, attachment, begin) else 0


@command(
    """
    lamina exec -it app1 sh
    lamina exec -e DEBUG=1 -w /srv app1 ls -l
    """,
    passes_on=True,
)
@switch("-d", "--detach", help="Run in the background")
@option("--detach-keys", default="", metavar="KEYS", help="Keys that leave the command running")
@many("-e", "--env", metavar="NAME=VALUE", help="Set environment variables")
@many("--env-file", metavar="FILE", help="Read environment variables from a file")
@switch("-i", "--interactive", help="Keep stdin open")
@switch("--privileged", help="Give the command extended privileges")
@switch("-t", "--tty", help="Give it a terminal")
@option("-u", "--user", default="", metavar="USER[:GROUP]", help="User name or number, and group")
@option("-w", "--workdir", default="", metavar="DIR", help="Working directory inside the container")
@argument("container", complete=complete_running)
@argument("arguments", many=True, metavar="COMMAND [ARG...]")
def exec_(session: Session, /, container: str, arguments: tuple[str, ...], **flags: Any) -> int:
    """Execute COMMAND in a running container; its exit code becomes yours."""
    tty, stdin, detach = flags["tty"], flags["interactive"], flags["detach"]
    if not detach:
        check_terminal(tty, stdin)
    keys = flags["detach_keys"] or session.settings.config.text("detachKeys")
    containers = session.client.containers
    exec_id = containers.exec_request(container, _request(arguments, flags, keys))
    if detach:
        containers.exec_detached(exec_id)
        return 0
    stream = containers.exec_start(exec_id, tty=tty)
    attachment = Attachment(
        tty=tty,
        stdin=stdin,
        detach_keys=keys,
        resize=lambda rows, columns: containers.exec_resize(exec_id, rows, columns),
        kill=None,
    )
    if not attend(stream, attachment, begin=None):
        return 0
    return containers.exec_inspect(exec_id).exit_code or 0


def _request(arguments: tuple[str, ...], flags: Mapping[str, Any], keys: str) -> dict[str, object]:
    """Return the request of the API; what it leaves out is false or empty there."""
    attached = not flags["detach"]
    request = {
        "Cmd": arguments,
        "Tty": flags["tty"],
        "AttachStdin": flags["interactive"] and attached,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Env": environment(flags["env_file"], flags["env"]),
        "Privileged": flags["privileged"],
        "User": flags["user"],
        "WorkingDir": flags["workdir"],
        "DetachKeys": keys,
    }
    return {name: value for name, value in request.items() if value}
