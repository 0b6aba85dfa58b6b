"""A program that sends junk, half-broken and real questions to the name server, until it has sent its share.

Its arguments: how many packets, a seed, and names to ask for, among them some that it must not learn. After each
fifty packets it waits for the answer to a real question, so that the server has read the others. It prints what it
received that looks like an answer with records: the name asked for and the address, one a line.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from support import dns

_TOGETHER = 50
_TRIES = 10
_TYPES = (dns.A, dns.AAAA, dns.PTR, dns.TXT, dns.SRV, dns.ANY, 0, 65535)


def broken(raw: bytes, chance: random.Random) -> bytes:
    """A question with a few bytes changed, cut off, doubled, or with another's tail."""
    data = bytearray(raw)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(data)) if data else 0
        match chance.randrange(5):
            case 0:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[place:]
            case 2:
                data[place:place] = data[chance.randrange(len(data) or 1) :]
            case 3:
                data[place : place + 2] = bytes([0xC0, chance.randrange(256)])
            case 4:
                data += chance.randbytes(chance.randrange(40))
    return bytes(data)


def packet(names: Sequence[str], chance: random.Random) -> bytes:
    name = chance.choice(names)
    raw = dns.question(name, chance.choice(_TYPES), id=chance.randrange(65536), edns=chance.choice([0, 0, 4096]))
    kind = chance.randrange(10)
    if kind == 0:
        return chance.randbytes(chance.randrange(1500))
    if kind == 1:
        return chance.randbytes(chance.randrange(4000, 9000))
    return broken(raw, chance) if kind < 8 else raw


def note(raw: bytes, learned: set[str]) -> None:
    with suppress(AssertionError, IndexError, ValueError):  # an answer to a broken question may repeat no question
        answer = dns.parse(raw)
        learned.update(f"{answer.question} {data!r}" for data in answer.data)


def wait_for_answer(client: socket.socket, raw: bytes, learned: set[str]) -> None:
    """Ask a question, again after each second as resolvers do, until it is answered; note what comes before that."""
    for _ in range(_TRIES):
        client.send(raw)
        with suppress(TimeoutError):
            while (received := client.recv(65535))[:2] != raw[:2] or received[12 : len(raw)] != raw[12:]:
                note(received, learned)
            return
    sys.exit("the name server does not answer")


def main(count: int, seed: int, names: Sequence[str]) -> None:
    chance, learned = random.Random(seed), set[str]()
    client = socket.socket(type=socket.SOCK_DGRAM)
    client.settimeout(1)
    client.connect((dns.SERVER, 53))
    for burst in range(count // _TOGETHER):
        for _ in range(_TOGETHER):
            client.send(packet(names, chance))
        wait_for_answer(client, dns.question(names[0], dns.TXT, id=burst), learned)
    print("\n".join(sorted(learned)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
