"""What a default container may do: what Docker 20.10 lets it do, in its first process, in later ones, and in execs."""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamina.runtime.apparmor import AppArmor
from support.hostile import OFF, Target

pytestmark = pytest.mark.root

DEFAULT = 0xA80425FB  # CapEff of `docker run` 20.10
STATUS = ("grep", "-E", "^(Cap|NoNewPrivs|Seccomp:)", "/proc/self/status")
EPERM, ENOSYS, EINVAL = 1, 38, 22

# x86-64's numbers of calls that the default profile forbids, with arguments that would not fail so early by themselves.
FORBIDDEN = {
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 0),
    "pivot_root": (155, 0, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0),
    "keyctl": (250, 0, -3 % 2**64, 0),
    "unshare user": (272, 0x10000000),
    "unshare mounts": (272, 0x20000),
    "clone user": (56, 0x10000011, 0, 0, 0, 0),
    "setns": (308, 0, 0),
    "bpf": (321, 0, 0, 72),
    "perf_event_open": (298, 0, 0, -1 % 2**64, -1 % 2**64, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "userfaultfd": (323, 0),
    "init_module": (175, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "reboot": (169, 0, 0, 0, 0),
    "open_tree": (428, 0, 0, 0),
    "fsopen": (430, 0, 0),
    "personality": (135, 0x0400000),
    "socket of virtual machines": (41, 40, 1, 0),
    "syslog": (103, 3, 0, 0),
}


def _program(calls: dict[str, tuple[int, ...]]) -> bytes:
    """An ELF executable for x86-64 that makes each call and writes what it gave, eight bytes each."""
    code = b""
    for number, *arguments in calls.values():
        registers = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8", b"\x49\xb9")
        for register, argument in zip(registers, arguments, strict=False):
            code += register + struct.pack("<Q", argument)
        code += b"\x48\xb8" + struct.pack("<Q", number) + b"\x0f\x05\x50"  # call; push rax
        code += bytes.fromhex("b801000000bf010000004889e6ba080000000f0558")  # write(1, rsp, 8); pop rax
    code += bytes.fromhex("31ffb83c0000000f05")  # exit(0)
    base, size = 0x400000, 120 + len(code)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code


@dataclass(frozen=True)
class Place:
    """A container that runs a while, with the program of forbidden calls in it."""

    target: Target
    id: str

    def exec(self, *command: str) -> bytes:
        return self.target.cli("exec", self.id, *command).stdout


@pytest.fixture(scope="module")
def place(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    program = tmp_path_factory.mktemp("calls") / "calls"
    program.write_bytes(_program({**FORBIDDEN, "clone3": (435, 0, 0)}))
    program.chmod(0o755)
    script = (
        f"/calls > /first; {' '.join(STATUS[:2])} '{STATUS[2]}' {STATUS[3]} > /status; touch /ready; exec sleep 300"
    )
    with target.running(script, "-v", f"{program}:/calls:ro") as id:
        target.cli("exec", id, "sh", "-c", "until test -e /ready; do :; done")
        yield Place(target, id)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program of calls is for x86-64")
@pytest.mark.parametrize("command", [("cat", "/first"), ("/calls",)], ids=["first", "exec"])
def test_calls_of_the_default_profile_are_refused(place: Place, command: tuple[str, ...]) -> None:
    results = struct.unpack(f"<{len(FORBIDDEN) + 1}q", place.exec(*command))
    found = dict(zip([*FORBIDDEN, "clone3"], results, strict=True))
    assert found == {**dict.fromkeys(FORBIDDEN, -EPERM), "clone3": -ENOSYS}


def _status(text: bytes) -> dict[str, int]:
    rows = (line.split(":") for line in text.decode().splitlines())
    return {name: int(value, 16) for name, value in rows}


def test_capabilities_are_dockers(place: Place) -> None:
    plain = {"CapInh": 0, "CapPrm": DEFAULT, "CapEff": DEFAULT, "CapBnd": DEFAULT, "CapAmb": 0}
    for command in (("cat", "/status"), STATUS):
        assert _status(place.exec(*command)) == {**plain, "NoNewPrivs": 0, "Seccomp": 2}
    other = _status(place.target.cli("exec", "-u", "7", place.id, *STATUS).stdout)
    assert other == {**plain, "CapPrm": 0, "CapEff": 0, "NoNewPrivs": 0, "Seccomp": 2}
    all_of_them = _status(place.target.cli("exec", "--privileged", place.id, *STATUS).stdout)
    assert (all_of_them["CapEff"] > DEFAULT, all_of_them["Seccomp"]) == (True, 2)


def test_no_new_privileges_holds_for_execs_as_well(target: Target) -> None:
    with target.running("exec sleep 300", "--security-opt", "no-new-privileges", "--cap-drop", "ALL") as id:
        for user in ("0", "7"):
            found = _status(target.cli("exec", "-u", user, id, *STATUS).stdout)
            assert (found["NoNewPrivs"], found["CapBnd"], found["CapEff"]) == (1, 0, 0)


def test_paths_are_masked_and_read_only(place: Place) -> None:
    files = "/proc/kcore /proc/keys /proc/timer_list /proc/latency_stats /proc/sched_debug /proc/interrupts"
    assert place.exec("sh", "-c", f"for f in {files}; do head -c 100 $f; done 2>/dev/null; true") == b""
    folders = "/proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap"
    assert place.exec("sh", "-c", f"for d in {folders}; do ls -A $d; done 2>/dev/null; true") == b""
    places = "/proc/sysrq-trigger /proc/sys/kernel/panic /proc/irq/default_smp_affinity /sys/power/state"
    written = f"for f in {places} /sys/fs/cgroup/*/cgroup.procs; do (echo 0 > $f) 2>/dev/null && echo $f; done; true"
    assert place.exec("sh", "-c", written) == b""


def test_devices_of_the_host_stay_closed(place: Place) -> None:
    for kind, major, minor in (("c", 1, 1), ("c", 1, 4), ("b", 8, 0), ("b", 254, 0), ("c", 10, 130), ("c", 10, 229)):
        made = f"rm -f /d; mknod /d {kind} {major} {minor} && (true < /d; true > /d) 2>&1"
        said = place.exec("sh", "-c", f"{made} || true")
        assert said.count(b"Operation not permitted") == 2, said


def test_nothing_of_the_engine_is_open_inside(place: Place) -> None:
    held = place.exec("sh", "-c", "ls -l /proc/1/fd /proc/self/fd | grep -o '> .*'").decode().split()[1::2]
    assert all(name.startswith(("pipe:", "/dev/null", "/proc/")) for name in held), held
    seen = place.exec("cat", "/proc/mounts").decode()
    assert not [line for line in seen.splitlines() if line.split()[1].startswith(str(place.target.daemon.folder))]


def test_processes_of_the_host_are_not_there(place: Place) -> None:
    numbers = place.exec("sh", "-c", "echo /proc/[0-9]*").split()
    assert len(numbers) < 10
    assert f"/proc/{os.getpid()}".encode() not in numbers or os.getpid() < 50
    assert b"sleep" in place.exec("cat", "/proc/1/cmdline")


def test_a_profile_of_the_user_counts_in_execs_too(target: Target, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}')
    with target.running("exec sleep 300", "--security-opt", f"seccomp={profile}") as id:
        assert b"not permitted" in target.cli("exec", id, "mkdir", "/x", check=False).stderr
    assert target.cli.text("run", "--rm", *OFF, "bb", "mkdir", "/x") == ""


def test_a_profile_of_the_user_counts_for_the_privileged_too(either: Target, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}')
    options = ("--privileged", "--security-opt", f"seccomp={profile}")
    refused = either.cli("run", "--rm", *OFF, *options, "bb", "mkdir", "/x", check=False)
    assert b"not permitted" in refused.stderr
    with either.running("exec sleep 300", *options) as id:
        for privilege in ((), ("--privileged",)):
            assert b"not permitted" in either.cli("exec", *privilege, id, "mkdir", "/x", check=False).stderr
    assert either.cli.text("run", "--rm", *OFF, "--privileged", "bb", "mkdir", "/x") == ""


@pytest.mark.skipif(
    AppArmor().enabled or Path("/sys/fs/selinux/enforce").exists(), reason="this host can apply such options"
)
def test_confinement_that_the_host_cannot_give_is_refused_in_words(target: Target) -> None:
    for option, words in (
        ("apparmor=mine", "apparmor=mine cannot be applied: this host has no AppArmor"),
        ("apparmor=docker-default", "this host has no AppArmor"),
        ("label=type:container_t", "label=type:container_t cannot be applied"),
    ):
        host = {"SecurityOpt": [option]}
        answer = target.ask("POST", "/containers/create", {"Image": "bb", "HostConfig": host})
        assert (answer.status, words in answer.message) == (400, True), answer.body
    lifted = ("--security-opt", "apparmor=unconfined", "--security-opt", "label=disable")
    assert target.cli.text("run", "--rm", *OFF, *lifted, "bb", "echo", "runs") == "runs\n"
    told = target.ask("GET", "/info").json["SecurityOptions"]
    assert not [option for option in told if option.startswith(("name=apparmor", "name=selinux"))]
