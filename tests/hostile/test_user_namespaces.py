"""With `userns-remap`, root of a container is nobody outside: neither to files, nor to processes, nor to devices."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.hostile import Target, attacked
from support.programs import need
from support.subordinate_ids import FIRST, SETTING, subordinate_ids

pytestmark = pytest.mark.root

EVERYTHING = ("--cap-add", "ALL", "--security-opt", "seccomp=unconfined")


@pytest.fixture(scope="module", params=["crun", "runc"])
def remapped(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Target]:
    flags = ("--userns-remap", SETTING, "--default-runtime", need(request.param))
    with subordinate_ids(), attacked(busybox_tar, *flags) as target:
        yield target


def attempt(target: Target, script: str, *options: str) -> str:
    """What a script prints that has all that a container can be given."""
    done = target.cli("run", "--rm", "--network", "none", *EVERYTHING, *options, "bb", "sh", "-c", script, check=False)
    return (done.stdout + done.stderr).decode()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of the host's root, with a secret in it, where everybody may write."""
    folder = tmp_path / "host"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "secret").write_text("of the host")
    (folder / "secret").chmod(0o600)
    (folder / "private").mkdir(mode=0o700)
    return folder


def test_roots_files_on_the_host_are_closed_to_it(remapped: Target, host: Path) -> None:
    script = (
        "for do in 'cat /h/secret' 'touch /h/private/x' 'chown 0 /h/secret' 'chmod 666 /h/secret' "
        "'cp /bin/busybox /h/shell'; do $do 2>/dev/null && echo done: $do; done;"
        "chmod 4755 /h/shell; stat -c %u:%g /h/secret /h/shell"
    )
    shown = attempt(remapped, script, "-v", f"{host}:/h").splitlines()
    assert shown == ["done: cp /bin/busybox /h/shell", "65534:65534", "0:0"]
    status = (host / "shell").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (FIRST, FIRST, 0o4755), "a program of nobody's"
    assert (host / "secret").stat().st_mode & 0o777 == 0o600
    assert not list((host / "private").iterdir())


@pytest.fixture
def devices() -> Iterator[Callable[[], list[tuple[int, int, int]]]]:
    """Owners and modes of the host's devices. They are set right again when an attack has gone well."""
    paths = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")]

    def look() -> list[tuple[int, int, int]]:
        return [(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) for status in map(os.stat, paths)]

    before = look()
    yield look
    for path, (uid, gid, mode) in zip(paths, before, strict=True):
        os.chown(path, uid, gid)
        os.chmod(path, mode)


def test_settings_and_disks_of_the_host_are_closed_to_it(remapped: Target) -> None:
    script = (
        "for do in 'mknod /disk b 254 0' 'mount -t ext4 /dev/vda /tmp' 'dmesg -c' 'sysctl -w vm.drop_caches=1' "
        "'sysctl -w kernel.core_pattern=x' 'chown 1 /dev/null' 'chmod 600 /dev/zero'; "
        "do $do >/tmp/out 2>&1 && ! grep -qi -e denied -e permitted /tmp/out && echo done: $do; done; echo end"
    )
    assert attempt(remapped, script, "--security-opt", "systempaths=unconfined").splitlines() == ["end"]


def test_no_start_gives_a_device_of_the_host_to_a_container(
    remapped: Target, devices: Callable[[], list[tuple[int, int, int]]]
) -> None:
    before = devices()
    for options in ((), ("-u", "1000:1000"), ("-i",), ("-t",), ("-d",)):
        attempt(remapped, "chmod 666 /dev/null /dev/zero 2>/dev/null; true", *options)
    with remapped.running("sleep 1000") as id:
        for options in ((), ("-u", "1000:1000"), ("-t",), ("-d",)):
            remapped.cli("exec", *options, id, "true")
    assert devices() == before


def test_its_files_are_behind_a_closed_door(remapped: Target) -> None:
    """On disk a container's files belong to whom it sees. Only root of the host can reach them there."""
    with remapped.running("cp /bin/busybox /shell; chmod 4755 /shell; sleep 1000") as id:
        assert remapped.daemon.folder.joinpath("d").stat().st_mode & 0o077 == 0
        pid = int(remapped.cli.text("inspect", "-f", "{{.State.Pid}}", id))
        assert os.stat(f"/proc/{pid}/root/bin").st_uid == FIRST
        assert os.stat(f"/proc/{pid}").st_uid == FIRST
        assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", str(FIRST), "65536"]
