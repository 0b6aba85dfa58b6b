"""Who puts what into a container's root: the monitor all that lies in the image or a volume, the runtime the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.runtime.placement import Placement, place
from lamina.runtime.spec import AnyMount, BindMount, ContainerSpec, Device, DeviceRule, ProcessSpec, TmpfsMount


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    (root / "run/shm").symlink_to("/dev/shm")
    return root


def _placed(root: Path, *mounts: AnyMount, devices: tuple[Device, ...] = ()) -> Placement:
    return place(ContainerSpec(ProcessSpec(("true",)), mounts=mounts, devices=devices), root)


def test_mounts_are_the_monitors_but_for_the_kernels_places(root: Path) -> None:
    placement = _placed(root, BindMount("/h", "/data"), TmpfsMount("/dev/shm"), BindMount("/i", "/sys/fs/bpf"))
    assert placement.mounts == [BindMount("/h", "/data")]
    assert placement.runtime_mounts == [TmpfsMount("/dev/shm"), BindMount("/i", "/sys/fs/bpf")]


def test_links_of_the_image_are_followed(root: Path) -> None:
    placement = _placed(root, BindMount("/h", "/var/run/new/x"), TmpfsMount("/var/run/shm"))
    assert placement.mounts == [BindMount("/h", "/run/new/x")]
    assert placement.runtime_mounts == [TmpfsMount("/dev/shm")]


def test_what_lies_in_another_mount_is_not_looked_up_in_the_image(root: Path) -> None:
    placement = _placed(root, BindMount("/deep", "/run/shm/deep"), BindMount("/h", "/run"))
    assert placement.mounts == [BindMount("/h", "/run"), BindMount("/deep", "/run/shm/deep")]


def test_mounts_that_propagate_are_the_runtimes_with_what_lies_in_them(root: Path) -> None:
    outer = BindMount("/h", "/data", propagation="rslave")
    placement = _placed(root, BindMount("/i", "/data/in"), outer, BindMount("/j", "/database"))
    assert placement.runtime_mounts == [outer, BindMount("/i", "/data/in")]
    assert placement.mounts == [BindMount("/j", "/database")]


def test_devices_outside_dev_are_made_by_the_monitor_and_allowed_by_the_runtime(root: Path) -> None:
    outside, inside = Device("/opt/x", "c", 1, 5, access="r"), Device("/dev/y", "c", 1, 5)
    placement = _placed(root, devices=(outside, inside))
    left = placement.left(ContainerSpec(ProcessSpec(("true",)), device_rules=(DeviceRule("c", 9, None, "w"),)))
    assert (placement.nodes, left.devices) == ([outside], (inside,))
    assert left.device_rules == (DeviceRule("c", 1, 5, "r"), DeviceRule("c", 9, None, "w"))


@pytest.mark.parametrize(
    "mounts",
    [
        (BindMount("/h", "/dev"),),
        (BindMount("/h", "/dev/pts"),),
        (TmpfsMount("/proc"),),
        (BindMount("/h", "/proc/self/x"),),
        (BindMount("/h", "/proc/../sys"),),
        (BindMount("/h", "/dev/shm"), BindMount("/i", "/dev/shm/deep")),
        (BindMount("/h", "/dev/shm"), TmpfsMount("/var/run/shm/deep")),
    ],
)
def test_what_nobody_may_mount(root: Path, mounts: tuple[AnyMount, ...]) -> None:
    with pytest.raises(InvalidInput, match="cannot mount"):
        _placed(root, *mounts)


def test_a_device_in_a_mount_that_others_write_is_refused(root: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot make the device"):
        _placed(root, BindMount("/h", "/dev/shm"), devices=(Device("/dev/shm/x", "c", 1, 5),))


def test_the_hosts_own_places_may_be_mounted(root: Path) -> None:
    mounts = (BindMount("/dev", "/dev"), BindMount("/proc", "/proc"), BindMount("/dev/null", "/dev/new"))
    assert _placed(root, *mounts).runtime_mounts == list(mounts)
    assert _placed(root, BindMount("/h", "/proc/meminfo"), TmpfsMount("/dev")).mounts == []


@pytest.mark.parametrize("outer", ["/sys/fs/cgroup", "/dev/shm"])
def test_mounts_may_lie_in_a_new_tmpfs(root: Path, outer: str) -> None:
    mounts: list[AnyMount] = [TmpfsMount(outer), BindMount("/h", f"{outer}/deep")]
    assert _placed(root, *mounts).runtime_mounts == mounts
    with pytest.raises(InvalidInput, match="cannot mount"):
        _placed(root, *mounts, BindMount("/i", f"{outer}/deep/deeper"))


@pytest.mark.parametrize("name", ["kernel/ns_last_pid", "crypto/fips_enabled"])
def test_settings_that_runc_lets_cover_may_be_mounted(root: Path, name: str) -> None:
    mount = BindMount("/h", f"/proc/sys/{name}")
    assert _placed(root, mount).runtime_mounts == [mount]
