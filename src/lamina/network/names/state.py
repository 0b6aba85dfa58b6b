"""What the keeper knows, and each server that it forks inherits: the places, and the sandboxes with their sockets."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lamina.network.names.protocol import Message, Sandbox, load_place, load_sandbox
from lamina.network.names.table import NameTable

_SOCKETS = 2
_SIOCGSKNS = 0x894C  # include/uapi/linux/sockios.h: a descriptor of a socket's network namespace


@dataclass(slots=True)
class Served:
    """A sandbox with its two sockets, and the descriptor of its network namespace (-1: it is never entered)."""

    sandbox: Sandbox
    udp: socket.socket
    tcp: socket.socket
    namespace: int = -1

    def close(self) -> None:
        """Close what is open; a second call does nothing."""
        self.udp.close()
        self.tcp.close()
        self.forget_namespace()

    def namespace_id(self) -> int:
        """Return the inode number of the sandbox's network namespace. Raise OSError."""
        descriptor = fcntl.ioctl(self.udp, _SIOCGSKNS)
        try:
            return os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)

    def forget_namespace(self) -> None:
        """Close the namespace, for a process that may not enter it anyway; a second call does nothing."""
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1


class State:
    """Places and sandboxes, as the engine's messages change them."""

    def __init__(self) -> None:
        self.table = NameTable()
        self.served: dict[str, Served] = {}

    def apply(self, message: Message, descriptors: Sequence[int]) -> None:
        """Do what one message says. Descriptors belong to the state from now on.

        Raise ValueError where a sandbox comes without its sockets: the kernel leaves out what there is no room for.
        """
        match message["op"]:
            case "put":
                self.table.put(load_place(message["place"]))
            case "drop":
                self.table.drop(message["id"])
            case "serve":
                sandbox = load_sandbox(message["sandbox"])
                self._close(sandbox.id)
                if len(descriptors) < _SOCKETS:
                    for descriptor in descriptors:
                        os.close(descriptor)
                    raise ValueError("there is no room for more descriptors")
                udp, tcp, *namespace = descriptors
                sockets = socket.socket(fileno=udp), socket.socket(fileno=tcp)
                self.served[sandbox.id] = Served(sandbox, *sockets, *namespace)
            case "unserve":
                self._close(message["id"])

    def _close(self, sandbox: str) -> None:
        with suppress(KeyError):
            self.served.pop(sandbox).close()


def used_namespaces() -> set[int]:
    """Return the inode numbers of the network namespaces that have a process."""
    numbers = set()
    for process in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):  # it has just ended
            numbers.add(os.stat(f"/proc/{process}/ns/net").st_ino)
    return numbers
