"""The flags of `run` as the request of `POST /containers/create`."""

from __future__ import annotations

import json

from msgspec.structs import replace

from lamina.api.containers import Config, HostConfig, LogConfig, NetworkingConfig, RestartPolicy
from lamina.cli.key_values import environment, labels, mapping
from lamina.cli.run.limits import read_limits
from lamina.cli.run.mounts import binds_and_volumes, parse_mount, tmpfs_map
from lamina.cli.run.networks import exposed, network_mode, networking, parse_publish
from lamina.errors import InvalidInput
from lamina.formats.runconfig import Healthcheck
from lamina.formats.times import parse_duration
from lamina.light import TYPE_CHECKING, Mapping, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lamina.cli.run.networks import Bindings

    Flags = Mapping[str, Any]


class Request(NamedTuple):
    """The three parts of a create request."""

    config: Config
    host_config: HostConfig
    networking: NetworkingConfig

    def detached(self) -> Request:
        """Return the request of a container that nobody attaches to."""
        nothing = dict.fromkeys(("attach_stdin", "attach_stdout", "attach_stderr", "stdin_once"), False)
        return self._replace(config=replace(self.config, **nothing))


def build_request(image: str, arguments: Sequence[str], flags: Flags) -> Request:
    """Return the request. Raise InvalidInput for a flag that makes no sense, or two that contradict each other."""
    bindings = parse_publish(flags["publish"])
    binds, volumes = binds_and_volumes(flags["volume"])
    ports: dict[str, dict[str, Any]] = {port: {} for port in [*bindings, *exposed(flags["expose"])]}
    config = _config(image, arguments, flags, volumes, ports)
    host_config = _host_config(flags, binds, bindings)
    if flags["rm"] and host_config.restart_policy.name not in ("", "no"):
        raise InvalidInput("conflicting options: cannot specify both --restart and --rm")
    return Request(config, host_config, networking(flags))


def _config(
    image: str,
    arguments: Sequence[str],
    flags: Flags,
    volumes: dict[str, dict[str, Any]],
    ports: dict[str, dict[str, Any]],
) -> Config:
    attached = {name.lower() for name in flags["attach"]}
    if unknown := attached - {"stdin", "stdout", "stderr"}:
        raise InvalidInput(f"cannot attach to {min(unknown)!r}", advice="Name STDIN, STDOUT or STDERR")
    interactive = flags["interactive"]
    return Config(
        image=image,
        hostname=flags["hostname"],
        domainname=flags["domainname"],
        user=flags["user"],
        working_dir=flags["workdir"],
        attach_stdin=interactive or "stdin" in attached,
        attach_stdout=not attached or "stdout" in attached,
        attach_stderr=not attached or "stderr" in attached,
        tty=flags["tty"],
        open_stdin=interactive,
        stdin_once=interactive,
        env=tuple(environment(flags["env_file"], flags["env"])),
        labels=labels(flags["label_file"], flags["label"]),
        cmd=tuple(arguments) or None,
        entrypoint=None if flags["entrypoint"] is None else (flags["entrypoint"],),  # ("",) resets the image's
        exposed_ports=ports,
        volumes=volumes,
        healthcheck=_healthcheck(flags),
        stop_signal=flags["stop_signal"],
        stop_timeout=flags["stop_timeout"],
        mac_address=flags["mac_address"],
    )


def _healthcheck(flags: Flags) -> Healthcheck | None:
    names = ("interval", "timeout", "start_period", "start_interval")
    times = {
        name: parse_duration(flags[f"health_{name}"] or "0", f"--health-{name.replace('_', '-')}") for name in names
    }
    retries, command = flags["health_retries"] or 0, flags["health_cmd"]
    check = Healthcheck(test=("CMD-SHELL", command) if command else (), retries=retries, **times)
    if any(value < 0 for value in (retries, *times.values())):
        raise InvalidInput("the numbers of --health-* options cannot be negative")
    if not flags["no_healthcheck"]:
        return check if check != Healthcheck() else None
    if check != Healthcheck():
        raise InvalidInput("--no-healthcheck conflicts with --health-* options")
    return Healthcheck(test=("NONE",))


def _host_config(flags: Flags, binds: tuple[str, ...], bindings: Bindings) -> HostConfig:
    return HostConfig(
        **read_limits(flags),
        **security_options(flags["security_opt"]),
        annotations=mapping(flags["annotation"]),
        auto_remove=flags["rm"],
        binds=binds,
        cap_add=flags["cap_add"],
        cap_drop=flags["cap_drop"],
        cgroupns_mode=flags["cgroupns"],
        container_id_file=flags["cidfile"],
        dns=flags["dns"],
        dns_options=flags["dns_option"],
        dns_search=flags["dns_search"],
        extra_hosts=tuple(_extra_host(entry) for entry in flags["add_host"]),
        group_add=flags["group_add"],
        init=flags["init"],
        ipc_mode=flags["ipc"],
        isolation=flags["isolation"],
        links=flags["link"],
        log_config=LogConfig(type=flags["log_driver"], config=mapping(flags["log_opt"])),
        mounts=tuple(parse_mount(spec) for spec in flags["mount"]),
        network_mode=network_mode(flags["network"]),
        pid_mode=flags["pid"],
        port_bindings=bindings,
        privileged=flags["privileged"],
        publish_all_ports=flags["publish_all"],
        readonly_rootfs=flags["read_only"],
        restart_policy=restart_policy(flags["restart"]),
        runtime=flags["runtime"],
        storage_opt=mapping(flags["storage_opt"]),
        sysctls=mapping(flags["sysctl"]),
        tmpfs=tmpfs_map(flags["tmpfs"]),
        uts_mode=flags["uts"],
        userns_mode=flags["userns"],
        volume_driver=flags["volume_driver"],
        volumes_from=flags["volumes_from"],
    )


def _extra_host(text: str) -> str:
    """Return HOST:IP for HOST:IP or HOST=IP. Raise InvalidInput."""
    name, separator, address = text.partition("=") if "=" in text else text.partition(":")
    if not (name and separator and address):
        raise InvalidInput(f"bad format for --add-host: {text!r}", advice="Write it as HOST:IP")
    return f"{name}:{address.strip('[]')}"


POLICIES = ("no", "always", "on-failure", "unless-stopped")


def security_options(specs: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of HostConfig that `--security-opt` sets, with seccomp profiles read from their files.

    Raise InvalidInput for an option without its value, or a profile that cannot be read.
    """
    options, paths = list[str](), dict[str, tuple[str, ...]]()
    for spec in specs:
        separator = "=" if "=" in spec else ":"
        name, _, value = spec.partition(separator)
        if name != "no-new-privileges" and not value:
            raise InvalidInput(f"invalid --security-opt: {spec!r}", advice="Write it as name=value")
        if spec == "systempaths=unconfined":
            paths = {"masked_paths": (), "readonly_paths": ()}
        elif name == "seccomp" and value not in ("builtin", "unconfined"):
            options.append(f"seccomp={_profile(value)}")
        else:
            options.append(spec)
    return {"security_opt": tuple(options), **paths}


def _profile(path: str) -> str:
    try:
        with open(path) as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot use the seccomp profile {path} ({error})") from error


def restart_policy(text: str) -> RestartPolicy:
    """Return the policy that a text such as "on-failure:3" names. Raise InvalidInput."""
    name, colon, count = text.partition(":")
    if name not in POLICIES and text:
        raise InvalidInput(f"invalid restart policy {text!r}", advice=f"Give one of {', '.join(POLICIES)}")
    if colon and not count.isdecimal():
        raise InvalidInput(f"invalid restart policy {text!r}: the number of tries is no whole number")
    return RestartPolicy(name=name, maximum_retry_count=int(count) if colon else 0)
