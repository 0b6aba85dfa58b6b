"""Files over a session: a client's folder into a tree, and a tree into a client's folder.

Rule: tonistiigi/fsutil, send.go and receive.go. The sender lists its files, and an empty entry ends the list. The
receiver asks for files by their place in it; pieces of several files come mixed, and an empty one ends a file.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from lamina.builder.context.saved_files import SavedContexts
from lamina.cancellation import Cancellation
from lamina.daemon.buildkit.context_tree import ContextTree, Incoming, go_mode
from lamina.daemon.buildkit.http2 import Headers
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
from lamina.errors import InvalidInput, NotFound, Unavailable
from lamina.layers.tree import Node, Tree, walk

RECEIVE = "/moby.filesync.v1.FileSync/DiffCopy"
SEND = "/moby.filesync.v1.FileSend/DiffCopy"
_ASKED = 100  # files asked for at once: the client keeps 128 waiting, and then neither reads nor writes
_PIECE = 32 << 10  # bytes of a file in one packet, as fsutil sends them
_BATCH = 64  # packets sent at once
_MESSAGE = 1 << 20  # bytes of a stream in one message: gRPC's clients take no more than four times as many


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a folder a client is asked for. Without `follow` all that `exclude` leaves."""

    folder: str
    exclude: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()

    def metadata(self) -> Headers:
        """Return the selection as headers. Rule: moby/buildkit, session/filesync, encodeOpts."""
        headers: list[tuple[str, str]] = []
        lists = {"dir-name": (self.folder,), "exclude-patterns": self.exclude, "followpaths": self.follow}
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
) -> ContextTree:
    """Return the files of a client's folder. The caller closes the tree.

    With `saved_contexts`, files that are there from an earlier transfer are not sent again, if they have the same
    size, time and mode. Raise InvalidInput or TooLarge for a listing that cannot be, NotFound for a folder that the
    client does not offer, Unavailable when it goes away, Cancelled.
    """
    if saved_contexts is None or not session.shared_key:
        return _receive(session, selection, ContextTree(temporary), cancellation)
    name = f"{session.shared_key}\0{selection.folder}"
    with saved_contexts.use(name) as saved:
        tree = _receive(session, selection, ContextTree(temporary, saved), cancellation)
        if saved is not None:
            saved_contexts.save(name, saved, tree.rows)
        return tree


def _receive(session: Session, selection: Selection, tree: ContextTree, cancellation: Cancellation) -> ContextTree:
    try:
        with session.call(RECEIVE, cancellation, selection.metadata()) as call:
            _Receiver(call, tree).run()
        return tree
    except BaseException:
        tree.close()
        raise


class _Receiver:
    """One transfer from the client."""

    def __init__(self, call: SessionCall, tree: ContextTree) -> None:
        self._call = call
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


def send_files(session: Session, tree: Tree, number: int, cancellation: Cancellation) -> None:
    """Write the files of `tree` into the folder of the client's output `number`. Raise as `receive_files` does."""
    metadata = [("buildkit-attachable-exporter-id", str(number))]
    with session.call(SEND, cancellation, metadata) as call:
        _Sender(call, tree).run()


class _Sender:
    """One transfer to the client."""

    def __init__(self, call: SessionCall, tree: Tree) -> None:
        self._call = call
        self._tree = tree
        self._files: dict[int, Node] = {}

    def run(self) -> None:
        """List the files and send the ones that the client asks for, until it has all."""
        for packets in _batches(self._listing()):
            self._call.send(*packets)
        while batch := self._call.receive():
            for raw in batch:
                packet = Packet.decode(raw)
                if packet.type == PACKET_END:
                    self._call.send(Packet(PACKET_END))
                    self._call.finish()
                    return
                self._answer(packet)
        self._call.finish()

    def _listing(self) -> Iterator[Packet]:
        names: dict[tuple[int, int], str] = {}
        for count, node in enumerate(sorted_walk(self._tree)):
            first = names.setdefault(node.shared, node.path) if node.shared is not None else node.path
            if first == node.path and node.entry.type.value == "regular":
                self._files[count] = node
            yield Packet(PACKET_STAT, stat=stat_of(node, "" if first == node.path else first))
        yield Packet(PACKET_STAT)

    def _answer(self, packet: Packet) -> None:
        if packet.type == PACKET_ERROR:
            raise InvalidInput(f"the client cannot write the files: {packet.data.decode(errors='replace')}")
        node = self._files.pop(packet.id, None)
        if packet.type != PACKET_REQUEST or node is None:
            raise NotFound(f"the client asks for file {packet.id}, which it was not told of")
        for packets in _batches(self._content(packet.id, node)):
            self._call.send(*packets)

    def _content(self, number: int, node: Node) -> Iterator[Packet]:
        with self._tree.read(node) as content:
            while piece := content.read(_PIECE):
                yield Packet(PACKET_DATA, id=number, data=piece)
        yield Packet(PACKET_DATA, id=number)


def stat_of(node: Node, link: str = "") -> Stat:
    """Return what is told of a file. `link` is the earlier name of the same file, if it has one."""
    entry = node.entry
    return Stat(
        entry.path,
        go_mode(entry),
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime_ns,
        link or entry.target,
        entry.major,
        entry.minor,
        dict(entry.xattrs),
    )


def sorted_walk(tree: Tree) -> Iterator[Node]:
    """Yield all files but the root, in fsutil's order: by the parts of their paths."""
    return (node for node in walk(tree) if node.path)


def _batches(packets: Iterable[Packet]) -> Iterator[list[Packet]]:
    batch: list[Packet] = []
    for packet in packets:
        batch.append(packet)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class StreamWriter:
    """Writes bytes into a file that the client made for one of its outputs. Gather small writes, or large ones cost."""

    def __init__(self, call: SessionCall) -> None:
        self._call = call
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes, /) -> int:
        """Send `data`, or keep it for the next message. Raise Cancelled, Unavailable."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _MESSAGE:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Send what is kept."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        for start in range(0, len(data), _MESSAGE):
            self._call.send(Piece(data[start : start + _MESSAGE]))


@contextmanager
def stream_to(
    session: Session, number: int, cancellation: Cancellation, metadata: Headers = ()
) -> Iterator[StreamWriter]:
    """Provide what writes the file of the client's output `number`. `metadata` describes the image in it.

    On leaving, the client has the whole file, or its error is raised.
    """
    headers = [("buildkit-attachable-exporter-id", str(number))]
    headers += [(f"exporter-md-{name}", value) for name, value in metadata]
    with session.call(SEND, cancellation, headers) as call:
        writer = StreamWriter(call)
        yield writer
        writer.flush()
        call.finish()
