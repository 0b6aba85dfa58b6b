"""Tables of rules that engines left whose data root is gone: nobody will start them again.

Their rules would go on to drop what other engines' bridges send to the same addresses.
"""

from __future__ import annotations

import fcntl
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from lamina.errors import LaminaError
from lamina.network.machine_lock import lock_file
from lamina.network.nft import Nft
from lamina.network.table import removal

_NAME = re.compile(r"^table inet (lamina-\S+)", re.MULTILINE)
_INTERFACE = re.compile(r'"([^"]+)"')


@contextmanager
def swept(nft: Nft, own: str) -> Iterator[None]:
    """Delete abandoned tables, then keep other engines from that while the block runs.

    The block may make the table `own` before its bridges. Nothing is deleted while another engine is in its block.
    """
    with lock_file("lamina-tables") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another engine starts: the next one sweeps
            pass
        else:
            _sweep(nft, own)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


def _sweep(nft: Nft, own: str) -> None:
    for name in _NAME.findall(nft.run("list tables inet\n")):
        if name != own and _is_abandoned(nft, name):
            nft.run(removal(name))  # its engine may be closing just now, and may have removed it


def _is_abandoned(nft: Nft, table: str) -> bool:
    """Return whether a table names bridges, and none of them exists."""
    try:
        bridges = _INTERFACE.findall(nft.run(f"list set inet {table} bridges\n"))
    except LaminaError:  # it is another kind of table, or has just gone
        return False
    present = {name for _, name in socket.if_nameindex()}
    return bool(bridges) and present.isdisjoint(bridges)
