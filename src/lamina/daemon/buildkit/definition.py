"""Graphs that clients send, as values: checked, bounded, and refused in words.

Rule: moby/buildkit, solver/pb/ops.proto and solver/llbsolver/vertex.go. Each operation is named by the digest of its
bytes, so a graph cannot run in circles: nobody can name what is named by its own content.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence

from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Description, Edge, Location, ProgressGroup, Vertex
from lamina.builder.source_policy import ALLOW_ALL, IMAGE, SourcePolicy
from lamina.daemon.buildkit.messages import ops
from lamina.daemon.buildkit.messages.control import Definition
from lamina.daemon.buildkit.messages.control import Platform as PlatformMessage
from lamina.daemon.buildkit.messages.source import Position
from lamina.daemon.buildkit.operations import copied, exec_of, file_action_of
from lamina.errors import InvalidInput, TooLarge, Unsupported
from lamina.formats.platform import Platform

_MOST_VERTICES = 20_000
_MOST_INPUTS = 1_000  # of one vertex
_MOST_ACTIONS = 10_000  # of one file operation
_NAME = "llb.customname"
RESULT = "lamina.result/image"  # the name of a build's result as a source, with the ID of an image as its digest


def edge_of(definition: Definition | None, policy: SourcePolicy = ALLOW_ALL) -> Edge | None:
    """Return what a graph ends with; None for an empty graph, which stands for no files.

    Raise InvalidInput for a graph that cannot be, TooLarge, Unsupported for an operation that this daemon lacks, and
    Forbidden for a source that the policy denies.
    """
    if definition is None or not definition.operations:
        return None
    if len(definition.operations) > _MOST_VERTICES:
        raise TooLarge(f"the graph has more than {_MOST_VERTICES} vertices", limit=_MOST_VERTICES)
    by_digest = {digest_of(raw): ops.Op.decode(raw) for raw in definition.operations}
    end = by_digest[digest_of(definition.operations[-1])]
    if len(end.inputs) != 1 or _named(end) is not None:
        raise InvalidInput("the graph does not end with one result")
    source_map = ops.SourceMap.decode(definition.sources)
    return _Reading(by_digest, definition.metadata, source_map, policy).read(end.inputs[0])


def own_image(name: str) -> str | None:
    """Return the ID of the result of a build that the name of a source stands for; None for other names."""
    repository, _, id = name.rpartition("@")
    return id if repository == RESULT else None


def platform_of(message: PlatformMessage) -> Platform:
    """Return a platform that a client names."""
    return Platform(message.os, message.architecture, message.variant, message.os_version, message.os_features)


def digest_of(operation: bytes) -> str:
    """Return the name of an encoded operation."""
    return f"sha256:{hashlib.sha256(operation).hexdigest()}"


class _Reading:
    """One graph while it is read, each vertex behind its inputs. It does not recurse."""

    def __init__(
        self,
        by_digest: Mapping[str, ops.Op],
        metadata: Mapping[str, bytes],
        source_map: ops.SourceMap,
        policy: SourcePolicy,
    ) -> None:
        self._ops = by_digest
        self._policy = policy
        self._source_map = source_map
        self._metadata = metadata
        self._vertices: dict[str, Vertex] = {}

    def read(self, last: ops.Input) -> Edge:
        """Return the edge that the graph ends with."""
        entered: set[str] = set()
        todo = [last.digest]
        while todo:
            digest = todo[-1]
            operation = self._ops.get(digest)
            if operation is None:
                raise InvalidInput(f"the graph lacks the vertex {digest[:80]} that it refers to")
            if digest in self._vertices or digest in entered:
                todo.pop()
                if digest not in self._vertices:
                    self._vertices[digest] = self._vertex(digest, operation)
                continue
            entered.add(digest)
            todo += [source.digest for source in operation.inputs if source.digest not in entered]
        return Edge(self._vertices[last.digest], last.index)

    def _vertex(self, digest: str, op: ops.Op) -> Vertex:
        if len(op.inputs) > _MOST_INPUTS:
            raise TooLarge(f"a vertex of the graph has more than {_MOST_INPUTS} inputs", limit=_MOST_INPUTS)
        if any(source.digest not in self._vertices for source in op.inputs):
            raise InvalidInput("the graph runs in a circle", vertex=digest)
        inputs = tuple(Edge(self._vertices[source.digest], source.index) for source in op.inputs)
        operation = self._allowed(_operation(op))
        platform = platform_of(op.platform) if op.platform else None
        metadata = ops.OpMetadata.decode(self._metadata.get(digest, b""))
        description = _description(metadata, operation, tuple(_locations(self._source_map, digest)))
        return Vertex(digest, operation, inputs, platform, description)

    def _allowed(self, operation: graph.Operation) -> graph.Operation:
        """Return an operation, with what the policy puts in the place of its source."""
        if not isinstance(operation, graph.Source) or own_image(operation.identifier.removeprefix(IMAGE)) is not None:
            return operation
        identifier, attributes = self._policy.source(operation.identifier, operation.attributes)
        return graph.Source(identifier=identifier, attributes=attributes)


def _named(op: ops.Op) -> str | None:
    """Return the kind of an operation, None for the end of a graph."""
    kinds = ("exec", "source", "file", "build", "merge", "diff", "passthrough")
    return next((kind for kind in kinds if getattr(op, kind) is not None), None)


def _operation(op: ops.Op) -> graph.Operation:
    count = len(op.inputs)
    if op.source is not None:
        return graph.Source(identifier=op.source.identifier, attributes=dict(op.source.attributes))
    if op.exec is not None:
        return exec_of(op.exec, count)
    if op.file is not None:
        return _files(op.file.actions, count)
    if op.merge is not None:
        if [source.input for source in op.merge.inputs] != list(range(count)):
            raise InvalidInput("a merge of the graph names its inputs out of order")
        return graph.Merge()
    if op.diff is not None:
        sides = (op.diff.lower or ops.LayerInput(-1), op.diff.upper or ops.LayerInput(-1))
        lower, upper = (copied(side.input, count, "input") for side in sides)
        return graph.Difference(lower=lower, upper=upper)
    raise Unsupported(f"operations of the kind {_named(op) or 'unknown'} are not supported by this daemon")


def _files(actions: Sequence[ops.FileAction], inputs: int) -> graph.Files:
    if not actions or len(actions) > _MOST_ACTIONS:
        raise InvalidInput(f"a file operation of the graph has no action, or more than {_MOST_ACTIONS}")
    return graph.Files(actions=tuple(file_action_of(action, inputs + number) for number, action in enumerate(actions)))


def _locations(source_map: ops.SourceMap, digest: str) -> Iterator[Location]:
    """Yield where a vertex is from. A file that is not there is left out."""
    for location in source_map.locations.get(digest, ops.Locations()).locations:
        if 0 <= location.file < len(source_map.files):
            file = source_map.files[location.file]
            ranges = [(one.start or Position(), one.end or one.start or Position()) for one in location.ranges]
            lines = tuple((start.line, end.line) for start, end in ranges)
            origin = file.definition.operations if file.definition is not None else ()
            yield Location(file.filename, file.data, file.language, lines, origin)


def _description(metadata: ops.OpMetadata, operation: graph.Operation, locations: tuple[Location, ...]) -> Description:
    group = metadata.group
    progress = ProgressGroup(group.id, group.name, group.weak) if group is not None else None
    name = metadata.description.get(_NAME) or _usual_name(operation)
    return Description(name, metadata.ignore_cache, progress, locations)


def _usual_name(operation: graph.Operation) -> str:
    """Return what a vertex without a name is called. Rule: moby/buildkit, solver/llbsolver/vertex.go, llbOpName."""
    match operation:
        case graph.Source(identifier=identifier):
            return identifier
        case graph.Exec(arguments=arguments):
            return " ".join(arguments)
        case graph.Files(actions=actions):
            return ", ".join(_ACTIONS[type(action)](action) for action in actions)
        case graph.Merge():
            return "merge"
        case _:
            return "diff"


def _copy_name(action: graph.Action) -> str:
    assert isinstance(action, graph.Copy)
    return f"copy {action.path} {action.destination}"


def _path_name(verb: str) -> Callable[[graph.Action], str]:
    return lambda action: f"{verb} {posixpath.join('/', getattr(action, 'path', ''))}"


_ACTIONS: Mapping[type[graph.Action], Callable[[graph.Action], str]] = {
    graph.Copy: _copy_name,
    graph.MakeFile: _path_name("mkfile"),
    graph.MakeDirectory: _path_name("mkdir"),
    graph.MakeLink: _path_name("symlink"),
    graph.Remove: _path_name("rm"),
}
