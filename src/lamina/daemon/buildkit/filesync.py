"""Files over a session: a client's folder into a tree.

Rule: tonistiigi/fsutil, send.go and receive.go. The sender lists its files, and an empty entry ends the list. The
receiver asks for files by their place in it; pieces of several files come mixed, and an empty one ends a file.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from lamina.builder.context.saved_files import SavedContexts
from lamina.cancellation import Cancellation
from lamina.daemon.buildkit.context_tree import ContextTree, Incoming
from lamina.daemon.buildkit.messages.session import (
    PACKET_DATA,
    PACKET_END,
    PACKET_ERROR,
    PACKET_REQUEST,
    PACKET_STAT,
    Packet,
    Piece,
    Stat,
)
from lamina.daemon.buildkit.sessions import Session, SessionCall
from lamina.daemon.buildkit.streams import Headers
from lamina.errors import InvalidInput, Unavailable
from lamina.progress import Report, Status, ignore

_RECEIVE = "/moby.filesync.v1.FileSync/DiffCopy"
TRANSFERRING = "transferring"  # what is told of a transfer
_TOLD_EACH = 1 << 20  # bytes
_ASKED = 100  # files asked for at once: the client keeps 128 waiting, and then neither reads nor writes


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a folder a client is asked for: without `include` and `follow` all that `exclude` leaves."""

    folder: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()

    def metadata(self) -> Headers:
        """Return the selection as headers. Rule: moby/buildkit, session/filesync, encodeOpts."""
        headers: list[tuple[str, str]] = []
        lists = {"dir-name": (self.folder,), "include-patterns": self.include}
        lists |= {"exclude-patterns": self.exclude, "followpaths": self.follow}
        for name, values in lists.items():
            if all(value.isascii() for value in values):
                headers += [(name, value) for value in values]
            else:
                headers += [(name, quote_plus(os.fsencode(value))) for value in values]
                headers.append((f"{name}-encoded", "1"))
        return headers


def receive_files(
    session: Session,
    selection: Selection,
    temporary: Path,
    cancellation: Cancellation,
    saved_contexts: SavedContexts | None = None,
    report: Report = ignore,
) -> ContextTree:
    """Return the files of a client's folder. The caller closes the tree.

    `report` hears how many bytes have come. With `saved_contexts`, files that are there from an earlier transfer are
    not sent again, if they have the same size, time and mode. Raise InvalidInput or TooLarge for a listing that cannot
    be, NotFound for a folder that the client does not offer, Unavailable when it goes away, Cancelled.
    """
    if saved_contexts is None or not session.shared_key:
        return _receive(session, selection, ContextTree(temporary), cancellation, report)
    name = f"{session.shared_key}\0{selection.folder}"
    with saved_contexts.use(name) as saved:
        tree = _receive(session, selection, ContextTree(temporary, saved), cancellation, report)
        if saved is not None:
            saved_contexts.save(name, saved, tree.rows)
        return tree


def _receive(
    session: Session, selection: Selection, tree: ContextTree, cancellation: Cancellation, report: Report
) -> ContextTree:
    try:
        with session.call(_RECEIVE, cancellation, selection.metadata()) as call:
            receiver = _Receiver(call, tree, lambda size: report(Status(TRANSFERRING, selection.folder, size)))
            receiver.run()
        return tree
    except BaseException:
        tree.close()
        raise


class _Receiver:
    """One transfer from the client."""

    def __init__(self, call: SessionCall, tree: ContextTree, tell: Callable[[int], None]) -> None:
        """`tell` hears how many bytes have come."""
        self._call = call
        self._tell = tell
        self._bytes = self._told = 0
        self._tree = tree
        self._count = 0
        self._listed = False
        self._over = False
        self._pending: deque[tuple[int, Stat]] = deque()
        self._incoming: dict[int, tuple[Incoming, Stat]] = {}

    def run(self) -> None:
        """Receive until both sides have said that all is done."""
        while not self._over:
            batch = self._call.receive()
            if not batch:
                self._call.finish()
                raise Unavailable("the client stopped sending the build context in the middle")
            for raw in batch:
                self._take(Packet.decode(raw))
            self._ask()
        self._tree.seal()
        self._call.finish()
        self._tell(self._bytes)

    def _take(self, packet: Packet) -> None:
        match packet.type:
            case t if t == PACKET_STAT and packet.stat is not None and packet.stat.path:
                self._list(packet.stat)
            case t if t == PACKET_STAT:
                self._listed = True
            case t if t == PACKET_DATA:
                self._data(packet)
            case t if t == PACKET_END:
                self._over = True
            case t if t == PACKET_ERROR:
                raise InvalidInput(f"the client cannot send its files: {packet.data.decode(errors='replace')}")
            case _:
                raise InvalidInput(f"the client sent a packet of the unknown type {packet.type}")

    def _list(self, stat: Stat) -> None:
        if self._listed:
            raise InvalidInput("the client listed a file behind the end of its list")
        if self._tree.add(stat):
            self._pending.append((self._count, stat))
        self._count += 1

    def _data(self, packet: Packet) -> None:
        if packet.id not in self._incoming:
            raise InvalidInput("the client sent a file that it was not asked for")
        incoming, stat = self._incoming[packet.id]
        if packet.data:
            self._tree.write(incoming, packet.data)
            self._bytes += len(packet.data)
            if self._bytes - self._told >= _TOLD_EACH:
                self._told = self._bytes
                self._tell(self._bytes)
        else:
            self._tree.end(incoming, stat)
            del self._incoming[packet.id]

    def _ask(self) -> None:
        requests = []
        while self._pending and len(self._incoming) < _ASKED:
            number, stat = self._pending.popleft()
            self._incoming[number] = (self._tree.begin(stat), stat)
            requests.append(Packet(PACKET_REQUEST, id=number))
        if self._listed and not self._pending and not self._incoming:
            if not self._over:
                requests.append(Packet(PACKET_END))
            self._listed = False  # say it once
        if requests:
            self._call.send(*requests)


class StreamReader:
    """Read bytes that the client sends as messages. `data_of` returns the bytes in one."""

    def __init__(
        self, call: SessionCall, data_of: Callable[[bytes], bytes] = lambda raw: Piece.decode(raw).data
    ) -> None:
        self._call = call
        self._data_of = data_of
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end. Raise Cancelled, Unavailable, and the client's error."""
        while not self._rest:
            batch = self._call.receive()
            if not batch:
                self._call.check()
                return b""
            self._rest = b"".join(map(self._data_of, batch))
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
