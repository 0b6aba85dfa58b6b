"""A container's record as the spec of its sandbox, with the other containers that its request names.

`container:ID` in the PID, IPC and network modes joins another container's namespace. For `--link` see `links`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lamina.api.containers import ExecConfig, HostConfig
from lamina.containers import ports
from lamina.containers.container import Container
from lamina.containers.links import Get, hosts_lines, linked, still_linked, variables
from lamina.errors import CommandFailed, Conflict, InvalidInput, LaminaError, NotFound
from lamina.network.networks import Networks
from lamina.runtime.failure import UNKNOWN
from lamina.runtime.spec import ProcessSpec
from lamina.sandbox import etc_files
from lamina.sandbox.runtime_spec import exec_process, resolve_user
from lamina.sandbox.spec import Defaults, Donor, SandboxSpec

_PREFIX = "container:"
_MODES = {"network": "network_mode", "PID": "pid_mode", "IPC": "ipc_mode"}


@dataclass(frozen=True, slots=True)
class SpecMaker:
    """Make the processes of `exec` and of health checks. `link_variables` are what links give a container."""

    defaults: Defaults
    link_variables: Callable[[Container], tuple[str, ...]]

    def check_user(self, container: Container, user: str) -> None:
        """Raise InvalidInput where the running container's files have no such user or group, Conflict when it ended."""
        root = running_root(container)
        try:
            resolve_user(root, user, container.record.host_config.group_add)
        except OSError as error:
            raise Conflict(f"container {container.id} is not running", container=container.id) from error

    def exec(self, container: Container, request: ExecConfig, root: Path) -> ProcessSpec:
        """Return the process of an exec; `root` is the running container's own view of its root."""
        record = container.record
        links = self.link_variables(container)
        return exec_process(record.config, record.host_config, request, root, self.defaults, links)


def sandbox_of(container: Container) -> SandboxSpec:
    """Return the sandbox of a container as far as its record tells: enough to give back what it holds."""
    record = container.record
    return SandboxSpec(
        id=container.id,
        folder=container.directory,
        name=record.name,
        config=record.config,
        host=record.host_config,
        mounts=record.mounts,
        networks=record.networks,
        ports=ports.wanted(record.config, record.host_config),
        userns=container.userns,
    )


def startable_sandbox_of(container: Container, networks: Callable[[], Networks], find: Get) -> SandboxSpec:
    """Return the sandbox of a container that is about to start: with its donors and links, all of which must run.

    Raise InvalidInput, NotFound or Conflict, which name the container.
    """
    host = container.record.host_config
    donors: dict[str, Donor] = {}
    for kind, field in _MODES.items():
        mode: str = getattr(host, field)
        if donor_of(mode):
            donor = _running_donor(kind, mode, find)
            donors[kind] = Donor(donor.state.pid, donor.directory)
    links = linked(container, networks, find)
    return replace(
        sandbox_of(container),
        donors=donors,
        linked=hosts_lines(links),
        link_variables=variables(container, links),
    )


def rewrite_hosts(container: Container, networks: Networks, find: Get) -> None:
    """Write the /etc/hosts of a running container anew, after it joined or left a network.

    Linked containers that have ended meanwhile are left out.
    """
    lines = hosts_lines(still_linked(container, lambda: networks, find))
    spec = replace(sandbox_of(container), linked=lines)
    etc_files.write_hosts(spec, networks.joined(spec.id), lambda: networks.host_gateways(spec.id))


def answer_names(container: Container, networks: Networks, defaults: Defaults) -> None:
    """Have a running container, which has just joined a network, ask us for names where that network has them."""
    spec = sandbox_of(container)
    networks.answer_names(container.id, etc_files.resolv_conf(spec, defaults).forwarding())
    etc_files.begin_to_ask(spec, networks.joined(container.id), defaults)


def donor_of(mode: str) -> str:
    """Return the container that a namespace mode names, "" where it names none."""
    return mode.removeprefix(_PREFIX) if mode.startswith(_PREFIX) else ""


def with_donors_by_id(host: HostConfig, find: Get) -> HostConfig:
    """Return `host` with the IDs of the containers that its modes name, as dockerd keeps them.

    Raise InvalidInput for an unknown container of the PID or IPC mode. The network's is looked up at the start.
    """
    modes = {}
    for field in ("pid_mode", "ipc_mode", "network_mode"):
        reference = donor_of(getattr(host, field))
        if not reference:
            continue
        try:
            modes[field] = _PREFIX + find(reference).id
        except NotFound as error:
            if field != "network_mode":
                raise InvalidInput(error.message, container=reference) from None
    return msgspec.structs.replace(host, **modes)


def _running_donor(kind: str, mode: str, find: Get) -> Container:
    """Return the running container whose namespace of a `kind` ("PID", "IPC", "network") is joined.

    Raise InvalidInput, NotFound, Conflict or CommandFailed, which name the namespace and the container.
    """
    reference = donor_of(mode)
    try:
        donor = find(reference)
        if not donor.state.pid or donor.state.status == "restarting":
            wait = ", wait until the container is running" if donor.state.status == "restarting" else ""
            word = "restarting" if wait else "not running"
            problem = Conflict if kind == "network" else CommandFailed  # moby daemon/container_operations_unix.go
            raise problem(f"container {reference} is {word}{wait}", container=donor.id, exit_code=UNKNOWN)
        if kind == "IPC" and donor.record.host_config.ipc_mode != "shareable":
            raise InvalidInput(
                f"container {reference}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                container=donor.id,
            )
    except LaminaError as error:
        raise type(error)(f"failed to join {kind} namespace: {error.message}", **error.facts) from None
    return donor


def running_root(container: Container) -> Path:
    """Return the root of a running container as its first process sees it."""
    return Path(f"/proc/{container.state.pid}/root")
