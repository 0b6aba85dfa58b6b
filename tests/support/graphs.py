"""A client of the graph builder that offers folders, and graphs written shortly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lamina.builder.context.directory import DirectoryTree
from lamina.builder.file_sums import Sums
from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Description, Edge, Vertex
from lamina.builder.ops.graph_build import GraphBuild, GraphRooms
from lamina.builder.ops.outside import ForeignFiles
from lamina.builder.ops.result import Result
from lamina.cancellation import Cancellation
from lamina.errors import NotFound, Unsupported
from lamina.formats.platform import Platform
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.tar.source import Readable
from lamina.layers.tree import Tree, read_all, walk
from lamina.progress import Message, Report, ignore
from support.context import File, write_context

_LONGEST = 1 << 20  # bytes of a file that is shown


@dataclass
class GraphShop:
    """Builds graphs, and notes which vertices ran and which were found again. It is its builds' client as well."""

    rooms: GraphRooms
    images: Images
    folder: Path
    secrets: dict[str, bytes] = field(default_factory=dict)
    agents: None = None
    entitlements: frozenset[str] = frozenset()
    ran: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    said: str = ""
    heard: Callable[[str], object] = ignore
    cancellation: Cancellation = field(default_factory=Cancellation)

    def offer(self, name: str, files: Mapping[str, File | str]) -> None:
        """Offer a folder of these files, or change it."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        write_context(path, dict(files))

    @contextmanager
    def build(self) -> Iterator[GraphBuild]:
        self.ran, self.cached, self.said, self.heard = [], [], "", ignore
        self.cancellation = Cancellation()
        with GraphBuild(self.rooms, self, self, self.cancellation) as build:
            yield build

    def files(self, vertex: Vertex | Edge) -> dict[str, str]:
        """Every file of a result: kind, mode, owner, and content or target."""
        edge = vertex if isinstance(vertex, Edge) else Edge(vertex)
        with self.build() as build:
            return listed(build.result(edge))

    # What a build asks its client.

    def allows(self, entitlement: str) -> bool:
        return entitlement in self.entitlements

    def image(self, name: str, platform: Platform | None, mode: str, report: Report) -> Image:
        return self.images.get(name)

    def folder_files(self, name: str, attributes: Mapping[str, str], report: Report) -> ForeignFiles:
        path = self.folder / name
        if not path.is_dir():
            raise NotFound(f"no folder is called {name}")
        tree = DirectoryTree(path)
        return ForeignFiles(tree, Sums(), tree.close)

    @contextmanager
    def upload(self, path: str) -> Iterator[Readable]:
        with (self.folder / path).open("rb") as file:
            yield file

    def layout(self, name: str, platform: Platform | None, attributes: Mapping[str, str]) -> Image:
        raise Unsupported("this client has no layouts")

    # What a build tells.

    def expect(self, vertices: Sequence[Vertex]) -> None: ...

    def begin(self, vertex: Vertex) -> None: ...

    def output(self, vertex: Vertex, text: str, error: bool) -> None:
        self.said += text
        self.heard(text)

    def report(self, vertex: Vertex, message: Message) -> None: ...

    def end(self, vertex: Vertex, *, cached: bool = False, error: BaseException | None = None) -> None:
        (self.cached if cached else self.ran).append(vertex.description.name)


def listed(result: Result) -> dict[str, str]:
    """Every file of a result by path."""
    return {node.path: _told(result.tree, node.path) for node in walk(result.tree) if node.path}


def _told(tree: Tree, path: str) -> str:
    node = tree.lookup(path)
    assert node is not None
    entry = node.entry
    text = entry.target
    if entry.type.value == "regular":
        text = read_all(tree, node, _LONGEST).decode() if entry.size < _LONGEST else f"{entry.size} bytes"
    return f"{entry.type.value} {entry.mode:o} {entry.uid}:{entry.gid} {text}".rstrip()


def local(name: str) -> Vertex:
    return Vertex.of(graph.Source(identifier=f"local://{name}"), description=Description(name))


def image(name: str) -> Vertex:
    return Vertex.of(graph.Source(identifier=f"docker-image://{name}"), description=Description(name))


def files(name: str, actions: Sequence[graph.Action], *inputs: Vertex, ignore_cache: bool = False) -> Vertex:
    """A file operation; `inputs` are its inputs in order."""
    operation = graph.Files(actions=tuple(actions))
    return Vertex.of(operation, map(Edge, inputs), description=Description(name, ignore_cache))
