"""The answers that the table gives. All other questions are for other servers."""

from __future__ import annotations

import random
from contextlib import suppress

from lamina.network.names import message
from lamina.network.names.message import Query, Record
from lamina.network.names.table import Addresses, NameTable

_TTL = 600  # seconds, as dockerd


def local_answer(table: NameTable, sandbox: str, query: Query, limit: int) -> bytes | None:
    """Return the answer, of at most `limit` bytes, to a question about a name that the asker may know; else None.

    A known name without records of the type has an empty answer, so that nobody is asked about it outside.
    """
    if query.kind != message.INTERNET:
        return None
    if query.type == message.PTR:
        records = _pointer(table, sandbox, query)
    else:
        addresses = table.addresses(sandbox, query.name)
        records = None if addresses is None else _records(addresses, query.type)
    return None if records is None else message.write_answer(query, records, limit)


def _records(addresses: Addresses, type: int) -> list[Record]:
    """Return the records of a type, in another order each time, so that clients spread over them."""
    families = ((message.A, addresses.ipv4), (message.AAAA, addresses.ipv6))
    return [
        Record(kind, _TTL, address)
        for kind, family in families
        if type in (kind, message.ANY)
        for address in random.sample(family, len(family))
    ]


def _pointer(table: NameTable, sandbox: str, query: Query) -> list[Record] | None:
    name = table.name_of(sandbox, query.name)
    if name is not None:
        with suppress(ValueError):  # the network has a name that cannot be sent
            return [Record(message.PTR, _TTL, message.write_name(name))]
    return None


def empty_answer(query: Query) -> bytes:
    """Return an answer without records."""
    return message.write_answer(query, [], message.PLAIN_SIZE)
