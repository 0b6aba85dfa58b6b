"""The flags of `run` as the request of `POST /containers/create`."""

from __future__ import annotations

from lamina.cli.key_values import environment, labels, mapping
from lamina.cli.run.documents import document
from lamina.cli.run.limits import read_limits
from lamina.cli.run.mounts import binds_and_volumes, parse_mount, tmpfs_map
from lamina.cli.run.networks import exposed, network_mode, networking, parse_publish
from lamina.errors import InvalidInput
from lamina.light import TYPE_CHECKING, Mapping, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lamina.cli.run.documents import Document
    from lamina.cli.run.networks import Bindings

    Flags = Mapping[str, Any]


class Request(NamedTuple):
    """The three parts of a create request, in the API's JSON."""

    config: Document
    host_config: Document
    networking: Document

    @property
    def image(self) -> str:
        return str(self.config["Image"])

    @property
    def tty(self) -> bool:
        return bool(self.config.get("Tty"))

    @property
    def removes(self) -> bool:
        """Return whether the container removes itself."""
        return bool(self.host_config.get("AutoRemove"))

    def attaches(self, stream: str) -> bool:
        """Return whether somebody attaches to a stream: "Stdin", "Stdout" or "Stderr"."""
        return bool(self.config.get(f"Attach{stream}"))

    def body(self) -> Document:
        """Return the whole request."""
        return {**self.config, "HostConfig": self.host_config, "NetworkingConfig": self.networking}

    def detached(self) -> Request:
        """Return the request of a container that nobody attaches to."""
        nothing = dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"), False)
        return self._replace(config={**self.config, **nothing})

    def with_console(self, size: tuple[int, int]) -> Request:
        """Return the request of a container whose terminal has a size from the start."""
        return self._replace(host_config={**self.host_config, **document(console_size=size)})


def build_request(image: str, arguments: Sequence[str], flags: Flags) -> Request:
    """Return the request. Raise InvalidInput for a flag that makes no sense, or two that contradict each other."""
    bindings = parse_publish(flags["publish"])
    binds, volumes = binds_and_volumes(flags["volume"])
    ports: dict[str, dict[str, Any]] = {port: {} for port in [*bindings, *exposed(flags["expose"])]}
    config = _config(image, arguments, flags, volumes, ports)
    host_config = _host_config(flags, binds, bindings)
    if flags["rm"] and host_config.get("RestartPolicy", {}).get("Name", "no") != "no":
        raise InvalidInput("conflicting options: cannot specify both --restart and --rm")
    return Request(config, host_config, networking(flags))


def _config(
    image: str,
    arguments: Sequence[str],
    flags: Flags,
    volumes: dict[str, dict[str, Any]],
    ports: dict[str, dict[str, Any]],
) -> Document:
    attached = {name.lower() for name in flags["attach"]}
    if unknown := attached - {"stdin", "stdout", "stderr"}:
        raise InvalidInput(f"cannot attach to {min(unknown)!r}", advice="Name STDIN, STDOUT or STDERR")
    interactive = flags["interactive"]
    return document(
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


def _healthcheck(flags: Flags) -> Document:
    names = ("interval", "timeout", "start_period", "start_interval")
    times = {name: _duration(flags[f"health_{name}"], f"--health-{name.replace('_', '-')}") for name in names}
    retries, command = flags["health_retries"] or 0, flags["health_cmd"]
    check = document(test=("CMD-SHELL", command) if command else (), retries=retries, **times)
    if any(value < 0 for value in (retries, *times.values())):
        raise InvalidInput("the numbers of --health-* options cannot be negative")
    if not flags["no_healthcheck"]:
        return check
    if check:
        raise InvalidInput("--no-healthcheck conflicts with --health-* options")
    return document(test=("NONE",))


def _duration(text: str, what: str) -> int:
    if not text:
        return 0
    from lamina.formats.times import parse_duration

    return parse_duration(text, what)


def _host_config(flags: Flags, binds: tuple[str, ...], bindings: Bindings) -> Document:
    return document(
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
        log_config=document(type=flags["log_driver"], config=mapping(flags["log_opt"])),
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
    options: list[str] = []
    paths: dict[str, tuple[str, ...]] = {}
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
    import json

    try:
        with open(path) as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot use the seccomp profile {path} ({error})") from error


def restart_policy(text: str) -> Document:
    """Return the policy that a text such as "on-failure:3" names. Raise InvalidInput."""
    name, colon, count = text.partition(":")
    if name not in POLICIES and text:
        raise InvalidInput(f"invalid restart policy {text!r}", advice=f"Give one of {', '.join(POLICIES)}")
    if colon and not count.isdecimal():
        raise InvalidInput(f"invalid restart policy {text!r}: the number of tries is no whole number")
    return document(name=name, maximum_retry_count=int(count) if colon else 0)
