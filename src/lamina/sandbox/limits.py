"""Limits in Docker's words, as the runtime takes them: for containers and for the steps of builds."""

from __future__ import annotations

import os

from lamina.api.containers import DeviceMapping, RateDevice, Resources, Ulimit, WeightDevice
from lamina.errors import InvalidInput, NotFound
from lamina.runtime import bundle
from lamina.runtime.spec import Device, DeviceRule, Rlimit, ThrottleDevice
from lamina.runtime.spec import Resources as Limits
from lamina.sandbox import cdi

_CPU_PERIOD = 100_000  # microseconds, Docker's for --cpus


def resources(asked: Resources) -> Limits:
    """Return the cgroup limits. Raise NotFound for a block device that is not there."""
    period, quota = asked.cpu_period or None, asked.cpu_quota or None
    if asked.nano_cpus:
        period, quota = _CPU_PERIOD, asked.nano_cpus * _CPU_PERIOD // 1_000_000_000
    swappiness = asked.memory_swappiness
    return Limits(
        memory=asked.memory or None,
        memory_swap=asked.memory_swap or None,
        memory_reservation=asked.memory_reservation or None,
        memory_swappiness=swappiness if swappiness is not None and swappiness >= 0 else None,
        oom_kill_disable=bool(asked.oom_kill_disable),
        cpu_shares=asked.cpu_shares or None,
        cpu_period=period,
        cpu_quota=quota,
        cpu_realtime_period=asked.cpu_realtime_period or None,
        cpu_realtime_runtime=asked.cpu_realtime_runtime or None,
        cpuset_cpus=asked.cpuset_cpus or None,
        cpuset_mems=asked.cpuset_mems or None,
        pids_limit=None if asked.pids_limit is None else asked.pids_limit if asked.pids_limit > 0 else -1,
        blkio_weight=asked.blkio_weight or None,
        blkio_weight_devices=tuple(_throttle(device) for device in asked.blkio_weight_device),
        read_bps=tuple(_throttle(device) for device in asked.blkio_device_read_bps),
        write_bps=tuple(_throttle(device) for device in asked.blkio_device_write_bps),
        read_iops=tuple(_throttle(device) for device in asked.blkio_device_read_iops),
        write_iops=tuple(_throttle(device) for device in asked.blkio_device_write_iops),
    )


def _throttle(device: RateDevice | WeightDevice) -> ThrottleDevice:
    try:
        number = os.stat(device.path).st_rdev
    except OSError as error:
        raise NotFound(f"{device.path}: {error.strerror}", path=device.path) from None
    rate = device.rate if isinstance(device, RateDevice) else device.weight
    return ThrottleDevice(os.major(number), os.minor(number), rate)


def rlimits(asked: tuple[Ulimit, ...], defaults: tuple[Ulimit, ...]) -> tuple[Rlimit, ...]:
    """Return the limits of setrlimit(2), `defaults` for names that are not asked for. Others are the engine's own."""
    chosen = {limit.name: limit for limit in (*defaults, *asked)}
    return tuple(Rlimit(f"RLIMIT_{limit.name.upper()}", limit.soft, limit.hard) for limit in chosen.values())


def devices(asked: Resources) -> tuple[Device, ...]:
    """Return the device nodes of `--device`; a directory stands for all nodes in it.

    Raise NotFound, and InvalidInput for devices that a driver is to pick (`--gpus`): there is none but CDI.
    """
    for request in asked.device_requests:
        if request.driver == cdi.DRIVER:
            continue
        words = "[" + " ".join(f"[{' '.join(group)}]" for group in request.capabilities) + "]"  # as Go prints lists
        raise InvalidInput(f'could not select device driver "{request.driver}" with capabilities: {words}')
    return tuple(node for mapping in asked.devices for node in _mapped(mapping))


def cdi_devices(asked: Resources) -> tuple[str, ...]:
    """Return the names of the devices that are asked for by the Container Device Interface."""
    return tuple(id for request in asked.device_requests if request.driver == cdi.DRIVER for id in request.device_ids)


def _mapped(mapping: DeviceMapping) -> list[Device]:
    source = os.path.realpath(mapping.path_on_host)
    inside = mapping.path_in_container or mapping.path_on_host
    access = mapping.cgroup_permissions or "rwm"
    if set(access) - set("rwm"):
        raise InvalidInput(f"invalid device permissions {access!r}", advice="Write letters of rwm", path=inside)
    try:
        device = bundle.device_at(source, inside, access)
        if device is not None:
            return [device]
        if os.path.isdir(source):
            folder = [entry for entry in os.scandir(source) if not entry.is_dir()]
            nodes = [bundle.device_at(entry.path, os.path.join(inside, entry.name), access) for entry in folder]
            return [node for node in nodes if node is not None]
    except OSError as error:
        raise NotFound(
            f'error gathering device information while adding custom device "{mapping.path_on_host}": {error.strerror}',
            path=mapping.path_on_host,
        ) from None
    raise InvalidInput(f'"{mapping.path_on_host}" is not a device node', path=mapping.path_on_host)


def device_rules(asked: Resources) -> tuple[DeviceRule, ...]:
    """Return the rules of `--device-cgroup-rule`, such as "c 42:* rmw". Raise InvalidInput."""
    return tuple(_rule(text) for text in asked.device_cgroup_rules)


def _rule(text: str) -> DeviceRule:
    words = text.split()
    numbers = words[1].split(":") if len(words) == 3 else []
    right = len(numbers) == 2 and all(n == "*" or n.isdigit() for n in numbers) and words[0] in ("a", "b", "c")
    if not right or set(words[2]) - set("rwm"):
        raise InvalidInput(f"invalid device cgroup rule format: '{text}'", rule=text)
    major, minor = (None if number == "*" else int(number) for number in numbers)
    return DeviceRule(words[0], major, minor, words[2])
