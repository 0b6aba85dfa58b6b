"""A sandbox as the runtime's spec: its container, its first process, and the processes of `exec`."""

from __future__ import annotations

import shutil
from pathlib import Path

from lamina.api.containers import Config, ExecConfig, HostConfig
from lamina.errors import Unavailable
from lamina.runtime import defaults, security, users
from lamina.runtime.defaults import granted_capabilities
from lamina.runtime.spec import AnyMount, BindMount, ContainerSpec, Namespaces, ProcessSpec
from lamina.sandbox import cdi, limits, mounts
from lamina.sandbox.etc_files import file_mounts
from lamina.sandbox.spec import Defaults, SandboxSpec
from lamina.volumes.volumes import Volumes

_INIT = "/sbin/docker-init"  # where Docker puts it inside
_INIT_PROGRAMS = ("docker-init", "tini", "catatonit", "tini-static", "dumb-init")


def container_spec(spec: SandboxSpec, root: Path, network: str, volumes: Volumes, settings: Defaults) -> ContainerSpec:
    """Return the whole spec for a mounted `root`; `network` is as `Namespaces.network` says it.

    Sources of mounts are made ready on the host, and volumes are in use from now on. Raise InvalidInput, NotFound,
    Unavailable and Unsupported.
    """
    host, config = spec.host, spec.config
    options = security.parse(host.security_opt)
    whole = ContainerSpec(
        process=_first_process(spec, root, settings),
        hostname=config.hostname,
        domainname=config.domainname,
        mounts=(
            *file_mounts(spec),
            *_shared_memory(spec),
            *(mounts.runtime_mount(point, spec, volumes) for point in spec.mounts),
            *_init_mount(host, settings),
        ),
        devices=limits.devices(host),
        device_rules=limits.device_rules(host),
        namespaces=Namespaces(
            network=network,
            pid=_joined(spec, "PID", host.pid_mode),
            ipc=_joined(spec, "IPC", host.ipc_mode),
            uts="host" if host.uts_mode == "host" else "private",
            cgroup=host.cgroupns_mode or settings.cgroupns_mode or None,
        ),
        userns=spec.userns,
        resources=limits.resources(host),
        sysctls=host.sysctls,
        masked_paths=host.masked_paths,
        readonly_paths=host.readonly_paths,
        read_only_root=host.readonly_rootfs,
        privileged=host.privileged,
        seccomp=options.seccomp,
        writable_cgroups=options.writable_cgroups,
        cgroup_parent=host.cgroup_parent or settings.cgroup_parent,
        shm_size=0 if host.ipc_mode == "none" else host.shm_size or settings.shm_size,
        default_sysctls="network" not in spec.donors,  # the namespace keeps what its own container set
        annotations=host.annotations,
    )
    return cdi.with_devices(whole, limits.cdi_devices(host), settings.cdi_folders)


def outline(spec: SandboxSpec, settings: Defaults) -> ContainerSpec:
    """Return what the runtime has to know before there is a root: streams, PID namespace and cgroup."""
    return ContainerSpec(
        process=ProcessSpec(args=spec.command, terminal=spec.config.tty),
        namespaces=Namespaces(pid="private" if spec.host.pid_mode in ("", "private") else "host"),
        userns=spec.userns,
        cgroup_parent=spec.host.cgroup_parent or settings.cgroup_parent,
    )


def _first_process(spec: SandboxSpec, root: Path, settings: Defaults) -> ProcessSpec:
    host, config = spec.host, spec.config
    account = resolve_user(root, config.user, host.group_add)
    options = security.parse(host.security_opt)
    return ProcessSpec(
        args=(*((_INIT, "--") if _wants_init(host, settings) else ()), *spec.command),
        env=environment(config, account.home, links=spec.link_variables),
        cwd=config.working_dir or "/",
        user=account.user,
        terminal=config.tty,
        console_size=host.console_size if host.console_size != (0, 0) else None,
        capabilities=granted_capabilities(host.cap_add, host.cap_drop, privileged=host.privileged),
        no_new_privileges=options.no_new_privileges,
        rlimits=limits.rlimits(host.ulimits, settings.ulimits),
        oom_score_adj=host.oom_score_adj or None,
        privileged=host.privileged,
        apparmor=options.profile(privileged=host.privileged),
    )


def exec_process(
    config: Config,
    host: HostConfig,
    request: ExecConfig,
    root: Path,
    settings: Defaults,
    links: tuple[str, ...] = (),
) -> ProcessSpec:
    """Return a further process of a sandbox; `root` is the sandbox's own view of its root. Raise InvalidInput."""
    account = resolve_user(root, request.user or config.user, host.group_add)
    options = security.parse(host.security_opt)
    return ProcessSpec(
        args=request.cmd,
        env=_overlaid(environment(config, account.home, tty=request.tty, links=links), request.env),
        cwd=request.working_dir or config.working_dir or "/",
        user=account.user,
        terminal=request.tty,
        console_size=request.console_size,
        capabilities=granted_capabilities(
            host.cap_add, host.cap_drop, privileged=request.privileged or host.privileged
        ),
        no_new_privileges=options.no_new_privileges,
        rlimits=limits.rlimits(host.ulimits, settings.ulimits),
        apparmor=options.profile(privileged=host.privileged),  # as moby: not lifted by `exec --privileged`
    )


def resolve_user(root: Path, user: str, groups: tuple[str, ...]) -> users.Account:
    """Return who `user` is by the files in `root`. Raise InvalidInput for unknown names."""
    passwd = users.read_in_root(root, "/etc/passwd")
    group = users.read_in_root(root, "/etc/group") if ":" in user or groups or passwd else b""
    return users.resolve(user, passwd, group, groups)


def environment(config: Config, home: str, *, tty: bool | None = None, links: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return Docker's PATH, HOSTNAME, TERM and HOME, and those of `links`; the config's own take the place of them."""
    base = [f"PATH={defaults.PATH}", f"HOSTNAME={config.hostname}"]
    if config.tty if tty is None else tty:
        base.append("TERM=xterm")
    values = _overlaid((*base, *links), config.env)
    return values if any(value.startswith("HOME=") for value in values) else (*values, f"HOME={home}")


def _overlaid(base: tuple[str, ...], over: tuple[str, ...]) -> tuple[str, ...]:
    """Return `base` with the variables of `over` in place of its own; a name without "=" removes the variable."""
    values = {entry.partition("=")[0]: entry for entry in base}
    for entry in over:
        name, sign, _ = entry.partition("=")
        if sign:
            values[name] = entry
        else:
            values.pop(name, None)
    return tuple(values.values())


def _joined(spec: SandboxSpec, kind: str, mode: str) -> str:
    if kind in spec.donors:
        return f"/proc/{spec.donors[kind].pid}/ns/{kind.lower()}"
    return "host" if mode == "host" else "private"


def _shared_memory(spec: SandboxSpec) -> tuple[AnyMount, ...]:
    """Return the mount of a /dev/shm that sandboxes share."""
    if spec.host.ipc_mode == "shareable":
        return (BindMount(str(mounts.mount_shared_memory(spec.folder, spec.host.shm_size)), "/dev/shm"),)
    if "IPC" in spec.donors:
        return (BindMount(str(mounts.shared_memory(spec.donors["IPC"].folder)), "/dev/shm"),)
    return ()


def _wants_init(host: HostConfig, settings: Defaults) -> bool:
    return (settings.init if host.init is None else host.init) and host.pid_mode in ("", "private")


def _init_mount(host: HostConfig, settings: Defaults) -> tuple[AnyMount, ...]:
    if not _wants_init(host, settings):
        return ()
    return (BindMount(init_program(settings.init_path), _INIT, read_only=True),)


def init_program(name: str) -> str:
    """Return the path of the host's init for containers: a static program that reaps. "" takes any known one.

    Raise Unavailable where there is none.
    """
    for program in (name,) if name else _INIT_PROGRAMS:
        for extra in ("", "/usr/libexec/docker", "/usr/libexec/podman", "/usr/lib/podman"):
            path = shutil.which(program, path=extra or None)
            if path:
                return path
    raise Unavailable("no init program for containers is installed", advice="Install tini or catatonit")
