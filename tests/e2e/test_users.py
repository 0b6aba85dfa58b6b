"""`userns-remap` by Docker's client: containers with users of their own, over the layers that all others share."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.programs import need
from support.subordinate_ids import FIRST, SETTING, subordinate_ids

pytestmark = [pytest.mark.root, pytest.mark.peer]

DOCKERFILE = """
FROM bb
RUN id -u && mkdir /w && touch /w/a && chown 7:8 /w/a
VOLUME /own
RUN mkdir /own && touch /own/kept && test -O /own/kept
RUN --mount=type=cache,target=/cache test -O /cache && touch /cache/kept
COPY --chown=3:4 file /in
RUN --mount=type=bind,target=/context,rw touch /context/new && stat -c %u /context/file
USER 1000
RUN id -u
"""


@pytest.fixture(scope="module", params=["crun", "runc"])
def daemon(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Daemon]:
    flags = ("--userns-remap", SETTING, "--default-runtime", need(request.param))
    with subordinate_ids(), lamina_daemon(*flags) as daemon:
        daemon.docker("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        yield daemon


def shell(daemon: Daemon, script: str, *options: str) -> str:
    return daemon.text("run", "--rm", "--network", "none", *options, "bb", "sh", "-c", script)


def refused(daemon: Daemon, *arguments: str) -> str:
    done = daemon.docker("run", "--rm", *arguments, "bb", "true", check=False)
    assert done.returncode == 125
    return done.stderr.decode()


def owners(archive: bytes) -> dict[str, tuple[int, int]]:
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        return {member.name: (member.uid, member.gid) for member in tar}


def test_root_inside_is_somebody_else_outside(daemon: Daemon) -> None:
    assert "name=userns" in json.loads(daemon.text("info", "-f", "{{json .SecurityOptions}}"))
    shown = shell(daemon, "id -u; cat /proc/self/uid_map; stat -c %u:%g / /bin/busybox /etc/hosts /dev/shm")
    assert shown.split() == ["0", "0", str(FIRST), "65536", *["0:0"] * 4]


def test_its_root_does_what_root_does_inside(daemon: Daemon) -> None:
    script = (
        "echo 10.0.0.1 added >> /etc/hosts; echo out > /dev/stdout; chown 5:6 /tmp; stat -c %u:%g /tmp;"
        "echo x > /scratch/x; stat -c %u:%g /scratch /given; su -s /bin/sh -c id nobody 2>&1 | cut -c -3;"
        "echo 1 > /opt/null; cat; hostname"
    )
    places = ("--tmpfs", "/scratch", "--tmpfs", "/given:uid=5,gid=6", "--device", "/dev/null:/opt/null", "-h", "here")
    shown = shell(daemon, script, *places)
    assert shown.split("\n") == ["out", "5:6", "0:0", "5:6", "uid", "here"]
    assert shell(daemon, "test -w /dev/shm && echo shared", "--ipc", "host") == "shared"
    assert shell(daemon, "id -u; echo told > /dev/stderr", "-u", "1000", "--read-only", "--init").split() == ["1000"]


def test_a_terminal_and_an_exec_belong_to_the_user_inside(daemon: Daemon) -> None:
    assert shell(daemon, "stat -c %u $(tty)", "-t") == "0"
    id = daemon.text("run", "-d", "--network", "none", "bb", "sleep", "1000")
    assert daemon.text("exec", "-u", "1000", id, "sh", "-c", "id -u; echo out > /dev/stdout").split() == ["1000", "out"]
    assert daemon.text("exec", "-t", id, "sh", "-c", "stat -c %u $(tty); cat /proc/self/uid_map").split()[:3] == [
        *("0", "0", str(FIRST))
    ]
    daemon.docker("rm", "-f", id)


def test_networks_are_the_containers_own_to_manage(daemon: Daemon) -> None:
    daemon.docker("network", "create", "named")
    id = daemon.text(
        "run", "-d", "--network", "named", "--name", "server", "--cap-add", "NET_ADMIN", "bb", "sleep", "99"
    )
    assert daemon.docker("exec", id, "ip", "link", "set", "eth0", "mtu", "1300").returncode == 0
    assert "server" in daemon.text("run", "--rm", "--network", "named", "bb", "nslookup", "-type=a", "server")
    ping = daemon.text("run", "--rm", "-u", "1000", "--network", f"container:{id}", "bb", "cat", "/proc/net/dev")
    assert "eth0" in ping
    group_range = daemon.text("exec", id, "cat", "/proc/sys/net/ipv4/ping_group_range")
    assert group_range.split() == ["0", "65535"]
    daemon.docker("rm", "-f", id)
    daemon.docker("network", "rm", "named")


def test_files_go_in_and_out_with_the_owners_seen_inside(daemon: Daemon, tmp_path: Path) -> None:
    script = "touch /root/f; chown 1000:1001 /root/f; touch /data/v; chown 7:8 /data/v; sleep 1000"
    id = daemon.text("run", "-d", "--network", "none", "-v", "files:/data", "bb", "sh", "-c", script)
    (tmp_path / "given").write_text("given")
    os.chown(tmp_path / "given", 1234, 5)
    for state in ("running", "stopped"):
        daemon.docker("cp", "-a", str(tmp_path / "given"), f"{id}:/root/{state}")
        daemon.docker("cp", "-a", str(tmp_path / "given"), f"{id}:/data/{state}")
        assert owners(daemon.docker("cp", f"{id}:/data", "-").stdout) == {
            **dict.fromkeys(["data"], (0, 0)),
            "data/v": (7, 8),
            **dict.fromkeys(["data/running", *([f"data/{state}"] if state == "stopped" else [])], (1234, 5)),
        }
        exported = owners(daemon.docker("export", id).stdout)
        assert (exported["root/f"], exported[f"root/{state}"], exported["bin"]) == ((1000, 1001), (1234, 5), (0, 0))
        if state == "running":
            daemon.docker("stop", "-t", "0", id)
    assert "A /root/f" in daemon.text("diff", id)
    daemon.docker("commit", id, "kept")
    assert daemon.text("run", "--rm", "kept", "stat", "-c", "%u:%g", "/root/f", "/root").split() == ["1000:1001", "0:0"]
    with_hosts_users = daemon.text("run", "--rm", "--userns", "host", "kept", "stat", "-c", "%u:%g", "/root/f")
    assert with_hosts_users == "1000:1001", "the image's owners are its own"
    daemon.docker("rm", "-f", id)
    daemon.docker("volume", "rm", "files")


def test_volumes_belong_to_root_inside(daemon: Daemon, tmp_path: Path) -> None:
    source = tmp_path / "made/here"
    daemon.docker("volume", "create", "empty")
    script = "touch /empty/a /bin/a /bound/a && stat -c %u:%g /empty /bin /bound /bin/sh"
    shown = shell(daemon, script, "-v", "empty:/empty", "-v", "filled:/bin", "-v", f"{source}:/bound")
    assert shown.split() == ["0:0"] * 4
    for name in ("empty", "filled"):
        folder = Path(daemon.text("volume", "inspect", "-f", "{{.Mountpoint}}", name))
        assert {folder.stat().st_uid, (folder / "a").stat().st_uid} == {FIRST}
    assert {(source / "a").stat().st_uid, source.stat().st_uid, source.parent.stat().st_uid} == {FIRST}
    daemon.docker("volume", "rm", "empty", "filled")


def test_builds_run_as_the_same_users(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "file").write_text("text")
    for network in ("none", "bridge"):
        daemon.docker("build", "--no-cache", "--network", network, "-t", "built", ".", cwd=tmp_path)
    shown = daemon.text("run", "--rm", "-u", "0", "built", "stat", "-c", "%u:%g", "/w/a", "/in", "/w", "/own")
    assert shown.split() == ["7:8", "3:4", "0:0", "0:0"]
    done = daemon.docker("build", "--no-cache", "--network", "host", ".", cwd=tmp_path, check=False)
    assert b"cannot share the host's network namespace when user namespaces are enabled" in done.stdout + done.stderr


def test_what_needs_the_hosts_users_is_refused(daemon: Daemon) -> None:
    assert "privileged mode is incompatible with user namespaces" in refused(daemon, "--privileged")
    assert "cannot share the host's network namespace" in refused(daemon, "--network", "host")
    assert "cannot share the host PID namespace" in refused(daemon, "--pid", "host")
    assert "invalid" in refused(daemon, "--userns", "container:x").lower()
    for options in ("--privileged", "--network=host", "--pid=host"):
        shown = daemon.text("run", "--rm", "--userns", "host", options, "bb", "cat", "/proc/self/uid_map")
        assert shown.split() == ["0", "0", "4294967295"]
    host = daemon.text("run", "-d", "--userns", "host", "--network", "none", "--name", "theirs", "bb", "sleep", "1000")
    assert "that has other users" in refused(daemon, "--network", "container:theirs")
    daemon.docker("rm", "-f", host)


def test_containers_keep_their_users_when_the_setting_changes(daemon: Daemon, tmp_path: Path) -> None:
    script = "touch /f; chown 1000:1001 /f; sleep 1000"
    id = daemon.text("run", "-d", "--network", "none", "-v", "later:/data", "bb", "sh", "-c", script)
    before = daemon.command
    flag = before.index("--userns-remap")
    try:
        daemon.kill()
        daemon.command = [*before[:flag], *before[flag + 2 :]]
        daemon.start()
        assert owners(daemon.docker("cp", f"{id}:/f", "-").stdout) == {"f": (1000, 1001)}
        assert daemon.text("exec", id, "cat", "/proc/self/uid_map").split()[1] == str(FIRST)
        daemon.docker("restart", "-t", "0", id)
        assert daemon.text("exec", id, "cat", "/proc/self/uid_map").split()[1] == "0"
        assert daemon.text("exec", id, "stat", "-c", "%u:%g", "/f") == "1000:1001", "its own files are what they were"
    finally:
        daemon.stop()
        daemon.command = before
        daemon.start()
    daemon.docker("rm", "-f", id)
    daemon.docker("volume", "rm", "later")


def test_trees_that_are_copied_are_mapped_too(busybox_tar: Path) -> None:
    with subordinate_ids(), lamina_daemon("--userns-remap", SETTING, driver="copy") as copying:
        copying.docker("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        script = "touch /f; chown 1000:1001 /f; touch /data/v; sleep 1000"
        id = copying.text("run", "-d", "--network", "none", "-v", "files:/data", "bb", "sh", "-c", script)
        shown = copying.text("exec", id, "stat", "-c", "%u:%g", "/f", "/bin", "/data/v")
        assert shown.split() == ["1000:1001", "0:0", "0:0"]
        copying.kill()
        copying.start()
        assert owners(copying.docker("cp", f"{id}:/f", "-").stdout) == {"f": (1000, 1001)}
        assert copying.text("diff", id).split("\n") == ["A /data", "A /f"]
        copying.docker("commit", id, "kept")
        assert copying.text("run", "--rm", "--userns", "host", "kept", "stat", "-c", "%u:%g", "/f") == "1000:1001"
        copying.docker("rm", "-f", id)
