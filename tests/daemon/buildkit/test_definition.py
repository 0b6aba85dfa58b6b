"""Graphs of clients as values: what is read, and what hostile ones are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from lamina.builder.graph import operations as graph
from lamina.builder.graph.vertex import Location, in_order
from lamina.daemon.buildkit import definition as reading
from lamina.daemon.buildkit.definition import digest_of, edge_of
from lamina.daemon.buildkit.messages import ops
from lamina.daemon.buildkit.messages.control import Definition, Platform
from lamina.daemon.buildkit.messages.source import LineRange, Position
from lamina.daemon.buildkit.messages.status import ProgressGroup
from lamina.errors import InvalidInput, LaminaError, TooLarge, Unsupported
from lamina.formats.platform import Platform as Named
from support.buildkit import defined

SOURCE = ops.Op(source=ops.SourceOp("docker-image://base", {"image.resolvemode": "pull"}))
META = ops.Meta(args=("true",), cwd="/")
ROOT = ops.Mount(target="/")


def on_source(op: ops.Op) -> ops.Op:
    raw = SOURCE.encode()
    return ops.Op((ops.Input(digest_of(raw)), *op.inputs), op.exec, None, op.file, op.build, op.merge, op.diff)


def secret(uid: int) -> ops.Mount:
    return ops.Mount(-1, target="/s", output=-1, type=1, secret=ops.SecretOpt("s", uid))


def owned_by(id: int) -> ops.FileAction:
    owner = ops.ChownOpt(ops.UserOpt(by_id=id))
    return ops.FileAction(0, -1, 0, make_file=ops.MakeFileAction("/f", owner=owner))


def test_a_graph_is_read_with_its_names() -> None:
    command = ops.Op(
        (ops.Input(digest_of(SOURCE.encode())),), ops.ExecOp(META, (ROOT,)), platform=Platform("arm64", "linux")
    )
    metadata = ops.OpMetadata(True, {"llb.customname": "[1/1] RUN true"}, ProgressGroup("g", "group", True))
    edge = edge_of(defined(SOURCE, command, metadata={1: metadata}))
    assert edge is not None
    source, run = in_order([edge])
    assert (source.description.name, run.description.name) == ("docker-image://base", "[1/1] RUN true")
    assert source.operation == graph.Source(identifier="docker-image://base", attributes={"image.resolvemode": "pull"})
    assert run.digest == digest_of(command.encode())
    assert run.platform == Named("linux", "arm64")
    assert run.description.ignore_cache
    assert run.description.group is not None
    assert isinstance(run.operation, graph.Exec)
    assert run.operation.root == graph.Mount(target="/", input=0, output=0)


def test_every_kind_of_mount_and_action_is_read() -> None:
    mounts = (
        ROOT,
        ops.Mount(-1, target="/t", output=-1, type=4, tmpfs=ops.TmpfsOpt(5)),
        ops.Mount(-1, target="/c", output=-1, type=3, cache=ops.CacheOpt("id", 2)),
        ops.Mount(-1, target="/s", output=-1, type=1, secret=ops.SecretOpt("s", 1, 2, 0o400, True)),
        ops.Mount(-1, target="/a", output=-1, type=2, agent=ops.SecretOpt("a")),
    )
    run = edge_of(defined(SOURCE, on_source(ops.Op(exec=ops.ExecOp(META, mounts)))))
    assert run is not None
    assert isinstance(run.vertex.operation, graph.Exec)
    assert run.vertex.operation.mounts[1:] == (
        graph.Mount(target="/t", kind="tmpfs", size=5),
        graph.Mount(target="/c", kind="cache", id="id", sharing="locked"),
        graph.Mount(target="/s", kind="secret", id="s", uid=1, gid=2, mode=0o400, optional=True),
        graph.Mount(target="/a", kind="ssh", id="a"),
    )
    named = ops.ChownOpt(ops.UserOpt(ops.NamedUserOpt("me", 0)), ops.UserOpt(by_id=0))
    actions = (
        ops.FileAction(0, -1, -1, make_directory=ops.MakeDirectoryAction("/d", 0o700, True, timestamp=-1)),
        ops.FileAction(1, -1, -1, make_file=ops.MakeFileAction("/d/f", 0o600, b"x", named, timestamp=7)),
        ops.FileAction(2, 0, -1, copy=ops.CopyAction("/a", "/b", mode=-1, timestamp=-1)),
        ops.FileAction(3, -1, -1, link=ops.LinkAction("to", "/l", timestamp=-1)),
        ops.FileAction(4, -1, 0, remove=ops.RemoveAction("/d/*", True, True)),
    )
    made = edge_of(defined(SOURCE, on_source(ops.Op(file=ops.FileOp(actions)))))
    assert made is not None
    assert made.vertex.operation == graph.Files(
        actions=(
            graph.MakeDirectory(base=0, path="/d", mode=0o700, parents=True),
            graph.MakeFile(
                base=1,
                path="/d/f",
                mode=0o600,
                content=b"x",
                user=graph.NamedOwner(name="me", place=0),
                group=0,
                time_ns=7,
            ),
            graph.Copy(base=2, source=0, path="/a", destination="/b"),
            graph.MakeLink(base=3, path="/l", target="to"),
            graph.Remove(base=4, path="/d/*", wildcard=True, may_be_missing=True, output=0),
        )
    )


def test_a_vertex_knows_its_lines() -> None:
    definition = defined(SOURCE)
    digest = digest_of(definition.operations[0])
    ranges = (LineRange(Position(3), Position(4)),)
    file = ops.MappedFile("Dockerfile", b"text", Definition((b"x",)), "Dockerfile")
    places = ops.Locations((ops.Location(0, ranges), ops.Location(9, ranges), ops.Location(-1, ranges)))
    sources = ops.SourceMap({digest: places}, (file,)).encode()
    edge = edge_of(msgspec.structs.replace(definition, sources=sources))
    assert edge is not None
    assert edge.vertex.description.locations == (Location("Dockerfile", b"text", "Dockerfile", ((3, 4),), (b"x",)),)


def test_an_empty_graph_is_no_files() -> None:
    assert edge_of(None) is None
    assert edge_of(Definition()) is None


@pytest.mark.parametrize(
    ("operations", "kind", "message"),
    [
        ([ops.Op((ops.Input("sha256:no"),))], InvalidInput, "lacks the vertex"),
        ([SOURCE], InvalidInput, "does not end with one result"),
        ([on_source(ops.Op(exec=ops.ExecOp(None, (ROOT,))))], InvalidInput, "no arguments"),
        ([on_source(ops.Op(exec=ops.ExecOp(META)))], InvalidInput, "no root"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, ROOT))))], InvalidInput, "or several"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, ops.Mount(target="/a/..")))))], InvalidInput, "or several"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, ops.Mount(target=".", type=4)))))], InvalidInput, "or several"),
        (
            [on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, *(ops.Mount(target="/m"),) * 1000))))],
            TooLarge,
            "1000 mounts",
        ),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, secret(-1)))))], InvalidInput, "group -1"),
        ([on_source(ops.Op(file=ops.FileOp((owned_by(-1),))))], InvalidInput, "group -1"),
        ([on_source(ops.Op(file=ops.FileOp((owned_by((1 << 32) - 1),))))], InvalidInput, "group 4294967295"),
        ([on_source(ops.Op(exec=ops.ExecOp(ops.Meta(("x",), cwd="x"), (ROOT,))))], InvalidInput, "not absolute"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ops.Mount(7, target="/"),))))], InvalidInput, "the input 7"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ops.Mount(-9, target="/"),))))], InvalidInput, "the input -9"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, ops.Mount(target="/x", type=9)))))], InvalidInput, "kind 9"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT, ops.Mount()))))], InvalidInput, "no target"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT,), network=5)))], InvalidInput, "kind 5"),
        ([on_source(ops.Op(exec=ops.ExecOp(META, (ROOT,), devices=(ops.Device("x"),))))], Unsupported, "devices"),
        ([on_source(ops.Op(file=ops.FileOp()))], InvalidInput, "no action"),
        ([on_source(ops.Op(file=ops.FileOp((ops.FileAction(),))))], InvalidInput, "unknown kind"),
        ([on_source(ops.Op(file=ops.FileOp((ops.FileAction(4),))))], InvalidInput, "the input 4"),
        ([on_source(ops.Op(build=ops.NestedBuildOp()))], Unsupported, "build"),
        ([on_source(ops.Op(merge=ops.MergeOp((ops.LayerInput(1),))))], InvalidInput, "out of order"),
        ([on_source(ops.Op(diff=ops.DiffOp(ops.LayerInput(3))))], InvalidInput, "the input 3"),
    ],
)
def test_what_cannot_be_is_refused(operations: Sequence[ops.Op], kind: type[LaminaError], message: str) -> None:
    raw = [SOURCE.encode(), *(op.encode() for op in operations)]
    complete = len(operations) == 1 and operations[0].inputs and operations[0].inputs[0].digest == digest_of(raw[0])
    if complete:
        raw.append(ops.Op((ops.Input(digest_of(raw[-1])),)).encode())
    with pytest.raises(kind, match=message):
        edge_of(Definition(tuple(raw)))


def test_bytes_that_are_no_operation_are_refused() -> None:
    with pytest.raises(InvalidInput):
        edge_of(Definition((b"\xff\xff\xff",)))
    end = ops.Op((ops.Input(digest_of(SOURCE.encode())),)).encode()
    metadata: Mapping[str, bytes] = {digest_of(SOURCE.encode()): b"\xff"}
    with pytest.raises(InvalidInput):
        edge_of(Definition((SOURCE.encode(), end), dict(metadata)))


def test_a_graph_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_VERTICES", 3)
    monkeypatch.setattr(reading, "_MOST_INPUTS", 2)
    sources = [ops.Op(source=ops.SourceOp(f"local://{number}")) for number in range(4)]
    with pytest.raises(TooLarge, match="more than 3 vertices"):
        edge_of(defined(*sources))
    monkeypatch.setattr(reading, "_MOST_VERTICES", 30)
    wide = ops.Op(tuple(ops.Input(digest_of(source.encode())) for source in sources[:3]), merge=ops.MergeOp())
    with pytest.raises(TooLarge, match="more than 2 inputs"):
        edge_of(defined(*sources[:3], wide))


def test_a_graph_may_be_as_deep_as_it_is_large() -> None:
    operations = [ops.Op(source=ops.SourceOp("local://x"))]
    for _ in range(5_000):
        below = ops.Input(digest_of(operations[-1].encode()))
        operations.append(ops.Op((below,), merge=ops.MergeOp((ops.LayerInput(0),))))
    edge = edge_of(defined(*operations))
    assert edge is not None
    assert len(in_order([edge])) == 5_001
