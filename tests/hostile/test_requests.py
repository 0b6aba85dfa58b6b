"""Requests and contexts that no client sends get an answer in one sentence."""

from __future__ import annotations

import gzip
import tarfile
from typing import Any

import pytest

from support.hostile import Target, archive

pytestmark = pytest.mark.root

DEEP = "/".join(["d"] * 700)


@pytest.mark.parametrize(
    "body",
    [
        {"Image": 5},
        {"Image": "bb", "Cmd": ["a\0b"]},
        {"Image": "bb", "Env": ["A=\0"]},
        {"Image": "bb", "Volumes": {"/a\0b": {}}},
        {"Image": "bb", "HostConfig": {"Binds": ["/tmp/a\0b:/x"]}},
        b'{"Image":"bb","Cmd":["a\\u0000"]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=["kind", "argument", "variable", "volume", "bind", "escaped", "arrays", "objects"],
)
def test_containers_that_cannot_be_are_refused(target: Target, body: Any) -> None:
    answer = target.ask("POST", "/containers/create", body)
    assert (answer.status, bool(answer.message)) == (400, True)


def test_a_backslash_before_u0000_is_no_nul(target: Target) -> None:
    target.remove(target.create("\\u0000"))


@pytest.mark.parametrize("path", ["/images/%00/json", "/containers/json?filters=%00", "/containers/json?limit=abc"])
def test_addresses_that_cannot_be_are_refused(target: Target, path: str) -> None:
    answer = target.ask("GET", path)
    assert (answer.status in (400, 404), bool(answer.message)) == (True, True)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../x", "/etc", "a\tb", "a" * 300, "-a", "a:b", "\u00e9\u00e9"])
def test_volumes_are_named_like_files(target: Target, name: str) -> None:
    answer = target.ask("POST", "/volumes/create", {"Name": name})
    assert (answer.status, bool(answer.message)) == (400, True)
    made = {"Image": "bb", "HostConfig": {"Mounts": [{"Type": "volume", "Source": name, "Target": "/v"}]}}
    assert target.ask("POST", "/containers/create", made).status == 400


def _context(*members: tuple[str, bytes, str]) -> bytes:
    """A context's tar of members with any name, kind and link target, and a Dockerfile that copies all."""
    text = b"FROM bb\nCOPY . /all\nRUN ls /all\n"
    tar = archive({"Dockerfile": text})[: 2 * 512]
    for name, kind, target in members:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.mode = kind, target, 0o755
        tar += member.tobuf(tarfile.GNU_FORMAT)
    return tar + bytes(1024)


@pytest.mark.parametrize(
    "tar",
    [
        _context((f"{DEEP}/f", tarfile.REGTYPE, "")),
        _context((DEEP, tarfile.DIRTYPE, ""), ("d", tarfile.REGTYPE, "")),
        _context(("../../up", tarfile.REGTYPE, ""), ("/abs", tarfile.REGTYPE, "")),
        _context(("s", tarfile.SYMTYPE, "/etc"), ("s/x", tarfile.REGTYPE, "")),
        _context(("h", tarfile.LNKTYPE, "../../../etc/passwd")),
        _context(("loop", tarfile.SYMTYPE, "loop"), ("loop/x", tarfile.REGTYPE, "")),
        _context(("Dockerfile", tarfile.SYMTYPE, "Dockerfile")),
        _context((".dockerignore", tarfile.SYMTYPE, ".dockerignore")),
        _context(("dev", tarfile.BLKTYPE, ""), ("fifo", tarfile.FIFOTYPE, "")),
        _context(("a" * 300, tarfile.REGTYPE, "")),
        gzip.compress(bytes(64 << 20)),
        b"\x1f\x8b\x08" + bytes(100),
        bytes(range(256)) * 40,
    ],
    ids=[
        "deep",
        "dropped",
        "up",
        "through",
        "hard",
        "loop",
        "itself",
        "ignored",
        "device",
        "long",
        "zeros",
        "damaged",
        "noise",
    ],
)
def test_contexts_of_every_kind_build_or_are_refused(target: Target, tar: bytes) -> None:
    said = target.build_tar(tar)
    assert "Successfully built" in said or "message" in said
    assert "internal error" not in said


def test_deep_trees_come_in_and_go_out(target: Target) -> None:
    deep = "/".join(["d"] * 300)
    imported = target.ask("POST", "/images/create?fromSrc=-&repo=deep", archive({f"{deep}/f": b"x"}))
    assert imported.status == 200, imported.body
    assert "Successfully built" in target.build("FROM deep AS a\nFROM bb\nCOPY --from=a /d /d\nRUN rm -r /d\n")
    id = target.create("x", image="deep")
    assert len(target.ask("GET", f"/containers/{id}/export").body) > len(deep)
    target.remove(id)


def _sparse(size: int) -> bytes:
    member = tarfile.TarInfo("sparse")
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(size)}
    member.pax_headers |= {"GNU.sparse.map": f"{size},0", "GNU.sparse.numblocks": "1"}
    return member.tobuf(tarfile.PAX_FORMAT) + bytes(1024)


def _claiming(size: int) -> bytes:
    member = tarfile.TarInfo("huge")
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize("tar", [_sparse(1 << 60), _claiming(1 << 60), _claiming(1 << 40)], ids=["hole", "eib", "tib"])
def test_files_larger_than_any_disk_are_refused(target: Target, tar: bytes) -> None:
    for path in ("/images/create?fromSrc=-&repo=huge", "/images/load", "/build"):
        answer = target.ask("POST", path, tar, "application/x-tar")
        assert b"internal error" not in answer.body
        assert answer.status in (400, 413) or b"errorDetail" in answer.body, answer.body
    with target.running("exec sleep 300") as id:
        put = target.ask("PUT", f"/containers/{id}/archive?path=/", tar, "application/x-tar")
        assert (put.status in (400, 413), bool(put.message)) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "FROM bb\nENV A=x\n" + "ENV A=$A$A\n" * 60,
        "FROM bb\nARG A=xxxxxxxxxxxxxxxx\n" + "ARG A=${A//x/$A}\n" * 20,
        "FROM bb\nENV " + "A${" * 3000 + "\n",
        "FROM bb\nRUN " + "[" * 100_000 + "\n",
        "FROM bb\nCOPY --from=0 " + "*a" * 30 + "b /x\n",
        "FROM bb\n" + "ONBUILD " * 3000 + "RUN x\n",
        "FROM bb\nCOPY <<A <<B <<C /x\nnever closed\n",
        "FROM bb AS a\nFROM a AS b\nFROM c\n",
        "FROM " + "a/" * 100_000 + "b\n",
        "FROM bb\nUSER \\\n" + "\\\n" * 50_000 + "x\n",
    ],
    ids=["doubling", "replacing", "nested", "array", "stars", "onbuild", "heredoc", "stages", "name", "lines"],
)
def test_dockerfiles_against_the_engine_are_refused(target: Target, text: str) -> None:
    said = target.build(text)
    assert "internal error" not in said
    assert "errorDetail" in said or "message" in said or "Successfully" in said
