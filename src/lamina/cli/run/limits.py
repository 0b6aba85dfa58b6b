"""Limits and devices: memory, CPUs, block I/O, ulimits."""

from __future__ import annotations

from lamina.cli.run.documents import document
from lamina.errors import InvalidInput
from lamina.light import TYPE_CHECKING, Any, Mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lamina.cli.run.documents import Document

    Flags = Mapping[str, Any]

    Reader = Callable[[Any], Any]

RULE = r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}"
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


def size(text: str, what: str = "size") -> int:
    """Return bytes: 0 for an empty text, and -1 for "-1" of --memory-swap. Raise InvalidInput."""
    if what == "--memory-swap" and text == "-1":
        return -1
    if not text:
        return 0
    from lamina.formats.sizes import parse_size

    return parse_size(text, what)


def read_limits(flags: Flags) -> dict[str, Any]:
    """Return the limits that `run`, `create`, `update` and `build` share, by their field in the API's requests.

    Flags that are no limits are ignored; a flag that the command lacks sets no field. Raise InvalidInput.
    """
    return {field: read(flags[name]) for name, (field, read) in READERS.items() if name in flags}


def nano_cpus(text: str) -> int:
    """Return billionths of a CPU for a text such as "1.5". Raise InvalidInput."""
    if not text:
        return 0
    import re

    if not re.fullmatch(r"\d*\.?\d+|\d+\.", text) or len(text.partition(".")[2]) > 9:
        raise InvalidInput(f"{text!r} is not a number of CPUs", advice="Write it like 0.5 or 2")
    return round(float(text) * 10**9)


def parse_device(spec: str) -> Document:
    """Parse HOST[:CONTAINER][:PERMISSIONS]. Raise InvalidInput."""
    host, *rest = spec.split(":")
    permissions = "rwm"
    if rest and 1 <= len(rest[-1]) <= 3 and not set(rest[-1]) - set("rwm"):
        permissions = rest.pop()
    if len(rest) > 1 or not host:
        raise InvalidInput(f"invalid device {spec!r}", advice="Write it as PATH[:PATH_INSIDE[:rwm]]")
    inside = rest[0] if rest and rest[0] else host
    return document(path_on_host=host, path_in_container=inside, cgroup_permissions=permissions)


def parse_ulimit(spec: str) -> Document:
    """Parse NAME=SOFT[:HARD], where -1 means no limit. Raise InvalidInput."""
    name, equals, limits = spec.partition("=")
    soft, colon, hard = limits.partition(":")
    try:
        values = int(soft), int(hard) if colon else int(soft)
    except ValueError:
        raise InvalidInput(f"invalid ulimit {spec!r}", advice="Write it as name=soft[:hard]") from None
    if name not in ULIMITS:
        raise InvalidInput(f"invalid ulimit type: {name}", advice=f"Known are {', '.join(ULIMITS)}")
    if not equals or (values[1] != -1 and (values[0] > values[1] or values[0] == -1)):
        raise InvalidInput(f"invalid ulimit {spec!r}: the soft limit is above the hard one")
    return document(name=name, soft=values[0], hard=values[1])


def gpu_requests(spec: str) -> tuple[Document, ...]:
    """Return the device requests of `--gpus`: "all", a number, or `device=…,capabilities=…`. Raise InvalidInput."""
    if not spec:
        return ()
    import csv

    driver, count, devices = "", 0, tuple[str, ...]()
    capabilities: tuple[str, ...] = ("gpu",)
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", key
        if key == "count":
            if value != "all" and not value.isdecimal():
                raise InvalidInput(f"invalid number of GPUs {value!r}", advice="Give a whole number, or all")
            count = -1 if value == "all" else int(value)
        elif key == "device":
            devices = tuple(value.split(","))
        elif key == "driver":
            driver = value
        elif key == "capabilities":
            capabilities = (*value.split(","), "gpu")
        else:
            raise InvalidInput(f"unexpected key {key!r} in --gpus")
    count = count or (0 if devices else 1)
    return (document(driver=driver, count=count, device_ids=devices, capabilities=(capabilities,)),)


def _weight(spec: str) -> Document:
    path, number = _device_and_number(spec, "--blkio-weight-device", sized=False)
    return document(path=path, weight=number)


def _rates(flag: str, *, sized: bool) -> Reader:
    def read(specs: Sequence[str]) -> tuple[Document, ...]:
        parts = (_device_and_number(spec, flag, sized) for spec in specs)
        return tuple(document(path=path, rate=number) for path, number in parts)

    return read


def _device_and_number(spec: str, flag: str, sized: bool) -> tuple[str, int]:
    path, colon, value = spec.rpartition(":")
    if not colon or not path.startswith("/dev/") or not (sized or value.isdecimal()):
        raise InvalidInput(f"invalid value {spec!r} of {flag}", advice="Write it as /dev/NAME:NUMBER")
    return path, size(value, "rate") if sized else int(value)


def _swappiness(number: int) -> int | None:
    if not -1 <= number <= 100:
        raise InvalidInput(f"memory swappiness {number} is not between 0 and 100")
    return number if number >= 0 else None


def _rule(text: str) -> str:
    import re

    if not re.fullmatch(RULE, text):
        raise InvalidInput(f"invalid device rule {text!r}", advice="Write it like 'c 42:* rmw'")
    return text


def _same(value: Any) -> Any:
    return value


def _or_unset(value: Any) -> Any:
    return value or None


def _each(read: Reader) -> Reader:
    return lambda specs: tuple(read(spec) for spec in specs)


def _bytes(flag: str) -> Reader:
    return lambda text: size(text, flag)


# For each flag of flags.LIMITS that is not ignored: the field it sets, and the reader of its value.
READERS: dict[str, tuple[str, Reader]] = {
    "blkio_weight": ("blkio_weight", _same),
    "blkio_weight_device": ("blkio_weight_device", _each(_weight)),
    "cgroup_parent": ("cgroup_parent", _same),
    "cpu_period": ("cpu_period", _same),
    "cpu_quota": ("cpu_quota", _same),
    "cpu_rt_period": ("cpu_realtime_period", _same),
    "cpu_rt_runtime": ("cpu_realtime_runtime", _same),
    "cpu_shares": ("cpu_shares", _same),
    "cpus": ("nano_cpus", nano_cpus),
    "cpuset_cpus": ("cpuset_cpus", _same),
    "cpuset_mems": ("cpuset_mems", _same),
    "device": ("devices", _each(parse_device)),
    "device_cgroup_rule": ("device_cgroup_rules", _each(_rule)),
    "device_read_bps": ("blkio_device_read_bps", _rates("--device-read-bps", sized=True)),
    "device_read_iops": ("blkio_device_read_iops", _rates("--device-read-iops", sized=False)),
    "device_write_bps": ("blkio_device_write_bps", _rates("--device-write-bps", sized=True)),
    "device_write_iops": ("blkio_device_write_iops", _rates("--device-write-iops", sized=False)),
    "gpus": ("device_requests", gpu_requests),
    "memory": ("memory", _bytes("--memory")),
    "memory_reservation": ("memory_reservation", _bytes("--memory-reservation")),
    "memory_swap": ("memory_swap", _bytes("--memory-swap")),
    "memory_swappiness": ("memory_swappiness", _swappiness),
    "oom_kill_disable": ("oom_kill_disable", _or_unset),
    "oom_score_adj": ("oom_score_adj", _same),
    "pids_limit": ("pids_limit", _or_unset),
    "shm_size": ("shm_size", _bytes("--shm-size")),
    "ulimit": ("ulimits", _each(parse_ulimit)),
}
