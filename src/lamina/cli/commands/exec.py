"""`lamina exec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from lamina.cli import completing
from lamina.cli.arguments import command, many, switch
from lamina.cli.session import Session
from lamina.progress import ignore

if TYPE_CHECKING:
    from lamina.api.containers import ExecConfig


@command(
    """
    lamina exec -it app1 sh
    lamina exec -e DEBUG=1 -w /srv app1 ls -l
    """,
    passes_on=True,
    name="exec",
)
@switch("-d", "--detach", help="Run in the background")
@click.option("--detach-keys", default="", metavar="KEYS", help="Keys that leave the command running")
@many("-e", "--env", metavar="NAME=VALUE", help="Set environment variables")
@many("--env-file", metavar="FILE", help="Read environment variables from a file")
@switch("-i", "--interactive", help="Keep stdin open")
@switch("--privileged", help="Give the command extended privileges")
@switch("-t", "--tty", help="Give it a terminal")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User name or number, and group")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Working directory inside the container")
@click.argument("container", shell_complete=completing.running)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARG...]")
@click.pass_obj
def exec_(session: Session, /, container: str, arguments: tuple[str, ...], **flags: Any) -> int:
    """Execute COMMAND in a running container; its exit code becomes yours."""
    from lamina.cli.run.attached import Attachment, attend, check_terminal

    tty, stdin, detach = flags["tty"], flags["interactive"], flags["detach"]
    if not detach:
        check_terminal(tty, stdin)
    keys = flags["detach_keys"] or session.settings.config.text("detachKeys")
    containers = session.client.containers
    prepared = containers.exec_create(container, _config(arguments, flags, keys))
    if detach:
        containers.exec_detached(prepared.id, tty=tty)
        return 0
    stream = containers.exec_start(prepared.id, tty=tty)
    attachment = Attachment(
        tty=tty,
        stdin=stdin,
        detach_keys=keys,
        resize=lambda rows, columns: containers.exec_resize(prepared.id, rows, columns),
        kill=None,
    )
    if not attend(stream, attachment, ignore):
        return 0
    return int(containers.exec_inspect(prepared.id).get("ExitCode") or 0)


def _config(arguments: tuple[str, ...], flags: Mapping[str, Any], keys: str) -> ExecConfig:
    from lamina.api.containers import ExecConfig
    from lamina.cli.pairs import environment

    attached = not flags["detach"]
    return ExecConfig(
        cmd=arguments,
        tty=flags["tty"],
        attach_stdin=flags["interactive"] and attached,
        attach_stdout=attached,
        attach_stderr=attached,
        env=tuple(environment(flags["env_file"], flags["env"])),
        privileged=flags["privileged"],
        user=flags["user"],
        working_dir=flags["workdir"],
        detach_keys=keys,
    )
