"""`attach`: the streams of a container's first process."""

from __future__ import annotations

import socket
import string
from dataclasses import dataclass

from lamina.containers.container import Container
from lamina.containers.lifecycle import Lifecycle
from lamina.errors import InvalidInput

DEFAULT_KEYS = "ctrl-p,ctrl-q"
_CONTROL = string.ascii_lowercase + "@[\\]^_"


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """Which streams; `detach_keys` as people write them ("ctrl-p,ctrl-q", the default)."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    detach_keys: str = ""


def parse_keys(text: str, kind: str = "detach") -> bytes:
    """Return the bytes of a key sequence such as "ctrl-p,ctrl-q" or "a,b". Raise InvalidInput, naming their `kind`."""
    keys = bytearray()
    for key in (text or DEFAULT_KEYS).split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
        elif key.startswith("ctrl-") and len(key) == 6 and key[5] in _CONTROL:
            keys.append(0 if key[5] == "@" else _CONTROL.index(key[5]) + 1 if key[5].isalpha() else ord(key[5]) - 64)
        else:
            raise InvalidInput(f"Invalid {kind} keys ({text}) provided", keys=text)
    return bytes(keys)


def attach(container: Container, lifecycle: Lifecycle, options: AttachOptions) -> socket.socket:
    """Attach to a container that runs or has yet to start; see `runtime.process.Process.attach`.

    Raise Conflict for one that is paused, restarting or cannot take clients.
    """
    keys = parse_keys(options.detach_keys)
    container.check("attach")
    task = lifecycle.prepare(container)
    connection = task.attach(stdin=options.stdin, stdout=options.stdout, stderr=options.stderr, detach_keys=keys)
    container.publish("attach")
    return connection
