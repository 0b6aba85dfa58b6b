"""config.json says what Docker's would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lamina.errors import InvalidInput
from lamina.runtime import seccomp
from lamina.runtime.bundle import process, render, resources
from lamina.runtime.defaults import available_capabilities, granted_capabilities
from lamina.runtime.spec import (
    BindMount,
    ContainerSpec,
    Device,
    Namespaces,
    ProcessSpec,
    Resources,
    TmpfsMount,
    User,
)


def rendered(**fields: Any) -> dict[str, Any]:
    process = fields.pop("process", ProcessSpec(args=("true",)))
    return render(ContainerSpec(process=process, **fields), Path("/r"), "/lamina/x", cgroup_v2=False)


def options_of(document: dict[str, Any], destination: str) -> list[str]:
    return next(m["options"] for m in document["mounts"] if m["destination"] == destination)


def test_defaults() -> None:
    document = rendered(hostname="box")
    assert document["process"]["capabilities"]["bounding"] == list(granted_capabilities())
    assert "CAP_SYS_ADMIN" not in document["process"]["capabilities"]["bounding"]
    assert document["hostname"] == "box"
    assert "/proc/kcore" in document["linux"]["maskedPaths"]
    assert "/proc/sys" in document["linux"]["readonlyPaths"]
    assert document["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert "rlimits" not in document["process"]
    assert "ro" in options_of(document, "/sys")
    assert "size=67108864" in options_of(document, "/dev/shm")
    kinds = [entry["type"] for entry in document["linux"]["namespaces"]]
    assert kinds == ["mount", "network", "pid", "ipc", "uts"]


def test_privileged_lifts_everything() -> None:
    document = rendered(privileged=True)
    assert document["process"]["capabilities"]["bounding"] == list(available_capabilities())
    assert document["linux"]["maskedPaths"] == []
    assert "seccomp" not in document["linux"]
    assert document["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "ro" not in options_of(document, "/sys")


@pytest.mark.parametrize("chosen", ["builtin", {"defaultAction": "SCMP_ACT_ALLOW"}])
def test_privilege_drops_no_seccomp_profile_that_was_asked_for(chosen: Any) -> None:
    assert rendered(privileged=True, seccomp=chosen)["linux"]["seccomp"]["defaultAction"]


def test_writable_cgroups() -> None:
    assert "ro" not in options_of(rendered(writable_cgroups=True), "/sys/fs/cgroup")
    assert "ro" in options_of(rendered(writable_cgroups=True), "/sys")
    assert "ro" in options_of(rendered(writable_cgroups=False, privileged=True), "/sys/fs/cgroup")
    read_only = rendered(writable_cgroups=True, read_only_root=True)
    assert "ro" not in options_of(read_only, "/sys/fs/cgroup")


def test_other_users_have_no_effective_capabilities() -> None:
    document = process(ProcessSpec(args=("x",), user=User(5, 6, (7, 6))))
    assert document["capabilities"]["effective"] == []
    assert document["capabilities"]["bounding"]
    assert document["user"]["additionalGids"] == [6, 7]


def test_mounts_of_the_user_replace_and_follow() -> None:
    document = rendered(
        mounts=(
            BindMount("/h/deep", "/data/deep", read_only=True, propagation="rslave"),
            BindMount("/h", "/data"),
            TmpfsMount("/dev/shm", ("size=1m", "exec")),
        )
    )
    places = [m["destination"] for m in document["mounts"]]
    assert places.index("/data") < places.index("/data/deep")
    assert places.count("/dev/shm") == 1
    assert options_of(document, "/dev/shm") == ["nosuid", "nodev", "size=1m", "exec"]
    assert options_of(document, "/data/deep") == ["rbind", "ro", "rslave"]
    assert document["linux"]["rootfsPropagation"] == "rslave"


def test_namespaces_can_be_shared() -> None:
    chosen = Namespaces(network="/run/n", pid="host", ipc="host", uts="host", cgroup="private")
    document = rendered(namespaces=chosen, hostname="h")
    assert document["linux"]["namespaces"] == [
        {"type": "mount"},
        {"type": "network", "path": "/run/n"},
        {"type": "cgroup"},
    ]
    assert "hostname" not in document
    assert options_of(document, "/dev/shm") == ["rbind"]
    (queues,) = (mount for mount in document["mounts"] if mount["destination"] == "/dev/mqueue")
    assert queues["type"] == "mqueue", "the host may have none to bind"


def test_devices_are_allowed_as_asked() -> None:
    document = rendered(devices=(Device("/dev/x", "c", 9, 8, access="r"),))
    assert document["linux"]["devices"][0]["path"] == "/dev/x"
    allowed = {"allow": True, "type": "c", "access": "r", "major": 9, "minor": 8}
    assert document["linux"]["resources"]["devices"][-1] == allowed


def test_resources_hold_only_what_was_set() -> None:
    assert resources(Resources()) == {}
    assert resources(Resources(memory=1, cpu_quota=-1, pids_limit=5)) == {
        "memory": {"limit": 1},
        "cpu": {"quota": -1},
        "pids": {"limit": 5},
    }


@pytest.mark.parametrize(
    ("add", "drop", "has", "lacks"),
    [
        (["net_admin"], [], "CAP_NET_ADMIN", "CAP_SYS_ADMIN"),
        ([], ["CHOWN"], "CAP_KILL", "CAP_CHOWN"),
        (["ALL"], ["sys_admin"], "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"),
        (["CAP_KILL"], ["ALL"], "CAP_KILL", "CAP_CHOWN"),
    ],
)
def test_capabilities_are_tweaked(add: list[str], drop: list[str], has: str, lacks: str) -> None:
    held = granted_capabilities(add, drop)
    assert has in held
    assert lacks not in held


def test_unknown_capability() -> None:
    with pytest.raises(InvalidInput, match="CAP_FLY"):
        granted_capabilities(["fly"])


def names(profile: dict[str, Any]) -> set[str]:
    return {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def test_seccomp_follows_the_capabilities() -> None:
    plain, admin = seccomp.default(frozenset()), seccomp.default(frozenset({"CAP_SYS_ADMIN"}))
    assert "mount" not in names(plain)
    assert "mount" in names(admin)
    assert any(rule["names"] == ["clone3"] and rule.get("errnoRet") == 38 for rule in plain["syscalls"])
    assert not any(rule.get("errnoRet") == 38 for rule in admin["syscalls"])
    assert plain["architectures"]
    assert all(set(rule) <= {"names", "action", "args", "errnoRet"} for rule in plain["syscalls"])


def test_seccomp_profile_of_the_user() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "chmod", "action": "SCMP_ACT_ERRNO"}]}
    assert seccomp.resolve(profile, ())["syscalls"] == [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]
    with pytest.raises(InvalidInput):
        seccomp.resolve({}, ())
