"""`lamina run` and `lamina create`."""

from __future__ import annotations

from lamina.cli.arguments import complete_images, switch
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.run.flags import container_flags
from lamina.errors import InvalidInput, LaminaError
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lamina.cli.run.container_life import ClientFlags
    from lamina.cli.run.request import Request
    from lamina.cli.session import Session

image_argument = argument("image", complete=complete_images)
rest_argument = argument("arguments", many=True, required=False, metavar="[COMMAND] [ARG...]")


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
@option("--detach-keys", default="", metavar="KEYS", help="Keys that leave the container running")
@option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on to the process (default true)")
@switch("--timings", help="Print to standard error how long each phase took")
@image_argument
@rest_argument
def run(session: Session, /, image: str, arguments: tuple[str, ...], **flags: Any) -> int:
    """Create a container from IMAGE and run COMMAND in it.

    The exit code is the command's own; 125 where the engine failed, 126 where the command cannot be invoked, 127
    where it is not found.
    """
    from lamina.cli.run.container_life import run_container

    request, options = _request(image, arguments, flags), _client_flags(session, flags)
    if options.detach:
        request = request.detached()
    return run_container(session, request, options)


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
def create(session: Session, /, image: str, arguments: tuple[str, ...], **flags: Any) -> None:
    """Create a container from IMAGE without starting it, and print its ID."""
    from lamina.cli.run.container_life import ENGINE_FAILED, create_container

    request, options = _request(image, arguments, flags), _client_flags(session, flags)
    try:
        print(create_container(session, request, options))
    except LaminaError as error:
        error.facts["cli_exit"] = ENGINE_FAILED
        raise


def _request(image: str, arguments: tuple[str, ...], flags: dict[str, Any]) -> Request:
    """Return the request. A wrong flag is a wrong command line, with exit code 125."""
    from lamina.cli.run.request import build_request

    try:
        return build_request(image, arguments, flags)
    except InvalidInput as error:
        error.facts["cli_exit"] = 125
        raise


def _client_flags(session: Session, flags: dict[str, Any]) -> ClientFlags:
    from lamina.cli.run.container_life import ClientFlags

    options = ClientFlags(**{name: flags[name] for name in ClientFlags._fields if name in flags})
    return options._replace(detach_keys=options.detach_keys or session.settings.config.text("detachKeys"))
