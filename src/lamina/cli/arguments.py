"""The kinds of flags that commands share, and names that the shell may complete."""

from __future__ import annotations

import sys

from lamina.cli.parsing.declare import integer, option
from lamina.cli.terminal.screen import quoted
from lamina.errors import InvalidInput, LaminaError
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from lamina.cli.parsing.declare import Function
    from lamina.cli.session import Session


def many(*names: str, help: str, **more: Any) -> Callable[[Function], Function]:
    """Return an option that may be given many times. Its value is a tuple of texts."""
    return option(*names, multiple=True, help=help, **more)


def text(*names: str, help: str, default: str = "", **more: Any) -> Callable[[Function], Function]:
    """Return an option with one text."""
    return option(*names, default=default, help=help, **more)


def number(*names: str, help: str, default: int | None = None, **more: Any) -> Callable[[Function], Function]:
    """Return an option with a whole number."""
    return option(*names, convert=integer, default=default, help=help, **more)


def switch(*names: str, help: str, **more: Any) -> Callable[[Function], Function]:
    """Return an option that is on when it is given."""
    return option(*names, is_switch=True, help=help, **{"default": False, **more})


def filters(pairs: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each filter, from `--filter name=value`. Raise InvalidInput for one without `=`."""
    values_by_name: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"bad filter {pair!r}", advice="Write filters as name=value")
        values_by_name.setdefault(name.strip().lower(), []).append(value.strip())
    return values_by_name


def moment(text: str) -> str:
    """Return a time of `--since` or `--until` as the API takes it: Unix seconds with a fraction, or "" for "".

    The client parses it, because a time without a zone means the client's zone. Raise InvalidInput.
    """
    from lamina.formats.times import parse_moment  # `re` patterns that only two commands need

    return "{}.{:09d}".format(*divmod(parse_moment(text), 10**9)) if text else ""


filter_option = option("-f", "--filter", "filter_", multiple=True, metavar="KEY=VALUE", help="Show what matches")
FORMAT_HELP = "Print with a Go template, 'table TEMPLATE' or 'json'"
format_option = option("--format", "format_", default="", metavar="TEMPLATE", help=FORMAT_HELP)
short_format_option = option("-f", "--format", "format_", default="", metavar="TEMPLATE", help=FORMAT_HELP)


def complete_containers(session: Session) -> Iterable[str]:
    """Return the names of all containers."""
    return (str(container.name) for container in session.client.containers.list(all=True))


def complete_running(session: Session) -> Iterable[str]:
    """Return the names of containers that run."""
    return (str(container.name) for container in session.client.containers.list())


def complete_images(session: Session) -> Iterable[str]:
    """Return the names of images."""
    return (tag.removesuffix(":latest") for image in session.client.images.list() for tag in image.tags)


def complete_volumes(session: Session) -> Iterable[str]:
    """Return the names of volumes."""
    return (volume.name for volume in session.client.volumes.list())


def complete_networks(session: Session) -> Iterable[str]:
    """Return the names of networks."""
    return (network.name for network in session.client.networks.list())


def for_each(names: Iterable[str], action: Callable[[str], object], *, forgive: type[LaminaError] | None = None) -> int:
    """Call `action` for each name and print its errors. Return the exit code; errors of kind `forgive` do not count."""
    code = 0
    for name in names:
        try:
            action(name)
        except LaminaError as error:
            sys.stdout.flush()
            prefix = "Error response from daemon: " if error.facts.get("from_daemon") else "lamina: "
            print(f"{prefix}{quoted(str(error))}", file=sys.stderr)
            code = code if forgive is not None and isinstance(error, forgive) else 1
    return code


def for_each_named(names: Iterable[str], action: Callable[[str], object]) -> int:
    """Call `action` for each name, and print each name that succeeded. See `for_each`."""

    def act(name: str) -> None:
        action(name)
        print(name)

    return for_each(names, act)
