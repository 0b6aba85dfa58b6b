"""Other users of the machine: what an engine, its containers and a registry keep is closed to them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fnmatch import fnmatch
from pathlib import Path

import pytest

from lamina.engine import Engine
from support.daemons import lamina_daemon, short_folder
from support.hostile import OFF, Target
from support.programs import need
from support.registries import Raw
from support.spawned import Spawned
from support.strangers import as_nobody, open_to_nobody

pytestmark = pytest.mark.root

SECRET = "PASSWORD=of-the-container"
DOCKERFILE = """FROM bb
RUN --mount=type=cache,target=/cache umask > /umask; touch /made; mkdir /folder
WORKDIR /new/place
VOLUME /data
"""
# What containers see, and its mode with it: files of images and volumes, and the three files in /etc.
OF_CONTAINERS = ("d/snapshots/*/*", "d/volumes/*/_data*", "d/build-mounts/*", "*/hosts", "*/hostname", "*/resolv.conf")
# What crun and runc make by themselves, below a private directory.
OF_RUNTIMES = ("e/tasks/*/runtime.log", "e/tasks/*/init.pid", "e/tasks/state/*")


@contextmanager
def _used(base: Path, *flags: str) -> Iterator[Target]:
    """A daemon whose folder everybody may enter, with images, builds, volumes, logs and a running container."""
    with lamina_daemon(*flags) as daemon:
        daemon.folder.chmod(0o755)
        target = Target(daemon, base)
        target.cli("import", "-c", 'CMD ["sh"]', str(base), "bb")
        yield target


@pytest.fixture(scope="module", params=["crun", "runc"])
def used(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Target]:
    with _used(busybox_tar, "--default-runtime", need(request.param)) as target:
        target.cli("build", "-q", "--network=none", "-t", "built", "-", stdin=DOCKERFILE.encode())
        options = ("-e", SECRET, "-v", "named:/named", "--name", "running")
        target.cli("run", "-d", *OFF, *options, "built", "sh", "-c", "echo logged; exec sleep 600")
        target.cli("run", *OFF, "-e", SECRET, "--name", "ended", "built", "true")
        yield target


@pytest.mark.parametrize("name", ["d", "s", "p"])
def test_a_used_root_is_closed_to_other_users(used: Target, name: str) -> None:
    assert open_to_nobody(used.daemon.folder / name) == []


def test_others_pass_the_exec_root_and_list_nothing(used: Target) -> None:
    """By default the API's socket is in it, and members of its group must get there."""
    root = used.daemon.folder / "e"
    assert stat.S_IMODE(root.stat().st_mode) == 0o711
    assert {"bridges", "netns", "tasks"} <= {path.name for path in root.iterdir()}
    assert [path for below in root.iterdir() for path in open_to_nobody(below)] == []


def test_files_with_secrets_are_closed_by_their_own_mode(used: Target) -> None:
    """Were a root opened by mistake, the files below it would still be the owner's alone."""
    folder = used.daemon.folder
    below = [path for root in ("d", "e") for path in (folder / root).rglob("*") if not _is_theirs(folder, path)]
    assert {"metadata.db", "metadata.db-wal", "metadata.db-shm", "config.json"} <= {path.name for path in below}
    assert any(path.is_socket() for path in below)
    assert [path for path in below if _shared(path)] == []


def _is_theirs(folder: Path, path: Path) -> bool:
    return any(fnmatch(str(path.relative_to(folder)), pattern) for pattern in (*OF_CONTAINERS, *OF_RUNTIMES))


def _shared(path: Path) -> bool:
    status = path.lstat()
    return not stat.S_ISLNK(status.st_mode) and bool(status.st_mode & 0o077)


def test_a_set_uid_program_in_a_volume_is_nobodys_to_run(used: Target) -> None:
    """CVE-2021-41091: the container's root leaves a set-uid program in a volume, and a user of the host runs it."""
    used.cli("exec", "running", "sh", "-c", "cp /bin/busybox /named/suid; chmod 4755 /named/suid")
    program = used.daemon.folder / "d/volumes/named/_data/suid"
    assert program.stat().st_mode & stat.S_ISUID

    def run() -> str:
        try:
            return subprocess.run([program, "id", "-u"], capture_output=True, text=True, check=False).stdout
        except PermissionError:
            return "refused"

    assert as_nobody(run) == "refused"


def test_nobody_reads_the_secrets_of_containers(used: Target) -> None:
    database = used.daemon.folder / "d/metadata.db"
    copy = used.daemon.folder / "copied.db"
    for suffix in ("", "-wal"):
        shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")
    with closing(sqlite3.connect(copy)) as opened:
        assert SECRET in str(opened.execute("SELECT * FROM record").fetchall()), (
            "the secret is not where it is looked for"
        )

    def read() -> bool:
        try:
            return SECRET.encode() in database.read_bytes()
        except PermissionError:
            return False

    assert as_nobody(read) is False


def test_wider_roots_are_narrowed_at_open(busybox_tar: Path) -> None:
    with _used(busybox_tar) as target:
        target.cli("run", *OFF, "-v", "named:/named", "bb", "true")
        target.daemon.stop()
        paths = [target.daemon.folder / name for name in ("d", "d/volumes", "d/snapshots", "d/metadata.db", "e/tasks")]
        for path in paths:
            path.chmod(0o755)
        target.daemon.start()
        target.cli("run", "--rm", *OFF, "bb", "true")
        assert {path: oct(stat.S_IMODE(path.stat().st_mode)) for path in paths if _shared(path)} == {}


def test_what_containers_make_and_see_keeps_its_usual_modes(used: Target, tmp_path: Path) -> None:
    """The engine's own umask is nobody else's: processes in containers have 022, and their files can be read."""
    seen = (
        "/",
        "/umask",
        "/made",
        "/folder",
        "/new",
        "/new/place",
        "/data",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
    )
    inside = "umask; cat /umask; touch /t; mkdir /d; stat -c '%a %n' /t /d " + " ".join(seen)
    lines = used.cli.text(
        "run",
        "--rm",
        *OFF,
        "-v",
        f"{tmp_path}/absent/deep:/bind",
        "-v",
        "fresh:/fresh",
        "built",
        "sh",
        "-c",
        inside + " /bind /fresh",
    )
    expected = ["0022", "0022", "644 /t", "755 /d", "755 /", "644 /umask", "644 /made"]
    expected += [f"755 {path}" for path in ("/folder", "/new", "/new/place", "/data")]
    expected += [f"644 {path}" for path in seen[-3:]] + ["755 /bind", "755 /fresh"]
    assert lines.splitlines() == expected
    assert used.cli.text("exec", "running", "sh", "-c", "umask").strip() == "0022"
    assert oct(stat.S_IMODE((tmp_path / "absent").stat().st_mode)) == "0o755"
    assert "127.0.0.1" in used.cli.text("run", "--rm", *OFF, "-u", "1000", "built", "cat", "/etc/hosts")


def test_a_used_registry_is_closed_to_other_users() -> None:
    """Also file by file: a root that belongs to another owner cannot be closed."""
    with short_folder("reg-") as folder:
        folder.chmod(0o755)
        root = folder / "root"
        root.mkdir()
        (root / "registry.sqlite").touch(0o644)  # as earlier versions made it
        with Spawned(root, access_log=str(root / "access.log")) as registry:
            raw = Raw(registry.address)
            raw.push_image("team/app", "1", "seed")
            assert raw("POST", "/v2/team/app/blobs/uploads/").status == 202
            raw.close()
            assert open_to_nobody(root) == []
            below = [path for path in root.rglob("*") if path.is_file()]
            assert {"registry.sqlite", "registry.sqlite-wal", "access.log"} <= {path.name for path in below}
            assert [path for path in below if _shared(path)] == []


def test_an_engine_in_a_program_closes_its_root_whatever_the_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        with Engine(tmp_path / "root") as engine:
            engine.volumes.create("named")
            assert open_to_nobody(tmp_path / "root") == []
            assert not any(_shared(path) for path in (tmp_path / "root").glob("metadata.db*"))
    finally:
        os.umask(before)
