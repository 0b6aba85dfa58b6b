"""Contexts: directories and tars that mean harm, ignore rules seen from inside, addresses."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.builder.context.archive import ArchiveTree
from lamina.builder.context.directory import DirectoryTree
from lamina.builder.context.git_address import GitAddress
from lamina.builder.context.source import ContextPart, from_archive, from_directory, from_remote
from lamina.builder.layer_plan import PlannedFile, write_files
from lamina.errors import Forbidden, InvalidInput, LaminaError, NotFound
from lamina.formats.times import parse_time
from lamina.layers.tree import find, walk
from lamina.linux.processes import Caller
from support.context import File, write_context
from support.web import serving
from support.workshop import Workshop, kinds, listing


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    raw.seek(0)
    return raw


def member(name: str, data: bytes = b"", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


DOCKERFILE = member("Dockerfile", b"FROM scratch\nCOPY . /\n")


def test_links_out_of_a_directory_lead_nowhere(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    files = {"up": File(link="../secret"), "abs": File(link=str(tmp_path / "secret")), "dir": File(link="..")}
    image = workshop.build("FROM scratch\nCOPY . /\n", files)
    for source in ("up", "abs", "dir/secret", "../secret"):
        with pytest.raises(InvalidInput):
            workshop.build(f"FROM scratch\nCOPY {source} /x\n")
    assert listing(image)["up"] == "symlink 777 0:0 ../secret"


def test_a_directory_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("secret")
    (tmp_path / "context/d").mkdir(parents=True)
    (tmp_path / "context/d/f").write_text("mine")
    tree = DirectoryTree(tmp_path / "context")
    node = tree.lookup("d/f")
    assert node is not None
    (tmp_path / "context/d").rename(tmp_path / "context/old")
    (tmp_path / "context/d").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="symbolic"):
        tree.read(node)
    assert list(tree.children("d")) == []
    assert tree.lookup("d/f") is None
    tree.close()
    tree.close()


@pytest.mark.root
def test_a_context_is_read_with_the_callers_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    folder = tmp_path / "context"
    write_context(folder, {"Dockerfile": "FROM scratch\nCOPY . /\n", "mine": File("x", mode=0o600, uid=4242, gid=4242)})
    write_context(folder, {"roots": File("y", mode=0o600), "closed": File(directory=True, mode=0o700)})
    folder.chmod(0o755)
    with from_directory(folder, caller=Caller(4242, 4242)) as context:
        assert context.tree is not None
        mine, roots = context.tree.lookup("mine"), context.tree.lookup("roots")
        assert mine is not None
        assert roots is not None
        data = context.tree.read(mine)
        assert data.read() == b"x"
        data.close()
        with pytest.raises(Forbidden):
            context.tree.read(roots)
        with pytest.raises(Forbidden):
            list(context.tree.children("closed"))
    assert os.geteuid() == 0
    (folder / "roots").read_bytes()
    folder.chmod(0o700)
    with pytest.raises(Forbidden):
        from_directory(folder, caller=Caller(4242, 4242))


def test_fifos_and_sockets_do_not_stop_a_build(workshop: Workshop) -> None:
    folder = workshop.context("FROM scratch\nCOPY . /d/\n")
    os.mkfifo(folder / "pipe", 0o644)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        image = workshop.run(from_directory(folder)).image
    assert kinds(image)["d/pipe"] == "fifo 644 0:0"
    assert "d/socket" not in listing(image)


@pytest.mark.parametrize("members", [[member("../evil", b"x")], [link("h", "missing", tarfile.LNKTYPE)]])
def test_tars_that_lead_outside_are_refused(members: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        from_archive(tar_of(DOCKERFILE, *members), tmp_path)


def test_a_tar_means_what_unpacking_it_would_give(tmp_path: Path) -> None:
    tree = ArchiveTree(
        tar_of(
            member("d/f", b"1"),
            member("d/f", b"2", mode=0o600),
            link("l", "d"),
            member("l/g", b"3"),
            link("abs", "/d"),
            member("abs/k", b"4"),
            link("hard", "d/f", tarfile.LNKTYPE),
            member("gone/x", b"5"),
            member("gone", b"6"),
        ),
        tmp_path,
    )
    paths = [node.path for node in walk(tree)]
    assert paths == ["", "abs", "d", "d/f", "d/g", "d/k", "gone", "hard", "l"]
    one, other = tree.lookup("d/f"), tree.lookup("hard")
    assert one is not None
    assert other is not None
    assert one.shared == other.shared is not None
    data = tree.read(other)
    assert data.read() == b"2"
    assert [node.path for node in walk(tree) if node.implied] == ["d"]
    tree.close()


def test_a_cut_or_foreign_stream_is_refused(tmp_path: Path) -> None:
    whole = tar_of(DOCKERFILE, member("big", b"x" * 100_000)).getvalue()
    for raw in (whole[:50_000], b"no tar at all " * 100, b""):
        with pytest.raises(LaminaError):
            from_archive(io.BytesIO(raw), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_the_client_sends_although_it_is_ignored_is_hidden(workshop: Workshop) -> None:
    stream = tar_of(DOCKERFILE, member(".dockerignore", b"Dockerfile\n.dockerignore\n"), member("a", b"1"))
    with from_archive(stream, workshop.folder) as context:
        assert list(listing(workshop.run(context).image)) == ["a"]


def test_lowercase_dockerfile_and_a_path_to_it(workshop: Workshop) -> None:
    stream = tar_of(member("dockerfile", b"FROM scratch\nENV A=1\n"), member("sub/Other", b"FROM scratch\nENV B=1\n"))
    with from_archive(stream, workshop.folder) as context:
        assert "ENV A" in context.dockerfile
    stream.seek(0)
    with from_archive(stream, workshop.folder, ContextPart("./sub/Other")) as context:
        assert "ENV B" in context.dockerfile


def test_remembered_sums_are_only_used_for_unchanged_files(workshop: Workshop) -> None:
    text = "FROM scratch\nCOPY f /\n"
    folder = workshop.context(text, {"f": "one"})
    first = workshop.run(from_directory(folder)).image
    before = (folder / "f").stat()
    (folder / "f").write_text("two")
    os.utime(folder / "f", ns=(before.st_atime_ns, before.st_mtime_ns))
    second = workshop.run(from_directory(folder)).image
    assert listing(second)["f"].endswith("two")
    assert second.id != first.id


def test_a_file_that_shrinks_while_it_is_read_fails_the_step(workshop: Workshop) -> None:
    folder = workshop.context("FROM scratch\nCOPY f /\n", {"f": "x" * 1000})
    with from_directory(folder) as context:
        assert context.tree is not None
        node = find(context.tree, "f")
        assert node is not None
        (folder / "f").write_text("short")
        planned = PlannedFile(node.entry, context.tree, node)
        with pytest.raises(InvalidInput):
            workshop.rooms.store.layers.write(lambda builder: write_files(builder, [planned]))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which a real server shows it."""
    folder = tmp_path / "web"
    folder.mkdir()
    with serving(folder) as address:
        yield folder, address


def test_add_downloads(workshop: Workshop, web: tuple[Path, str]) -> None:
    folder, address = web
    (folder / "data.txt").write_text("from the web\n")
    os.utime(folder / "data.txt", (1_500_000_000, 1_500_000_000))
    image = workshop.build(f"FROM scratch\nADD {address}/data.txt /d/\nADD {address}/data.txt /named\n")
    assert listing(image) == {
        "d": "directory 755 0:0",
        "d/data.txt": "regular 600 0:0 from the web",
        "named": "regular 600 0:0 from the web",
    }
    assert image.config.created == "2017-07-14T02:40:00Z"
    workshop.build(f"FROM scratch\nADD {address}/data.txt /d/\n")
    assert "Using cache" in workshop.said
    with pytest.raises(InvalidInput, match=r"ADD failed: failed to GET .*: status 404"):
        workshop.build(f"FROM scratch\nADD {address}/none /\n")
    with pytest.raises(InvalidInput, match="digest mismatch"):
        workshop.build(f"FROM scratch\nADD --checksum=sha256:{'0' * 64} {address}/data.txt /d/\n")
    sha512 = hashlib.sha512(b"from the web\n").hexdigest()
    workshop.build(f"FROM scratch\nADD --checksum=sha512:{sha512} {address}/data.txt /d/\n")
    with pytest.raises(InvalidInput, match=r"failed to GET .*: 127.0.0.1:1 cannot be reached\. Check the address"):
        workshop.build("FROM scratch\nADD http://127.0.0.1:1/x /\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("a", "checksum requires HTTP"),
        ("http://127.0.0.1:1/a http://127.0.0.1:1/b", "for multiple sources"),
    ],
)
def test_a_checksum_is_never_passed_over(workshop: Workshop, words: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        workshop.build(f"FROM scratch\nADD --checksum=sha256:{'0' * 64} {words} /d/\n", {"a": "1"})


def test_contexts_from_addresses(workshop: Workshop, web: tuple[Path, str]) -> None:
    folder, address = web
    (folder / "Dockerfile").write_text("FROM scratch\nENV A=1\n")
    assert workshop.run(from_remote(f"{address}/Dockerfile", workshop.folder)).image.config.config.env[-1] == "A=1"
    (folder / "c.tar").write_bytes(tar_of(DOCKERFILE, member("a", b"1")).getvalue())
    assert "a" in listing(workshop.run(from_remote(f"{address}/c.tar", workshop.folder)).image)
    with pytest.raises(NotFound):
        from_remote(f"{address}/none", workshop.folder)


def test_files_from_addresses_need_no_dockerfile(workshop: Workshop, web: tuple[Path, str]) -> None:
    folder, address = web
    (folder / "c.tar").write_bytes(tar_of(member(".dockerignore", b"a\n"), member("a", b"1")).getvalue())
    with pytest.raises(NotFound):
        from_remote(f"{address}/c.tar", workshop.folder)
    files = from_remote(f"{address}/c.tar", workshop.folder, ContextPart(text=b"FROM scratch\nCOPY . /\n"))
    assert set(listing(workshop.run(files).image)) == {".dockerignore", "a"}


def test_a_file_whose_address_names_none_has_a_name_all_the_same(workshop: Workshop, web: tuple[Path, str]) -> None:
    image = workshop.build(f"FROM scratch\nADD {web[1]}/ /to/\n")
    assert set(listing(image)) == {"to", "to/__unnamed__"}


def test_contexts_from_git(workshop: Workshop, web: tuple[Path, str]) -> None:
    folder, address = web
    work = workshop.folder / "work"
    files = {"Dockerfile": "FROM scratch\nCOPY . /\n", "a": "1", ".dockerignore": "skip\n", "skip": "2"}
    write_context(work, {f"sub/{name}": text for name, text in files.items()})
    git = ["git", "-c", "user.email=a@example.org", "-c", "user.name=a"]
    old = "2020-02-02T02:02:02Z"
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "x"], ["branch", "other"]):
        subprocess.run([*git, *command], cwd=work, check=True, env={**os.environ, "GIT_COMMITTER_DATE": old})
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(folder / "r.git")], check=True)
    subprocess.run(["git", "update-server-info"], cwd=folder / "r.git", check=True)
    image = workshop.run(from_remote(f"{address}/r.git#other:sub", workshop.folder)).image
    assert sorted(listing(image)) == [".dockerignore", "Dockerfile", "a"]
    assert not [path for path in workshop.folder.iterdir() if path.name.startswith("git-")]
    with pytest.raises(InvalidInput):
        from_remote(f"{address}/r.git#nope", workshop.folder)
    log = ["git", "log", "-1", "--format=%H"]
    digest = subprocess.run(log, cwd=work, check=True, capture_output=True, text=True).stdout.strip()
    added = workshop.build(f"FROM scratch\nADD --checksum={digest} {address}/r.git#main:sub /src\n")
    assert sorted(listing(added)) == ["src", "src/.dockerignore", "src/Dockerfile", "src/a", "src/skip"]
    assert parse_time(added.config.created or "") == parse_time(image.config.created or "") == parse_time(old)
    with pytest.raises(InvalidInput, match="expected checksum"):
        workshop.build(f"FROM scratch\nADD --checksum={'0' * 40} {address}/r.git#main /src\n")
    asked = f"{address}/r.git?branch=other&subdir=sub&commit={digest[:12]}"
    assert listing(workshop.run(from_remote(asked, workshop.folder)).image) == listing(image)
    kept = workshop.build(f"FROM scratch\nADD {address}/r.git?keep-git-dir=true&commit={digest} /src\n")
    assert {"src/.git/HEAD", "src/sub/a"} <= set(listing(kept))
    with pytest.raises(InvalidInput, match="expected checksum"):
        from_remote(f"{address}/r.git?branch=main&commit=0000000", workshop.folder)


def published(work: Path, bare: Path, *init: str) -> None:
    """Commit what is in a folder, and show it as a plain file server can."""
    git = ["git", "-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "protocol.http.allow=always"]
    for command in (["init", "-q", "-b", "main", *init], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)


def test_submodules_and_longer_names_from_a_plain_file_server(workshop: Workshop, web: tuple[Path, str]) -> None:
    folder, address = web
    for name in ("inner", "outer", "longer"):
        write_context(workshop.folder / name, {"Dockerfile": "FROM scratch\nCOPY . /\n", name: "1"})
    published(workshop.folder / "inner", folder / "inner.git")
    outer = workshop.folder / "outer"
    subprocess.run(["git", "init", "-q"], cwd=outer, check=True)
    subprocess.run(["git", "submodule", "--quiet", "add", f"{address}/inner.git", "in"], cwd=outer, check=True)
    published(outer, folder / "outer.git")
    image = workshop.run(from_remote(f"{address}/outer.git", workshop.folder)).image
    assert {"outer", "in/inner"} <= set(listing(image))

    published(workshop.folder / "longer", folder / "longer.git", "--object-format=sha256")
    image = workshop.run(from_remote(f"{address}/longer.git#main", workshop.folder)).image
    assert "longer" in listing(image)
    with pytest.raises(InvalidInput, match="repository does not contain ref refs/heads/none"):
        from_remote(f"{address}/outer.git#refs/heads/none", workshop.folder)


def test_git_addresses() -> None:
    assert GitAddress.parse("github.com/a/b#v1:docs") == GitAddress("https://github.com/a/b", "v1", "docs")
    with pytest.raises(InvalidInput):
        GitAddress.parse("https://x/y.git#--upload-pack=evil")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?branch=b", {"ref": "refs/heads/b"}),
        ("?tag=v1", {"ref": "refs/tags/v1"}),
        ("?ref=pull/42/head&subdir=docs", {"ref": "pull/42/head", "folder": "docs"}),
        ("?subdir=docs#v1", {"ref": "v1", "folder": "docs"}),
        ("?branch=b#refs/heads/b:", {"ref": "refs/heads/b"}),
        ("?commit=1234567&tag=v1", {"ref": "refs/tags/v1", "commit": "1234567"}),
        (f"?checksum={'a' * 40}", {"ref": "a" * 40, "commit": "a" * 40}),
        ("?keep-git-dir&submodules=false", {"keep_git": True, "submodules": False}),
    ],
)
def test_queries_of_git_addresses(query: str, expected: dict[str, Any]) -> None:
    assert GitAddress.parse(f"https://x/y.git{query}") == GitAddress("https://x/y.git", **expected)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("?depth=1", "unexpected query 'depth'"),
        ("?branch=a#b", "ref conflicts"),
        ("?branch=a&tag=b", "ref conflicts"),
        ("?subdir=a#:b", "subdir conflicts"),
        ("?commit=1234567&checksum=7654321", "commit conflicts"),
        ("?commit=main", "invalid commit"),
        ("?submodules=perhaps", "invalid query submodules"),
        ("?ref=--upload-pack=x", "invalid refspec"),
    ],
)
def test_queries_that_make_no_sense_are_refused(query: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        GitAddress.parse(f"https://x/y.git{query}")
