"""A container's record as the runtime's spec."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lamina.api.containers import ExecConfig
from lamina.containers import files
from lamina.containers.container import Container
from lamina.containers.namespaces import donor_of, running_donor
from lamina.containers.record import Record
from lamina.containers.rooms import Rooms
from lamina.errors import Conflict, Unavailable
from lamina.runtime import capabilities, defaults, security, users
from lamina.runtime.spec import AnyMount, BindMount, ContainerSpec, Namespaces, ProcessSpec
from lamina.sandbox import limits, mounts
from lamina.sandbox.spec import Defaults

INIT = "/sbin/docker-init"  # where Docker puts it inside
_INIT_PROGRAMS = ("docker-init", "tini", "catatonit", "tini-static", "dumb-init")


@dataclass(frozen=True, slots=True)
class SpecMaker:
    """Makes specs. `find` gives the container that a namespace mode names, or raises NotFound."""

    rooms: Rooms
    defaults: Defaults
    find: Callable[[str], Container]

    def container(self, container: Container, root: Path) -> ContainerSpec:
        """The whole spec, for a root that is mounted."""
        record = container.record
        host, config = record.host_config, record.config
        spaces = self._namespaces(container)
        options = security.parse(host.security_opt)
        return ContainerSpec(
            process=self._process(record, root),
            hostname=config.hostname,
            domainname=config.domainname,
            mounts=(
                *self._files(container),
                *self._shared_memory(container),
                *(
                    mounts.runtime_mount(point, container.directory, self.rooms.volumes, container.id)
                    for point in record.mounts
                ),
                *self._init(record),
            ),
            devices=limits.devices(host),
            device_rules=limits.device_rules(host),
            namespaces=spaces,
            resources=limits.resources(host),
            sysctls=host.sysctls,
            masked_paths=host.masked_paths,
            readonly_paths=host.readonly_paths,
            read_only_root=host.readonly_rootfs,
            privileged=host.privileged,
            seccomp=options.seccomp,
            writable_cgroups=options.writable_cgroups,
            cgroup_parent=host.cgroup_parent or self.defaults.cgroup_parent,
            shm_size=0 if host.ipc_mode == "none" else host.shm_size,
            default_sysctls=not donor_of(host.network_mode),  # the namespace keeps what its own container set
            annotations=host.annotations,
        )

    def _process(self, record: Record, root: Path) -> ProcessSpec:
        host, config = record.host_config, record.config
        account = resolve_user(root, config.user, host.group_add)
        options = security.parse(host.security_opt)
        size = host.console_size
        return ProcessSpec(
            args=(*((INIT, "--") if self._wants_init(record) else ()), *record.command),
            env=environment(record, account.home),
            cwd=config.working_dir or "/",
            user=account.user,
            terminal=config.tty,
            console_size=size if size != (0, 0) else None,
            capabilities=capabilities.tweak(host.cap_add, host.cap_drop, privileged=host.privileged),
            no_new_privileges=options.no_new_privileges,
            rlimits=limits.rlimits(host.ulimits, self.defaults.ulimits),
            oom_score_adj=host.oom_score_adj or None,
            privileged=host.privileged,
            apparmor=options.profile(privileged=host.privileged),
        )

    def check_user(self, container: Container, user: str) -> None:
        """Raise InvalidInput where the running container's files have no such user or group, Conflict when it ended."""
        root = running_root(container)
        try:
            resolve_user(root, user, container.record.host_config.group_add)
        except OSError as error:
            raise Conflict(f"container {container.id} is not running", container=container.id) from error

    def exec(self, container: Container, wish: ExecConfig, root: Path) -> ProcessSpec:
        """The process of an exec; `root` is the running container's own view of its root."""
        record = container.record
        host = record.host_config
        account = resolve_user(root, wish.user or record.config.user, host.group_add)
        privileged = wish.privileged or host.privileged
        options = security.parse(host.security_opt)
        return ProcessSpec(
            args=wish.cmd,
            env=overlaid(environment(record, account.home, tty=wish.tty), wish.env),
            cwd=wish.working_dir or record.config.working_dir or "/",
            user=account.user,
            terminal=wish.tty,
            console_size=wish.console_size,
            capabilities=capabilities.tweak(host.cap_add, host.cap_drop, privileged=privileged),
            no_new_privileges=options.no_new_privileges,
            rlimits=limits.rlimits(host.ulimits, self.defaults.ulimits),
            apparmor=options.profile(privileged=host.privileged),  # as moby: not lifted by `exec --privileged`
        )

    def _namespaces(self, container: Container) -> Namespaces:
        host = container.record.host_config
        return Namespaces(
            network=self.network(container),
            pid=self._joined("PID", host.pid_mode),
            ipc=self._joined("IPC", host.ipc_mode),
            uts="host" if host.uts_mode == "host" else "private",
            cgroup=host.cgroupns_mode or None,
        )

    def network(self, container: Container) -> str:
        """The network namespace, as `Namespaces.network` says it."""
        mode = container.record.host_config.network_mode
        if mode in ("host", "none"):
            return "host" if mode == "host" else "private"
        if mode.startswith("container:"):
            return f"/proc/{running_donor('network', mode, self.find).state.pid}/ns/net"
        return str(self.rooms.networks.sandbox(container.id))

    def _joined(self, kind: str, mode: str) -> str:
        if donor_of(mode):
            return f"/proc/{running_donor(kind, mode, self.find).state.pid}/ns/{kind.lower()}"
        return "host" if mode == "host" else "private"

    def _files(self, container: Container) -> tuple[AnyMount, ...]:
        record = container.record
        mode = record.host_config.network_mode
        folder = container.directory
        if mode.startswith("container:"):
            folder = running_donor("network", mode, self.find).directory
        taken = {point.destination for point in record.mounts}
        read_only = record.host_config.readonly_rootfs
        return tuple(
            BindMount(str(folder / name), f"/etc/{name}", read_only=read_only)
            for name in files.NAMES
            if f"/etc/{name}" not in taken
        )

    def _shared_memory(self, container: Container) -> tuple[AnyMount, ...]:
        """/dev/shm of those who share it: mounted on the host, as a mount cannot be bound out of a namespace."""
        host = container.record.host_config
        if host.ipc_mode == "shareable":
            return (BindMount(str(mounts.mount_shared_memory(container.directory, host.shm_size)), "/dev/shm"),)
        if host.ipc_mode.startswith("container:"):
            donor = running_donor("IPC", host.ipc_mode, self.find)
            return (BindMount(str(mounts.shared_memory(donor.directory)), "/dev/shm"),)
        return ()

    def _wants_init(self, record: Record) -> bool:
        wish = record.host_config.init
        return (self.defaults.init if wish is None else wish) and record.host_config.pid_mode in ("", "private")

    def _init(self, record: Record) -> tuple[AnyMount, ...]:
        if not self._wants_init(record):
            return ()
        return (BindMount(init_program(self.defaults.init_path), INIT, read_only=True),)


def init_program(wanted: str) -> str:
    """The host's init for containers: a static program that reaps. Raises Unavailable where there is none."""
    for name in (wanted,) if wanted else _INIT_PROGRAMS:
        for extra in ("", "/usr/libexec/docker", "/usr/libexec/podman", "/usr/lib/podman"):
            path = shutil.which(name, path=extra or None)
            if path:
                return path
    raise Unavailable("no init program for containers is installed", advice="Install tini or catatonit")


def running_root(container: Container) -> Path:
    """Return the root of a running container as its first process sees it."""
    return Path(f"/proc/{container.state.pid}/root")


def resolve_user(root: Path, user: str, groups: tuple[str, ...]) -> users.Account:
    """Who `user` is by the files in `root`."""
    passwd = users.read_in_root(root, "/etc/passwd")
    group = users.read_in_root(root, "/etc/group") if ":" in user or groups or passwd else b""
    return users.resolve(user, passwd, group, groups)


def environment(record: Record, home: str, *, tty: bool | None = None) -> tuple[str, ...]:
    """What the process finds in its environment: Docker's PATH, HOSTNAME and TERM, under the container's own."""
    config = record.config
    base = [f"PATH={defaults.PATH}", f"HOSTNAME={config.hostname}"]
    if config.tty if tty is None else tty:
        base.append("TERM=xterm")
    values = overlaid(tuple(base), config.env)
    return values if any(value.startswith("HOME=") for value in values) else (*values, f"HOME={home}")


def overlaid(base: tuple[str, ...], over: tuple[str, ...]) -> tuple[str, ...]:
    """`base` with the variables of `over` in place of its own; a name without "=" takes the variable away."""
    values = {entry.partition("=")[0]: entry for entry in base}
    for entry in over:
        name, sign, _ = entry.partition("=")
        if sign:
            values[name] = entry
        else:
            values.pop(name, None)
    return tuple(values.values())
