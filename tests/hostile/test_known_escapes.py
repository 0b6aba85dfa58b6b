"""Ways out of containers and builds of other engines that no other file here tries (SECURITY.md lists them all)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.hostile import OFF, Target

pytestmark = pytest.mark.root

SWAPS = "while test ! -e /c/end; do mkdir /c/d; rmdir /c/d; ln -s {host} /c/d; rm /c/d; done; rm /c/end"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of the host with a secret in it, and an empty folder and file."""
    (tmp_path / "secret").write_text("of the host")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def _engine(target: Target) -> Iterator[Path]:
    """The /proc folders of the daemon and of all that it has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if os.fsencode(target.daemon.folder) in words:
            yield folder


def _sockets(target: Target) -> set[str]:
    """The inodes of the sockets that the engine has open."""
    inodes = set()
    for folder in _engine(target):
        for fd in (folder / "fd").glob("*"):
            with suppress(OSError):  # it has been closed
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(fd))
                inodes |= {match[1]} if match else set()
    return inodes


@pytest.mark.parametrize("place", ["/proc", "/proc/self/attr", "/sys"])
def test_an_image_with_a_volume_over_proc_keeps_no_path_open(either: Target, place: str) -> None:
    """CVE-2019-16884: with a volume at /proc nothing was masked, and the AppArmor profile was written to a file."""
    either.image("covering", changes=[f"VOLUME {place}"])
    id = either.create("sh", "-c", "head -c 1 /proc/kcore /proc/keys; echo open", image="covering")
    answer = either.start(id)
    either.remove(id)
    assert (
        answer.status,
        f"cannot mount {'over' if place in ('/proc', '/sys') else 'at'} {place}" in answer.message,
    ) == (
        400,
        True,
    )


def test_no_socket_of_the_engine_has_an_abstract_name(either: Target) -> None:
    """CVE-2020-15257: containerd's shim listened on one, which every container with the host's network reaches."""
    id = either.create("sleep", "300", host={"NetworkMode": "host"})
    try:
        assert either.start(id).status == 204
        seen = either.cli.text("exec", id, "cat", "/proc/net/unix").splitlines()[1:]
        named = {line.split()[6]: line.split()[-1] for line in seen}
        engine = _sockets(either) & set(named)
        assert engine, "the container sees the host's sockets, the engine's among them"
        assert not [named[inode] for inode in engine if named[inode].startswith("@")]
    finally:
        either.remove(id)


def test_no_cgroup_file_of_the_host_is_written(either: Target) -> None:
    """CVE-2022-0492: release_agent of a cgroup v1 hierarchy runs a program as root of the host."""
    mounted = "mkdir /m; for kind in rdma memory misc cpu; do mount -t cgroup -o $kind x /m && echo mounted; done; true"
    script = f"unshare -Urm sh -c '{mounted}'; {mounted.replace('mkdir /m', 'mkdir -p /m')}; "
    script += "for file in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release | head -50); do "
    script += "echo /tmp/x > $file && echo written; done; echo tried"
    for way in (("run", "--rm", *OFF, "bb"), ("run", "--rm", *OFF, "--cap-add", "SYS_CHROOT", "bb")):
        said = either.cli(*way, "sh", "-c", script, check=False).stdout.decode()
        assert said.endswith("tried\n")
        assert "mounted" not in said
        assert "written" not in said
    with either.running("sleep 300") as id:
        said = either.cli("exec", id, "sh", "-c", script, check=False).stdout.decode()
        assert "mounted" not in said
        assert "written" not in said


def test_a_cache_that_another_build_swaps_leads_nowhere(either: Target, host: Path) -> None:
    """CVE-2024-23651: a mount inside a cache that two builds share was looked up twice."""
    swapping = threading.Thread(
        target=either.build,
        args=(f"FROM bb\nRUN --mount=type=cache,id=shared,target=/c {SWAPS.format(host=host)}\n",),
    )
    swapping.start()
    mounts = "--mount=type=cache,id=shared,target=/c --mount=type=bind,source=f,target=/c/d/file"
    try:
        for number in range(8):
            built = either.build(f"FROM bb\nRUN {mounts} echo {number}; cat /c/d/secret\n", f=b"of the context")
            assert "of the host" not in built
    finally:
        either.build("FROM bb\nARG n\nRUN --mount=type=cache,id=shared,target=/c date > /c/end\n")
        swapping.join(60)
    assert (host / "file").read_text() == ""
    assert (host / "secret").read_text() == "of the host"


@pytest.mark.parametrize("kind", ["tmpfs", "cache", "bind,source=f"])
def test_the_places_of_a_steps_mounts_are_not_removed_by_name(either: Target, host: Path, kind: str) -> None:
    """CVE-2024-23652: what a step put in the place of a mount's folder was removed from the host."""
    name = "file" if kind.startswith("bind") else "folder"
    built = either.build(
        f"FROM bb\nRUN --mount=type={kind},target=/made/{name} mv /made /away; ln -s {host} /made && ls -l /made\n",
        f=b"of the context",
    )
    assert "of the host" not in built
    assert sorted(path.name for path in host.iterdir()) == ["file", "folder", "secret"]


def test_no_step_of_a_build_gets_privileges_by_asking(either: Target) -> None:
    """CVE-2024-23653: a build could ask for a privileged step without anybody's leave."""
    built = either.build("FROM bb\nRUN --security=insecure grep CapEff /proc/self/status\n")
    assert "errorDetail" in built
    assert "CapEff:" not in built


def test_nothing_of_the_engine_listens_where_containers_reach_it(either: Target) -> None:
    """CVE-2025-9074: the API answered every container at an address of the machine's own network."""
    assert either.cli.text("run", "--rm", "bb", "true") == ""
    either.cli("run", "-d", "--name", "published", "-p", "127.0.0.1::80", "bb", "sleep", "300")
    try:
        gateway = either.cli.text(
            "run", "--rm", "bb", "sh", "-c", "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'"
        )
        script = (
            f"for port in 2375 2376 2377 80; do nc -w 1 {gateway.strip()} $port </dev/null && echo open; done; true"
        )
        assert "open" not in either.cli.text("run", "--rm", "bb", "sh", "-c", script)
        listening = {
            line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"
        }
        loopback = {
            line.split()[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()
            if line.split()[1].startswith("0100007F:")
        }
        assert not (listening - loopback) & _sockets(either)
    finally:
        either.cli("rm", "-f", "published")
