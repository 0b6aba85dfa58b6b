"""Git repositories that reach for the host: nothing of theirs is executed, and nothing of the host is read."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamina.builder.context import git
from lamina.builder.context.git import checkout
from lamina.builder.context.git_address import GitAddress
from lamina.errors import InvalidInput
from support.processes import processes_naming
from support.waiting import eventually
from support.web import serving

SECRET = "a secret of the host"


@dataclass
class Repository:
    """A repository being made, the address it is served at, and what an attack would touch."""

    work: Path
    bare: Path
    address: str
    marker: Path

    def git(self, *arguments: str, stdin: str = "") -> str:
        command = ["git", "-c", "user.email=a@example.org", "-c", "user.name=a", *arguments]
        done = subprocess.run(command, cwd=self.work, check=True, capture_output=True, text=True, input=stdin)
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("add", "--all", "--force")
        self.git("commit", "-qm", "x")

    def publish(self) -> None:
        self.git("push", "-q", "--force", str(self.bare), "HEAD:main")
        subprocess.run(["git", "update-server-info"], cwd=self.bare, check=True)

    def publish_tree(self, listing: str) -> None:
        """A commit of a tree that `git add` would refuse."""
        commit = self.git("commit-tree", "-m", "x", self.git("mktree", "--missing", stdin=listing))
        self.git("reset", "-q", "--soft", commit)
        self.publish()

    def blob(self, text: str) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=text)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A repository of the host's that no build was given."""
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.email=a@b.c", "-c", "user.name=a", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    work, web = tmp_path / "work", tmp_path / "web"
    for folder in (work, web):
        folder.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", "--bare", str(web / "r.git")], check=True)
    (work / "Dockerfile").write_text("FROM scratch\n")
    with serving(web) as address:
        yield Repository(work, web / "r.git", f"{address}/r.git", tmp_path / "executed")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def texts(folder: Path) -> str:
    """All that is in the files of a tree, links not followed."""
    paths = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return "".join(path.read_text(errors="replace") for path in paths if not path.is_symlink())


@pytest.mark.parametrize(
    "url",
    [
        "file://{secret}",
        "{secret}",
        "ext::touch% {marker}",
        "../../../../../../../../{secret}",
        "ssh://-oProxyCommand=touch% {marker}/x",
        "-u./payload",
        "{address}/../../../../..{secret}",
    ],
)
def test_submodules_lead_to_no_file_and_run_nothing(
    repository: Repository, secret: Path, target: Path, url: str
) -> None:
    address = url.format(secret=secret, marker=repository.marker, address=repository.address)
    (repository.work / ".gitmodules").write_text(
        f'[submodule "m"]\n\tpath = m\n\turl = "{address}"\n\tupdate = !touch {repository.marker}\n'
    )
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=secret, check=True, capture_output=True, text=True)
    repository.commit()
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head.stdout.strip()},m")
    repository.git("commit", "-qm", "m")
    repository.publish()
    with pytest.raises(InvalidInput, match="git submodule failed"):
        checkout(GitAddress.parse(f"{repository.address}#main"), target)
    assert not repository.marker.exists()
    assert SECRET not in texts(target)


@pytest.mark.parametrize("name", [".git", ".GIT", ".git "])
def test_trees_that_hold_a_repository_of_their_own_run_nothing(repository: Repository, target: Path, name: str) -> None:
    """Hooks and settings in the tree, and a `.git` that is a link."""
    hook = repository.blob(f"#!/bin/sh\ntouch {repository.marker}\n")
    hooks = repository.git("mktree", stdin=f"100755 blob {hook}\tpost-checkout\n")
    settings = repository.blob(f"[core]\n\tfsmonitor = touch {repository.marker}\n\thooksPath = hooks\n")
    inside = repository.git("mktree", stdin=f"040000 tree {hooks}\thooks\n100644 blob {settings}\tconfig\n")
    dockerfile = repository.blob("FROM scratch\n")
    repository.publish_tree(f"100644 blob {dockerfile}\tDockerfile\n040000 tree {inside}\t{name}\n")
    with suppress(InvalidInput):
        checkout(GitAddress.parse(f"{repository.address}#main"), target)
    assert not repository.marker.exists()


def test_a_linked_repository_is_refused(repository: Repository, secret: Path, target: Path) -> None:
    link = repository.blob(str(secret / ".git"))
    repository.publish_tree(f"120000 blob {link}\t.git\n")
    with pytest.raises(InvalidInput, match="git"):
        checkout(GitAddress.parse(f"{repository.address}#main"), target)


def test_a_folder_that_looks_like_a_repository_is_only_files(repository: Repository, target: Path) -> None:
    evil = f"touch {repository.marker}"
    inner = repository.work / "inner"
    for folder in ("objects", "refs", "hooks"):
        (inner / folder).mkdir(parents=True)
        (inner / folder / "x").write_text("x")
    (inner / "HEAD").write_text("ref: refs/heads/main\n")
    (inner / "config").write_text(
        f'[core]\n\tbare = false\n\tworktree = ".."\n\tfsmonitor = "{evil}"\n\tsshCommand = "{evil}"\n'
    )
    repository.commit()
    repository.publish()
    assert (checkout(GitAddress.parse(f"{repository.address}#main:inner"), target).folder / "config").is_file()
    assert not repository.marker.exists()


@pytest.mark.parametrize("folder", ["../..", "..", "/etc", "out", "out/..", "deep/link"])
def test_the_folder_is_inside_the_repository(repository: Repository, target: Path, folder: str) -> None:
    (repository.work / "out").symlink_to("/etc")
    (repository.work / "deep").mkdir()
    (repository.work / "deep/link").symlink_to("../../../../../..")
    repository.commit()
    repository.publish()
    with pytest.raises(InvalidInput, match="not a directory within the repository"):
        checkout(GitAddress.parse(f"{repository.address}#main:{folder}"), target)


def test_variables_of_the_daemon_do_not_lead_git_astray(
    repository: Repository, secret: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit()
    repository.publish()
    evil = {"GIT_DIR": str(secret / ".git"), "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor"}
    for name, value in (evil | {"GIT_CONFIG_VALUE_0": f"touch {repository.marker}"}).items():
        monkeypatch.setenv(name, value)
    assert (checkout(GitAddress.parse(f"{repository.address}#main"), target).folder / "Dockerfile").is_file()
    assert not repository.marker.exists()


def test_few_objects_that_stand_for_very_many_files_are_refused(
    repository: Repository, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, kind, mode = repository.blob("x"), "blob", "100644"
    for _ in range(9):
        tree = repository.git("mktree", stdin="".join(f"{mode} {kind} {tree}\t{n}\n" for n in range(10)))
        kind, mode = "tree", "040000"
    repository.publish_tree("".join(f"040000 tree {tree}\t{n}\n" for n in range(10)))
    monkeypatch.setattr(git, "_MOST_MEMORY", 512 << 20)
    with pytest.raises(InvalidInput, match="git checkout failed"):
        checkout(GitAddress.parse(f"{repository.address}#main"), target)


class Chatterbox:
    """A git server that sends messages for people without end (gitprotocol-pack, "side-band-64k")."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"git://127.0.0.1:{self._listener.getsockname()[1]}/r"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.recv(65536)
        refs = f"{'1' * 40} HEAD\0side-band-64k ofs-delta\n"
        connection.sendall(f"{len(refs) + 4:04x}{refs}0000".encode())
        heard = b""
        while b"done" not in heard:
            if not (more := connection.recv(65536)):
                return
            heard += more
        connection.sendall(b"0008NAK\n")
        words = b"\2" + b"words " * 10000 + b"\n"
        while True:
            connection.sendall(f"{len(words) + 4:04x}".encode() + words)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def test_messages_without_end_are_cut_off(target: Path) -> None:
    server = Chatterbox()
    try:
        with pytest.raises(InvalidInput, match="more than 1048576 bytes of messages"):
            checkout(GitAddress.parse(server.address), target)
        eventually(lambda: not processes_naming(server.address))
    finally:
        server.close()
