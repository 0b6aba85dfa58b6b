"""What systemd tells a service by its environment: sockets that it holds, and where to report (sd_listen_fds(3),
sd_notify(3))."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from lamina.errors import Unavailable

_FIRST_PASSED = 3  # where the descriptors begin


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """`notify` is the path of the socket for reports, "" for none; `passed` are descriptors of listening sockets."""

    notify: str = ""
    passed: tuple[int, ...] = ()

    @staticmethod
    def take() -> ServiceManager:
        """Read the variables and remove them, so that no program of ours believes them meant for itself.

        An OCI runtime that finds NOTIFY_SOCKET waits until its container reports there, and most never do.
        """
        pid, count, _ = (os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
        number = int(count) if pid == str(os.getpid()) and count.isdecimal() else 0
        passed = tuple(range(_FIRST_PASSED, _FIRST_PASSED + number))
        for descriptor in passed:
            os.set_inheritable(descriptor, False)
        return ServiceManager(os.environ.pop("NOTIFY_SOCKET", ""), passed)

    def sockets(self) -> list[socket.socket]:
        """Return the sockets for `-H fd://`. Raise Unavailable without any."""
        if not self.passed:
            raise Unavailable(
                "no sockets were passed to the daemon", advice="-H fd:// works below a systemd socket unit"
            )
        return [socket.socket(fileno=descriptor) for descriptor in self.passed]

    def tell(self, message: str) -> None:
        """Report a state such as READY=1; nothing happens where nobody asked for reports."""
        if self.notify:
            address = "\0" + self.notify[1:] if self.notify.startswith("@") else self.notify
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reports:
                reports.sendto(message.encode(), address)
