"""User namespaces and the ids in them, against the kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.linux.mounts import idmapped_tree
from lamina.linux.processes import making_files_of
from lamina.linux.user_namespaces import (
    OVERFLOW,
    IdMap,
    IdRange,
    UserNamespace,
    ids_of,
    sweep_user_namespaces,
    user_namespace,
)

IDS = IdMap((IdRange(0, 300_000, 1000), IdRange(1000, 500_000, 10)), (IdRange(0, 400_000, 1000),))


@pytest.fixture
def userns(tmp_path: Path) -> Iterator[UserNamespace]:
    made = user_namespace(tmp_path / "users", IDS)
    yield made
    made.remove()


def test_ids_are_the_hosts_by_their_ranges() -> None:
    assert IDS.root == (300_000, 400_000)
    assert IDS.to_host(1009, 999) == (500_009, 400_999)
    assert IDS.to_inside(500_009, 400_999) == (1009, 999)
    assert IDS.to_inside(0, 0) == (OVERFLOW, OVERFLOW)
    with pytest.raises(InvalidInput, match="Container ID 1010 cannot be mapped"):
        IDS.to_host(1010, 0)


def test_the_last_group_is_before_the_first_gap() -> None:
    assert IDS.last_gid == 999
    assert IdMap((), (IdRange(0, 7, 10), IdRange(20, 30, 5))).last_gid == 9
    assert IdMap((), ()).last_gid == -1


@pytest.mark.root
def test_a_namespace_is_made_once_and_found_again(userns: UserNamespace) -> None:
    first = os.stat(userns.make())
    assert os.path.samestat(first, os.stat(user_namespace(userns.path.parent, IDS).make()))
    assert user_namespace(userns.path.parent, IdMap(IDS.uids, IDS.uids)).path != userns.path
    assert not userns.has(os.getpid())
    shown = subprocess.run(
        ["nsenter", f"--user={userns.path}", "sh", "-c", "id -u; cat /proc/self/uid_map"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == ["0", "0", "300000", "1000", "1000", "500000", "10"]
    userns.remove()
    assert not userns.path.exists()


@pytest.mark.root
def test_what_earlier_engines_pinned_is_let_go(userns: UserNamespace) -> None:
    other = user_namespace(userns.path.parent, IdMap(IDS.uids, IDS.uids))
    for each in (userns, other):
        each.make()
    (userns.path.parent / "half-made").touch()
    sweep_user_namespaces(userns.path.parent, userns)
    assert os.listdir(userns.path.parent) == [userns.path.name]
    assert userns.has(os.getpid()) is False
    sweep_user_namespaces(userns.path.parent, None)
    sweep_user_namespaces(userns.path.parent / "missing", None)
    assert os.listdir(userns.path.parent) == []


@pytest.mark.root
def test_the_ids_of_a_process_are_read_back(userns: UserNamespace) -> None:
    assert ids_of(os.getpid()) is None
    command = ["nsenter", f"--user={userns.make()}", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.read(1) == b"\n"  # it is inside
        assert ids_of(process.pid) == IDS
        assert userns.has(process.pid)


@pytest.mark.root
def test_its_root_manages_the_networks_that_it_owns(userns: UserNamespace) -> None:
    up = ["nsenter", f"--user={userns.make()}"]
    with userns.network() as path:
        subprocess.run([*up, f"--net={path}", "ip", "link", "set", "lo", "up"], check=True)
    done = subprocess.run([*up, "ip", "link", "set", "lo", "up"], check=False, capture_output=True)
    assert done.returncode != 0, "and not the host's"


@pytest.mark.root
def test_files_made_for_a_mapped_tree_belong_to_somebody_whom_it_knows(userns: UserNamespace, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    namespace = userns.open()
    tree = idmapped_tree(tmp_path / "tree", namespace)
    try:
        with pytest.raises(OSError, match="Value too large"):
            os.mkdir("of-the-host", dir_fd=tree)
        with making_files_of(IDS.root):
            os.mkdir("of-root", dir_fd=tree)
            os.mkdir("of-somebody", dir_fd=tree)
            os.chown("of-somebody", 300_007, 400_008, dir_fd=tree)
            (tmp_path / "secret").write_text("still root's to read")
            (tmp_path / "secret").chmod(0)
            assert (tmp_path / "secret").read_text()
        assert (os.stat("of-root", dir_fd=tree).st_uid, os.stat(tmp_path / "tree/of-root").st_uid) == (300_000, 0)
        there = os.stat(tmp_path / "tree/of-somebody")
        assert (there.st_uid, there.st_gid) == (7, 8)
    finally:
        os.close(tree)
        os.close(namespace)
    (tmp_path / "after").touch()
    assert (tmp_path / "after").stat().st_uid == 0
