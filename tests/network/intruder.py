"""A program that tries without pause to connect to a place, until its standard input ends; prints how often it could.

Connections are tried in bunches that overlap, so that no moment passes in which none is under way.
"""

from __future__ import annotations

import select
import socket
import sys
import time

_TOGETHER = 32
_PATIENCE = 0.01  # seconds that one connection may take


def main(host: str, port: int) -> None:
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    trying: dict[int, tuple[socket.socket, float]] = {}
    entered = tried = 0
    print("ready", flush=True)
    while True:
        while len(trying) < _TOGETHER:
            attempt = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            attempt.setblocking(False)
            attempt.connect_ex((host, port))
            poll.register(attempt, select.POLLOUT)
            trying[attempt.fileno()] = (attempt, time.monotonic())
            tried += 1
        for descriptor, event in poll.poll(1):
            if descriptor == sys.stdin.fileno():
                print(entered, tried)
                return
            attempt, _ = trying.pop(descriptor)
            poll.unregister(attempt)
            entered += event == select.POLLOUT
            attempt.close()
        late = time.monotonic() - _PATIENCE
        for descriptor in [descriptor for descriptor, (_, since) in trying.items() if since < late]:
            attempt, _ = trying.pop(descriptor)
            poll.unregister(attempt)
            attempt.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
