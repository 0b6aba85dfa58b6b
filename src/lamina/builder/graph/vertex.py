"""The vertices of a build graph, and the walk over them. A vertex is named by what it does and by what it stands on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lamina.builder.graph.operations import Operation
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.platform import Platform


@dataclass(frozen=True, slots=True)
class ProgressGroup:
    """Vertices that are shown as one. A `weak` group gives way to another one for the same vertex."""

    id: str
    name: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """The lines of a file that a vertex comes from, counted from 1, with the file's text.

    `origin` are the operations of the graph that the file itself is from.
    """

    file_name: str
    text: bytes
    language: str
    lines: tuple[tuple[int, int], ...]
    origin: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What is told of a vertex and does not change what it makes. `ignore_cache` has it run whatever is known."""

    name: str = ""
    ignore_cache: bool = False
    group: ProgressGroup | None = None
    locations: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """One output of a vertex."""

    vertex: Vertex
    index: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Vertex:
    """An operation, what it stands on, and the digest of both, which is its name.

    Whoever has a name from elsewhere, such as a client's own digest, gives it; `of` makes one.
    """

    digest: str
    operation: Operation
    inputs: tuple[Edge, ...] = ()
    platform: Platform | None = None
    description: Description = field(default_factory=Description)

    @classmethod
    def of(
        cls,
        operation: Operation,
        inputs: Iterable[Edge] = (),
        platform: Platform | None = None,
        description: Description | None = None,
    ) -> Vertex:
        """Return the vertex, named by its content: the same parts always give the same digest."""
        edges = tuple(inputs)
        below = [(edge.vertex.digest, edge.index) for edge in edges]
        digest = Digest.of(encode_key([operation, str(platform or ""), below]))
        return cls(str(digest), operation, edges, platform, description or Description())


def in_order(edges: Iterable[Edge]) -> list[Vertex]:
    """Return all vertices that `edges` stand on, each once and behind its inputs.

    It does not recurse: a graph may be as deep as it is large.
    """
    ordered: dict[str, Vertex] = {}
    entered: set[str] = set()
    todo = [edge.vertex for edge in edges][::-1]
    while todo:
        vertex = todo[-1]
        if vertex.digest in entered:
            todo.pop()
            ordered.setdefault(vertex.digest, vertex)
            continue
        entered.add(vertex.digest)
        todo.extend(edge.vertex for edge in reversed(vertex.inputs) if edge.vertex.digest not in entered)
    return list(ordered.values())
