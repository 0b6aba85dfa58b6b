"""The keys of a vertex: two vertices with the same key make the same files.

There are two keys. The exact one names the inputs by their layers, and costs nothing. The other one names them by the
files that the vertex looks at, without their times, so that a fresh checkout of the same sources is found again. It
reads them once. Rule: moby/buildkit, solver/llbsolver/ops, for which operations look at what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from lamina.builder.copy.sources import CopySource, fingerprint
from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Vertex
from lamina.builder.ops.copied_files import copied_files
from lamina.builder.ops.result import Result
from lamina.formats.digest import Digest
from lamina.formats.document import encode_key
from lamina.formats.platform import Platform
from lamina.layers.tree import find, walk

_VERSION = 1  # another one forgets all that was made before


def exact_key(vertex: Vertex, inputs: Sequence[Result]) -> str | None:
    """Return the key by the layers of the inputs; None for a vertex that is never remembered, or an input without."""
    identities = [result.identity for result in inputs]
    if not _is_remembered(vertex.operation) or None in identities:
        return None
    return _key("exact", vertex, identities)


def content_key(vertex: Vertex, inputs: Sequence[Result]) -> str | None:
    """Return the key by the files that the vertex looks at; None where it is never remembered.

    Raise Problem for files that are not there.
    """
    if not _is_remembered(vertex.operation):
        return None
    looks = list(_looks(vertex.operation, inputs))
    whole = set(range(len(inputs))) - {number for number, _ in looks}
    return _key("content", vertex, [[inputs[number].settled_identity for number in sorted(whole)], looks])


def _is_remembered(operation: graph.Operation) -> bool:
    """Return whether making it again costs more than looking it up. Sources look for themselves."""
    return isinstance(operation, graph.Exec | graph.Files | graph.Difference)


def _key(kind: str, vertex: Vertex, inputs: object) -> str:
    operation = vertex.operation
    platform = str(vertex.platform or Platform.host()) if isinstance(operation, graph.Exec) else ""
    return str(Digest.of(encode_key([_VERSION, kind, _deciding(operation), platform, inputs])))


def _deciding(operation: graph.Operation) -> graph.Operation:
    """Return what of an operation decides about its result: not where a proxy or a host is to be found."""
    if not isinstance(operation, graph.Exec):
        return operation
    hosts = tuple((name, "") for name, _ in operation.hosts)
    return msgspec.structs.replace(operation, proxies=(), hosts=hosts)


def _looks(operation: graph.Operation, inputs: Sequence[Result]) -> Iterator[tuple[int, str]]:
    """Yield the inputs of which only some files count, with a hash of these. An input may come several times."""
    whole: set[int | None] = set()
    if isinstance(operation, graph.Exec):
        binds = [mount for mount in operation.mounts if mount.kind in ("bind", "cache")]
        whole = {mount.input for mount in binds if not _is_only_read(mount)}
        for mount in binds:
            if mount.input is not None and mount.input not in whole:
                yield mount.input, _mounted(inputs[mount.input], mount.selector)
    elif isinstance(operation, graph.Files):
        whole = {action.base for action in operation.actions}
        whole |= {who.place for action in operation.actions for who in _named_owners(action)}
        for action in operation.actions:
            source = action.source if isinstance(action, graph.Copy) else None
            if isinstance(action, graph.Copy) and source is not None and source not in whole and source < len(inputs):
                yield source, _copied(inputs[source], action)


def _is_only_read(mount: graph.Mount) -> bool:
    """Return whether what a command does in a mount is no part of any result: then only the selected files count."""
    return mount.kind == "bind" and mount.target != "/" and (mount.read_only or mount.output is None)


def _named_owners(action: graph.Action) -> list[graph.NamedOwner]:
    return [who for who in (action.user, action.group) if isinstance(who, graph.NamedOwner)]


def _mounted(result: Result, selector: str) -> str:
    node = find(result.tree, selector)
    if node is None:
        return ""
    source = CopySource(selector, node, result.tree, tuple(walk(result.tree, node.path)))
    return fingerprint([source], {id(result.tree): result.sums})


def _copied(result: Result, action: graph.Copy) -> str:
    return fingerprint(copied_files(action, result.tree), {id(result.tree): result.sums})
