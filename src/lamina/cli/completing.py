"""What the shell offers in the place of an argument: names that the daemon knows, where it is up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from lamina.cli.session import Session
from lamina.errors import LaminaError
from lamina.formats.printable import printable

Names = Callable[[Session], Iterable[str]]
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names: Names) -> Completer:
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            with Session(ctx.find_root().params) as session:
                if session.settings.is_default and not session.is_up:
                    return []  # pressing Tab must not start a daemon
                fitting = (name for name in names(session) if name.startswith(incomplete))
                return sorted(name for name in fitting if name == printable(name))  # the shell would show it
        except LaminaError:
            return []

    return complete


containers = _completer(lambda session: [c.name for c in session.client.containers.list(all=True)])
running = _completer(lambda session: [c.name for c in session.client.containers.list()])
images = _completer(
    lambda session: [tag.removesuffix(":latest") for image in session.client.images.list() for tag in image.tags]
)
volumes = _completer(lambda session: [volume.name for volume in session.client.volumes.list()])
networks = _completer(lambda session: [network.name for network in session.client.networks.list()])
