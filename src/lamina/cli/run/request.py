"""The flags of `run` as the request of `POST /containers/create`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lamina.cli.pairs import environment, labels, mapping
from lamina.cli.run.endpoints import network_mode, networking
from lamina.cli.run.limits import resources, size
from lamina.cli.run.mounts import binds_and_volumes, parse_mount, tmpfs_map
from lamina.cli.run.ports import exposed, parse_publish
from lamina.cli.run.security import restart_policy, security_options
from lamina.errors import InvalidInput
from lamina.formats.durations import parse_duration

Flags = Mapping[str, Any]


class Request(NamedTuple):
    """The three parts of a create request, with Docker's keys."""

    config: dict[str, Any]
    host_config: dict[str, Any]
    networking: dict[str, Any]


def build_request(image: str, arguments: Sequence[str], flags: Flags) -> Request:
    """Raises InvalidInput for a flag that cannot be understood, or two that contradict each other."""
    bindings = parse_publish(flags["publish"])
    binds, volumes = binds_and_volumes(flags["volume"])
    config = _config(image, arguments, flags, volumes)
    config["ExposedPorts"] = {port: {} for port in [*bindings, *exposed(flags["expose"])]}
    host_config = _host_config(flags) | {"Binds": binds, "PortBindings": bindings}
    if flags["rm"] and host_config["RestartPolicy"]["Name"] not in ("", "no"):
        raise InvalidInput("conflicting options: cannot specify both --restart and --rm")
    return Request(config, host_config, networking(flags))


def _config(image: str, arguments: Sequence[str], flags: Flags, volumes: Mapping[str, Any]) -> dict[str, Any]:
    attached = {name.lower() for name in flags["attach"]}
    if unknown := attached - {"stdin", "stdout", "stderr"}:
        raise InvalidInput(f"cannot attach to {min(unknown)!r}", advice="Name STDIN, STDOUT or STDERR")
    interactive = flags["interactive"]
    config: dict[str, Any] = {
        "Image": image,
        "Hostname": flags["hostname"],
        "Domainname": flags["domainname"],
        "User": flags["user"],
        "WorkingDir": flags["workdir"],
        "AttachStdin": interactive or "stdin" in attached,
        "AttachStdout": not attached or "stdout" in attached,
        "AttachStderr": not attached or "stderr" in attached,
        "Tty": flags["tty"],
        "OpenStdin": interactive,
        "StdinOnce": interactive,
        "Env": environment(flags["env_file"], flags["env"]),
        "Labels": labels(flags["label_file"], flags["label"]),
        "Cmd": list(arguments) or None,
        "Volumes": dict(volumes) or None,
        "Healthcheck": _healthcheck(flags),
        "StopTimeout": flags["stop_timeout"],
    }
    if flags["stop_signal"]:
        config["StopSignal"] = flags["stop_signal"]
    if flags["entrypoint"] is not None:
        config["Entrypoint"] = [flags["entrypoint"]]  # [""] resets the image's
    if flags["mac_address"]:
        config["MacAddress"] = flags["mac_address"]
    return {name: value for name, value in config.items() if value is not None}


def _healthcheck(flags: Flags) -> dict[str, Any] | None:
    names = ("interval", "timeout", "start_period", "start_interval")
    times = {
        name: parse_duration(flags[f"health_{name}"] or "0", f"--health-{name.replace('_', '-')}") for name in names
    }
    found: dict[str, Any] = {
        "".join(part.title() for part in name.split("_")): time for name, time in times.items() if time
    }
    if flags["health_retries"]:
        found["Retries"] = flags["health_retries"]
    if any(value < 0 for value in found.values()):
        raise InvalidInput("the numbers of --health-* options cannot be negative")
    if flags["health_cmd"]:
        found["Test"] = ["CMD-SHELL", flags["health_cmd"]]
    if not flags["no_healthcheck"]:
        return found or None
    if found:
        raise InvalidInput("--no-healthcheck conflicts with --health-* options")
    return {"Test": ["NONE"]}


def _host_config(flags: Flags) -> dict[str, Any]:
    config: dict[str, Any] = {
        **resources(flags),
        "Annotations": mapping(flags["annotation"]),
        "AutoRemove": flags["rm"],
        "CapAdd": list(flags["cap_add"]),
        "CapDrop": list(flags["cap_drop"]),
        "CgroupnsMode": flags["cgroupns"],
        "ContainerIDFile": flags["cidfile"],
        "Dns": list(flags["dns"]),
        "DnsOptions": list(flags["dns_option"]),
        "DnsSearch": list(flags["dns_search"]),
        "ExtraHosts": [_extra_host(entry) for entry in flags["add_host"]],
        "GroupAdd": list(flags["group_add"]),
        "Init": flags["init"],
        "IpcMode": flags["ipc"],
        "Isolation": flags["isolation"],
        "Links": list(flags["link"]),
        "LogConfig": {"Type": flags["log_driver"], "Config": mapping(flags["log_opt"])},
        "Mounts": [parse_mount(spec) for spec in flags["mount"]],
        "NetworkMode": network_mode(flags["network"]),
        "PidMode": flags["pid"],
        "Privileged": flags["privileged"],
        "PublishAllPorts": flags["publish_all"],
        "ReadonlyRootfs": flags["read_only"],
        "RestartPolicy": restart_policy(flags["restart"]),
        "Runtime": flags["runtime"],
        "ShmSize": size(flags["shm_size"]),
        "StorageOpt": mapping(flags["storage_opt"]),
        "Sysctls": mapping(flags["sysctl"]),
        "Tmpfs": tmpfs_map(flags["tmpfs"]),
        "UTSMode": flags["uts"],
        "UsernsMode": flags["userns"],
        "VolumeDriver": flags["volume_driver"],
        "VolumesFrom": list(flags["volumes_from"]),
    }
    given = {name: value for name, value in config.items() if value not in (None, "", {}, [])}
    return given | security_options(flags["security_opt"])  # its empty lists of paths mean: none


def _extra_host(text: str) -> str:
    """HOST:IP, for which HOST=IP may be written. Raises InvalidInput."""
    name, separator, address = text.partition("=") if "=" in text else text.partition(":")
    if not (name and separator and address):
        raise InvalidInput(f"bad format for --add-host: {text!r}", advice="Write it as HOST:IP")
    return f"{name}:{address.strip('[]')}"
