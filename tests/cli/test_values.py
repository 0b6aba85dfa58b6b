"""Sizes, times, ports, mounts and limits: the notations of Docker's flags and tables."""

from __future__ import annotations

import json
import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from lamina.api.build import BuildRequest
from lamina.api.containers import Config, HostConfig, NetworkingConfig, UpdateConfig, decode, encode
from lamina.cli.arguments import filters, moment
from lamina.cli.commands.build import arguments, build
from lamina.cli.commands.containers import displayed_ports
from lamina.cli.commands.lifecycle import update
from lamina.cli.commands.run import run
from lamina.cli.copying import CopiedFile, Placement, Target, place, renamed, split_argument
from lamina.cli.key_values import boolean
from lamina.cli.parsing.declare import Command
from lamina.cli.parsing.parse import parse
from lamina.cli.run.flags import LIMITS
from lamina.cli.run.limits import READERS, gpu_requests, nano_cpus, parse_device, parse_ulimit, read_limits, size
from lamina.cli.run.mounts import binds_and_volumes, parse_mount
from lamina.cli.run.networks import exposed, network_mode, parse_publish
from lamina.cli.run.request import build_request, restart_policy, security_options
from lamina.cli.table import natural, rfc3339_nano
from lamina.cli.terminal.pump import DetachFilter, parse_keys
from lamina.client.references import split_name
from lamina.errors import InvalidInput, NotFound


def test_sizes_of_flags_may_have_no_limit() -> None:
    assert size("-1", "--memory-swap") == -1


def test_times_are_read_and_shown() -> None:
    local = time.mktime((2024, 2, 29, 0, 0, 0, 0, 0, -1))
    assert moment("2024-02-29") == f"{local:.9f}"
    assert moment("1970-01-01T01:00:00.5+01:00") == "0.500000000"
    assert moment("12.5") == "12.500000000"
    assert moment("") == ""
    assert abs(float(moment("10m") or 0) - (time.time() - 600)) < 5
    assert rfc3339_nano(1_500_000_000_000_000_001)[19:29] == ".000000001"
    for wrong in ("yesterday", "1y", "2024-1-1"):
        with pytest.raises(InvalidInput):
            moment(wrong)


@pytest.mark.parametrize(
    ("spec", "bindings"),
    [
        ("80", {"80/tcp": [{}]}),
        ("8080:80/udp", {"80/udp": [{"HostPort": "8080"}]}),
        ("127.0.0.1::53", {"53/tcp": [{"HostIp": "127.0.0.1"}]}),
        ("[::1]:80:80", {"80/tcp": [{"HostIp": "::1", "HostPort": "80"}]}),
        (
            "8000-8001:80-81",
            {"80/tcp": [{"HostPort": "8000"}], "81/tcp": [{"HostPort": "8001"}]},
        ),
        ("8000-9000:80", {"80/tcp": [{"HostPort": "8000-9000"}]}),
        ("target=80,published=8080,protocol=udp", {"80/udp": [{"HostPort": "8080"}]}),
    ],
)
def test_published_ports(spec: str, bindings: object) -> None:
    assert {port: list(hosts) for port, hosts in parse_publish([spec]).items()} == bindings


@pytest.mark.parametrize("spec", ["", "x", "0", "70000", "1:2:3", "80:x", "9-8:9-8", "1-3:1-2", "80/icmp"])
def test_wrong_ports_are_said(spec: str) -> None:
    with pytest.raises(InvalidInput, match="port"):
        parse_publish([spec])


def test_exposed_and_displayed_ports() -> None:
    assert exposed(["80", "53/udp", "7-8"]) == ["80/tcp", "53/udp", "7/tcp", "8/tcp"]
    ports = [
        {"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"},
        {"PrivatePort": 81, "Type": "tcp"},
        {"PrivatePort": 82, "Type": "tcp"},
        {"PrivatePort": 90, "PublicPort": 90, "IP": "::", "Type": "tcp"},
    ]
    assert displayed_ports(ports) == "81-82/tcp, [::]:90->90/tcp, 0.0.0.0:8080->80/tcp"


def test_volumes_and_mounts() -> None:
    assert binds_and_volumes(["/a", "name:/b:ro", "/x:/c"]) == (("name:/b:ro", "/x:/c"), {"/a": {}})
    assert parse_mount("type=bind,src=/a,dst=/b,ro,bind-propagation=rslave") == {
        "Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True, "BindOptions": {"Propagation": "rslave"},
    }  # fmt: skip
    assert parse_mount("target=/t,volume-opt=a=b,volume-label=x=y,volume-nocopy") == {
        "Type": "volume", "Target": "/t",
        "VolumeOptions": {"DriverConfig": {"Options": {"a": "b"}}, "Labels": {"x": "y"}, "NoCopy": True},
    }  # fmt: skip
    tmpfs = parse_mount('type=tmpfs,"dst=/a,b",tmpfs-size=1m,tmpfs-mode=1777')
    assert tmpfs["TmpfsOptions"] == {"SizeBytes": 1 << 20, "Mode": 0o1777}


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "type=bind",
        "type=odd,dst=/a",
        "dst=/a,what=1",
        "dst",
        "type=bind,src=/a,dst=/b,tmpfs-size=1m",
        "dst=/a,ro=7",
    ],
)
def test_wrong_mounts_are_said(spec: str) -> None:
    with pytest.raises(InvalidInput):
        parse_mount(spec)


def test_limits_and_devices() -> None:
    assert nano_cpus("1.5") == 1_500_000_000
    assert parse_device("/dev/a:/dev/b:r") == {
        "PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r",
    }  # fmt: skip
    assert parse_device("/dev/a:rw")["PathInContainer"] == "/dev/a"
    assert parse_device("/dev/a:/b")["CgroupPermissions"] == "rwm"
    assert parse_ulimit("nofile=10:20") == {"Name": "nofile", "Soft": 10, "Hard": 20}
    assert parse_ulimit("core=-1") == {"Name": "core", "Soft": -1, "Hard": -1}
    assert gpu_requests("all")[0]["Count"] == -1
    assert gpu_requests('"device=0,1"')[0]["DeviceIDs"] == ("0", "1")
    for text in ("nofile", "nofile=x", "nofile=20:10", "nofil=10"):
        with pytest.raises(InvalidInput, match="ulimit"):
            parse_ulimit(text)
    with pytest.raises(InvalidInput, match="CPUs"):
        nano_cpus("two")


def test_policies_and_options() -> None:
    assert restart_policy("on-failure:3") == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert security_options(["no-new-privileges", "systempaths=unconfined"]) == {
        "security_opt": ("no-new-privileges",),
        "masked_paths": (),
        "readonly_paths": (),
    }
    assert network_mode(["name=web,alias=db"]) == "web"
    assert boolean("T") is True
    assert filters(["label=a=b", "label=c"]) == {"label": ["a=b", "c"]}
    for wrong in (lambda: restart_policy("sometimes"), lambda: security_options(["seccomp"]), lambda: filters(["x"])):
        with pytest.raises(InvalidInput):
            wrong()


def test_numbers_in_names_sort_by_value() -> None:
    names = ["web10", "web2", "264f", "6a0", "web"]
    assert sorted(names, key=natural) == ["6a0", "264f", "web", "web2", "web10"]


def test_names_come_apart() -> None:
    assert split_name("a:1") == ("a", "1")
    assert split_name("host:5000/a") == ("host:5000/a", "")
    assert split_name("a@sha256:" + "0" * 64) == ("a", "sha256:" + "0" * 64)


def test_copies_find_their_place() -> None:
    folder, file, nothing = (Target("/d", True, True), Target("/d/f", True, False), Target("/d/new", False, False))
    assert place(CopiedFile("a", False), folder) == Placement("/d", "a")
    assert place(CopiedFile("", True), folder) == Placement("/d", "")
    assert place(CopiedFile("a", False), file) == Placement("/d", "f")
    assert place(CopiedFile("a", True), nothing) == Placement("/d", "new")
    assert place(CopiedFile("", True), Target("/d/new/", False, False)) == Placement("/d", "new")
    assert place(CopiedFile("", True), Target("new/.", False, False)) == Placement("new", ".")
    for source, target, kind in (
        (CopiedFile("a", True), file, InvalidInput),
        (CopiedFile("a", False), Target("/d/new/", False, False), NotFound),
    ):
        with pytest.raises(kind):
            place(source, target)
    assert renamed("a/b/c", "a", "x") == "x/b/c"
    assert renamed("a", "a", "x") == "x"
    assert renamed("a/b", "a", "") == "b"
    assert renamed("a", "a", "") == ""
    assert renamed("a/b", "", "x") == "x/a/b"
    assert renamed("", "", "x") == "x"
    assert renamed("ab/c", "a", "x") == "x/ab/c"
    assert renamed(".a", "", "") == ".a"
    assert split_argument("c:/x") == ("c", "/x")
    assert split_argument("./c:x") == ("", "./c:x")


def test_keys_to_detach() -> None:
    assert parse_keys("") == b"\x10\x11"
    assert parse_keys("ctrl-a,x,ctrl-[") == b"\x01x\x1b"
    with pytest.raises(InvalidInput, match="detach key"):
        parse_keys("ctrl-enter")


@given(st.lists(st.binary(min_size=1, max_size=4)), st.sampled_from([b"\x10\x11", b"x", b"aab"]))
def test_detaching_loses_no_other_key(pieces: list[bytes], keys: bytes) -> None:
    typed, watcher, passed = b"".join(pieces), DetachFilter(keys), b""
    for piece in pieces:
        out, leaves = watcher.feed(piece)
        passed += out
        if leaves:
            assert keys in typed
            assert typed.startswith(passed + keys)
            return
    assert keys not in typed or keys == b"aab"  # "aaab" restarts at the second a, as Docker's own filter does
    assert typed.startswith(passed)
    assert len(typed) - len(passed) < len(keys)


def test_build_arguments_and_the_epoch_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "from outside")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    given = {"A": "from outside", "B": "x=y", "C": None, "SOURCE_DATE_EPOCH": "86400"}
    assert arguments(("A", "B=x=y", "C")) == given
    assert arguments(("SOURCE_DATE_EPOCH=1",)) == {"SOURCE_DATE_EPOCH": "1"}


def test_every_limit_is_read_into_a_field_of_the_request() -> None:
    ignored = {"cpu_count", "cpu_percent", "kernel_memory"}  # as Docker ignores them on Linux
    assert set(LIMITS) - set(READERS) == ignored
    assert {field for field, _ in READERS.values()} <= {field.name for field in fields(HostConfig)}


@pytest.mark.parametrize(
    ("command", "request_type"), [(run, HostConfig), (update, UpdateConfig), (build, BuildRequest)]
)
def test_commands_read_the_limits_they_share_alike(command: Command, request_type: type[Struct]) -> None:
    names = {option.name for option in command.options} & {*READERS}
    text = {"memory": "64m", "memory_swap": "-1", "cpu_shares": 7, "cpuset_cpus": "0", "cgroup_parent": "/jobs"}
    limits = read_limits({name: text[name] for name in text if name in names})
    assert (limits["memory"], limits["memory_swap"]) == (64 << 20, -1)
    assert all(getattr(request_type(**limits), field) == value for field, value in limits.items())


EVERY_FLAG = """
    -a stdout --annotation a=b --cidfile /c -e A=1 --entrypoint /e -h host --domainname d -i -l a=b --log-driver none
    --log-opt a=b --restart on-failure:2 --stop-signal HUP --stop-timeout 0 -t -u me -w /w --runtime crun --no-init
    --isolation default --cap-add NET_ADMIN --cap-drop ALL --group-add g --privileged --read-only
    --security-opt no-new-privileges --security-opt systempaths=unconfined --sysctl a=b --cgroupns host --ipc host
    --pid host --userns host --uts host --add-host a:1.2.3.4 --dns 1.1.1.1 --dns-option x --dns-search s --expose 7
    --ip 10.0.0.2 --ip6 fd00::2 --link a:b --link-local-ip 169.254.1.1 --mac-address 02:00:00:00:00:01
    --network name=net,gw-priority=3,driver-opt=a=b --network name=other,alias=x --network-alias n -p 127.0.0.1:80:80 -P
    --mount type=bind,src=/a,dst=/b,bind-nonrecursive --mount dst=/v,volume-opt=a=b,volume-driver=x,volume-nocopy
    --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700 --mount type=image,src=i,dst=/i,image-subpath=s
    --storage-opt a=b --tmpfs /x:ro -v /s:/d -v /only --volume-driver local --volumes-from c
    --health-cmd x --health-interval 1s --health-retries 2 --health-start-interval 2s --health-start-period 3s
    --health-timeout 4s --blkio-weight 20 --blkio-weight-device /dev/a:20 --cgroup-parent /p --cpu-period 1
    --cpu-quota 2 --cpu-rt-period 3 --cpu-rt-runtime 4 -c 5 --cpus 1.5 --cpuset-cpus 0 --cpuset-mems 0
    --device /dev/a:/dev/b:r --device-cgroup-rule "c 1:* rwm" --device-read-bps /dev/a:1m --device-read-iops /dev/a:2
    --device-write-bps /dev/a:3 --device-write-iops /dev/a:4 --gpus driver=x,device=1 -m 64m --memory-reservation 32m
    --memory-swap -1 --memory-swappiness 0 --oom-kill-disable --oom-score-adj 5 --pids-limit 6 --shm-size 1m
    --ulimit nofile=1:2
"""


def test_the_daemon_reads_every_flag_of_a_request_that_is_written_without_its_classes() -> None:
    flags = parse(run, [*shlex.split(EVERY_FLAG), "image", "cmd"])
    request = build_request("image", ("cmd",), flags)
    for part, kind in ((request.config, Config), (request.host_config, HostConfig)):
        assert encode(decode(json.loads(json.dumps(part)), kind)) == json.loads(json.dumps(part))
    networks = json.loads(json.dumps(request.networking))
    assert encode(decode(networks, NetworkingConfig)) == networks
    assert (request.host_config["MemorySwappiness"], request.config["StopTimeout"]) == (0, 0)
    assert request.host_config["Init"] is False
    assert request.host_config["MaskedPaths"] == ()
    unused = {name for name, value in flags.items() if value in (None, "", ())}
    assert unused == {"detach_keys", "env_file", "kernel_memory", "label_file", "name", "platform"}
