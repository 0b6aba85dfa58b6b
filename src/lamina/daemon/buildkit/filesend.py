"""Results over a session: a tree into a client's folder, and bytes into a client's file.

Rule: moby/buildkit, session/filesync, and tonistiigi/fsutil, send.go. The client asks for the files of the list that
it does not have; an empty piece ends a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lamina.cancellation import Cancellation
from lamina.daemon.buildkit.context_tree import go_mode
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
from lamina.errors import InvalidInput, NotFound
from lamina.layers.tree import Node, Tree, walk

_SEND = "/moby.filesync.v1.FileSend/DiffCopy"
_PIECE = 32 << 10  # bytes of a file in one packet, as fsutil sends them
_BATCH = 64  # packets sent at once
_MESSAGE = 1 << 20  # bytes of a stream in one message: gRPC's clients take no more than four times as many


def send_files(session: Session, tree: Tree, number: int, cancellation: Cancellation) -> None:
    """Write the files of `tree` into the folder of the client's output `number`. Raise as `receive_files` does."""
    metadata = [("buildkit-attachable-exporter-id", str(number))]
    with session.call(_SEND, cancellation, metadata) as call:
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
    """Write bytes into a file that the client made for one of its outputs. Gather small writes, or large ones cost."""

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
    with session.call(_SEND, cancellation, headers) as call:
        writer = StreamWriter(call)
        yield writer
        writer.flush()
        call.finish()
