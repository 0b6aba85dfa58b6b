"""`lamina run` and `lamina create`."""

from __future__ import annotations

from typing import Any

import click

from lamina.cli import completing
from lamina.cli.arguments import command, switch
from lamina.cli.run.flags import container_flags
from lamina.cli.session import Session
from lamina.errors import InvalidInput, LaminaError

image_argument = click.argument("image", shell_complete=completing.images)
rest_argument = click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND] [ARG...]")


@command(
    """
    lamina run -it --rm busybox sh
    lamina run -d --name web -p 8080:80 -v ./site:/srv:ro my-server
    lamina run --rm -m 512m --cpus 1.5 -e MODE=fast my-job --input /data
    """,
    passes_on=True,
)
@container_flags
@switch("-d", "--detach", help="Run in the background and print the container's ID")
@click.option("--detach-keys", default="", metavar="KEYS", help="Keys that leave the container running")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on to the process (default true)")
@image_argument
@rest_argument
@click.pass_obj
def run(session: Session, /, image: str, arguments: tuple[str, ...], **flags: Any) -> int:
    """Create a container from IMAGE and run COMMAND in it.

    The exit code is the command's own; 125 where the engine failed, 126 where the command cannot be invoked, 127
    where it is not found.
    """
    from lamina.cli.run.execute import run as execute

    request, wishes = _request(image, arguments, flags), _wishes(session, flags)
    if wishes.detach:
        request = request.detached()
    return execute(session, request, wishes)


@command(
    """
    lamina create --name app1 my-app
    lamina start -a app1
    """,
    passes_on=True,
)
@container_flags
@image_argument
@rest_argument
@click.pass_obj
def create(session: Session, /, image: str, arguments: tuple[str, ...], **flags: Any) -> None:
    """Create a container from IMAGE without starting it, and print its ID."""
    from lamina.cli.run.execute import ENGINE_FAILED
    from lamina.cli.run.execute import create as make

    request, wishes = _request(image, arguments, flags), _wishes(session, flags)
    try:
        print(make(session, request, wishes))
    except LaminaError as error:
        error.facts["cli_exit"] = ENGINE_FAILED
        raise


def _request(image: str, arguments: tuple[str, ...], flags: dict[str, Any]) -> Any:
    """The request; what is wrong with the flags is a wrong command line, exit code 125."""
    from lamina.cli.run.request import build_request

    try:
        return build_request(image, arguments, flags)
    except InvalidInput as error:
        error.facts["cli_exit"] = 125
        raise


def _wishes(session: Session, flags: dict[str, Any]) -> Any:
    from lamina.cli.run.execute import Wishes

    names = {name: flags[name] for name in Wishes._fields if name in flags}
    wishes = Wishes(**names)
    return wishes._replace(detach_keys=wishes.detach_keys or session.settings.config.text("detachKeys"))
