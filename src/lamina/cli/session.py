"""What every command has at hand: the settings, and the client of the daemon they name."""

from __future__ import annotations

import sys

from lamina.light import TYPE_CHECKING, cached_property

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lamina.cli.settings import Settings
    from lamina.client.client import Client


class Session:
    """The first argument of a command. Settings and client are made on first use."""

    def __init__(self, flags: Mapping[str, Any]) -> None:
        self._flags = flags

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *unused: object) -> None:
        if "client" in self.__dict__:
            self.client.close()

    @cached_property
    def settings(self) -> Settings:
        """Return the settings from flags, environment and config.json. Raise InvalidInput for a contradiction.

        An unreadable config.json is reported on stderr and ignored.
        """
        from lamina.cli.settings import read_settings

        settings = read_settings(self._flags)
        if settings.config.problem:
            print(f"WARNING: Error loading config file: {settings.config.problem}", file=sys.stderr)
        return settings

    @property
    def is_up(self) -> bool:
        """Return whether the default daemon listens already."""
        from lamina.cli.start_daemon import listens

        return listens(self.settings.address.path)

    @cached_property
    def client(self) -> Client:
        """Return the daemon's client. Start the default daemon if it is down."""
        from lamina.client.client import Client

        settings = self.settings
        if settings.is_default:
            from lamina.cli.start_daemon import ensure_running

            ensure_running(settings.address.path)
        return Client(settings.address, tls=settings.tls, version=settings.version, headers=settings.headers)
