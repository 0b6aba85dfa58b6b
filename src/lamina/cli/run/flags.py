"""The flags of `run` and `create` that describe the container: Docker's whole table."""

from __future__ import annotations

from collections.abc import Callable

from lamina.cli.arguments import many, number, switch, text
from lamina.cli.parsing.declare import option
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


GENERAL: tuple[Decorator, ...] = (
    many("-a", "--attach", help="Attach to STDIN, STDOUT or STDERR"),
    many("--annotation", help="Add an annotation, passed to the OCI runtime"),
    text("--cidfile", metavar="FILE", help="Write the container's ID to a file"),
    many("-e", "--env", metavar="NAME=VALUE", help="Set environment variables"),
    many("--env-file", metavar="FILE", help="Read environment variables from a file"),
    option("--entrypoint", default=None, help="Overwrite the ENTRYPOINT of the image; empty resets it"),
    text("-h", "--hostname", help="Host name of the container"),
    text("--domainname", help="NIS domain name of the container"),
    switch("-i", "--interactive", help="Keep stdin open"),
    many("-l", "--label", metavar="KEY=VALUE", help="Set metadata"),
    many("--label-file", metavar="FILE", help="Read metadata from a file"),
    text("--log-driver", help="Logging driver"),
    many("--log-opt", metavar="KEY=VALUE", help="Options of the logging driver"),
    text("--name", help="Name of the container"),
    text("--restart", default="no", metavar="POLICY", help="no, on-failure[:N], always or unless-stopped"),
    switch("--rm", "rm", help="Remove the container and its anonymous volumes when it ends"),
    text("--stop-signal", help="Signal to stop the container with"),
    number("--stop-timeout", metavar="SECONDS", help="How long it may take to stop"),
    switch("-t", "--tty", help="Give it a terminal"),
    text("-u", "--user", metavar="USER[:GROUP]", help="User name or number, and group"),
    text("-w", "--workdir", metavar="DIR", help="Working directory inside the container"),
    text("--runtime", help="OCI runtime for this container"),
    option("--init/--no-init", default=None, help="Run an init that forwards signals and reaps processes"),
    text("--isolation", help="Accepted for Docker's sake"),
)

SECURITY: tuple[Decorator, ...] = (
    many("--cap-add", help="Add Linux capabilities"),
    many("--cap-drop", help="Drop Linux capabilities"),
    many("--group-add", help="Join additional groups"),
    switch("--privileged", help="Give it every capability and device"),
    switch("--read-only", help="Mount its root filesystem read-only"),
    many("--security-opt", help="Security options: seccomp=FILE, no-new-privileges, …"),
    many("--sysctl", metavar="KEY=VALUE", help="Kernel settings of its namespaces"),
    text("--cgroupns", metavar="MODE", help="Cgroup namespace: host or private"),
    text("--ipc", metavar="MODE", help="IPC namespace: host, private, shareable, none or container:NAME"),
    text("--pid", metavar="MODE", help="PID namespace: host or container:NAME"),
    text("--userns", metavar="MODE", help="User namespace: host"),
    text("--uts", metavar="MODE", help="UTS namespace: host"),
)

NETWORK: tuple[Decorator, ...] = (
    many("--add-host", metavar="HOST:IP", help="Add a line to its hosts file"),
    many("--dns", metavar="IP", help="Name servers"),
    many("--dns-option", "--dns-opt", metavar="OPTION", help="Options of name look-ups"),
    many("--dns-search", metavar="DOMAIN", help="Domains to search"),
    many("--expose", metavar="PORT[-PORT]", help="Expose ports, without publishing them"),
    text("--ip", help="IPv4 address"),
    text("--ip6", help="IPv6 address"),
    many("--link", metavar="NAME[:ALIAS]", help="Add a link to another container"),
    many("--link-local-ip", metavar="IP", help="Link-local addresses"),
    text("--mac-address", help="MAC address"),
    many("--network", "--net", metavar="NETWORK", help="Network to join: bridge, host, none, container:NAME or a name"),
    many("--network-alias", "--net-alias", metavar="NAME", help="Another name in the network"),
    many("-p", "--publish", metavar="[IP:][HOST:]CONTAINER", help="Publish ports to the host"),
    switch("-P", "--publish-all", help="Publish all exposed ports to random ports"),
)

STORAGE: tuple[Decorator, ...] = (
    many("--mount", metavar="SPEC", help="Attach a mount: type=bind|volume|tmpfs,source=…,target=…"),
    many("--storage-opt", metavar="KEY=VALUE", help="Options of the storage driver"),
    many("--tmpfs", metavar="DIR[:OPTIONS]", help="Mount a tmpfs"),
    many("-v", "--volume", metavar="[SOURCE:]DIR[:OPTIONS]", help="Mount a directory or a volume"),
    text("--volume-driver", help="Driver of the volumes"),
    many("--volumes-from", metavar="CONTAINER", help="Mount the volumes of other containers"),
)

HEALTH: tuple[Decorator, ...] = (
    text("--health-cmd", metavar="COMMAND", help="Command that checks health"),
    text("--health-interval", metavar="DURATION", help="Time between checks"),
    number("--health-retries", help="Failures in a row until it counts as unhealthy"),
    text("--health-start-interval", metavar="DURATION", help="Time between checks while it starts"),
    text("--health-start-period", metavar="DURATION", help="Time to start before failures count"),
    text("--health-timeout", metavar="DURATION", help="Time one check may take"),
    switch("--no-healthcheck", help="Disable the image's HEALTHCHECK"),
)

LIMITS: dict[str, Decorator] = {
    "blkio_weight": number("--blkio-weight", default=0, help="Relative weight of block I/O, 10 to 1000"),
    "blkio_weight_device": many("--blkio-weight-device", metavar="DEVICE:WEIGHT", help="The same for a device"),
    "cgroup_parent": text("--cgroup-parent", help="Parent cgroup"),
    "cpu_count": number("--cpu-count", default=0, hidden=True, help="Windows only"),
    "cpu_percent": number("--cpu-percent", default=0, hidden=True, help="Windows only"),
    "cpu_period": number("--cpu-period", default=0, metavar="MICROSECONDS", help="Period of the CPU limit"),
    "cpu_quota": number("--cpu-quota", default=0, metavar="MICROSECONDS", help="CPU time in each period"),
    "cpu_rt_period": number("--cpu-rt-period", default=0, metavar="MICROSECONDS", help="Period of the real-time limit"),
    "cpu_rt_runtime": number(
        "--cpu-rt-runtime", default=0, metavar="MICROSECONDS", help="Real-time CPU time in each period"
    ),
    "cpu_shares": number("-c", "--cpu-shares", default=0, help="Relative weight of CPU time"),
    "cpus": text("--cpus", metavar="NUMBER", help="Number of CPUs, such as 1.5"),
    "cpuset_cpus": text("--cpuset-cpus", metavar="LIST", help="CPUs to run on: 0-3, 0,1"),
    "cpuset_mems": text("--cpuset-mems", metavar="LIST", help="Memory nodes to use: 0-3, 0,1"),
    "device": many("--device", metavar="PATH[:PATH[:rwm]]", help="Add a device of the host"),
    "device_cgroup_rule": many("--device-cgroup-rule", metavar="RULE", help="Add a rule to the allowed devices"),
    "device_read_bps": many("--device-read-bps", metavar="DEVICE:RATE", help="Limit bytes read in a second"),
    "device_read_iops": many("--device-read-iops", metavar="DEVICE:RATE", help="Limit reads in a second"),
    "device_write_bps": many("--device-write-bps", metavar="DEVICE:RATE", help="Limit bytes written in a second"),
    "device_write_iops": many("--device-write-iops", metavar="DEVICE:RATE", help="Limit writes in a second"),
    "gpus": text("--gpus", metavar="SPEC", help="Add GPUs: all, a number, or device=…"),
    "kernel_memory": text("--kernel-memory", hidden=True, help="Ignored, as by Docker"),
    "memory": text("-m", "--memory", metavar="BYTES", help="Limit of memory, such as 512m"),
    "memory_reservation": text("--memory-reservation", metavar="BYTES", help="Soft limit of memory"),
    "memory_swap": text("--memory-swap", metavar="BYTES", help="Limit of memory and swap together; -1 for no limit"),
    "memory_swappiness": number("--memory-swappiness", default=-1, help="0 to 100"),
    "oom_kill_disable": switch("--oom-kill-disable", help="Do not kill it when memory runs out"),
    "oom_score_adj": number("--oom-score-adj", default=0, help="Preference when memory runs out, -1000 to 1000"),
    "pids_limit": number("--pids-limit", default=0, help="Limit of processes; -1 for none"),
    "shm_size": text("--shm-size", metavar="BYTES", help="Size of /dev/shm"),
    "ulimit": many("--ulimit", metavar="NAME=SOFT[:HARD]", help="Limits of processes"),
}
"""The limits of `run` and `create`, by parameter. `update` and `build` take some of them: see `limit_flags`."""

CREATION: tuple[Decorator, ...] = (
    option("--platform", envvar="DOCKER_DEFAULT_PLATFORM", default="", help="Platform, such as linux/arm64"),
    text("--pull", default="missing", metavar="WHEN", help="Pull the image before: always, missing or never"),
    switch("-q", "--quiet", help="No output of the pull"),
    switch("--disable-content-trust", hidden=True, help="Accepted for Docker's sake", default=True),
)

ALL = (*GENERAL, *SECURITY, *NETWORK, *STORAGE, *HEALTH, *LIMITS.values(), *CREATION)


def container_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every flag that describes a container."""
    for decorate in reversed(ALL):
        function = decorate(function)
    return function


def limit_flags(*names: str) -> Decorator:
    """Return a decorator that gives a command these flags of LIMITS."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            function = LIMITS[name](function)
        return function

    return decorate
