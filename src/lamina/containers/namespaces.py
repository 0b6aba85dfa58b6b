"""Namespaces that a container takes from another one: `container:ID` in its PID, IPC and network modes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lamina.api.containers import HostConfig
from lamina.containers.container import Container
from lamina.errors import Conflict, InvalidInput, LaminaError, NotFound

Get = Callable[[str], Container]

_PREFIX = "container:"


def donor_of(mode: str) -> str:
    """Return the container that a namespace mode names, "" where it names none."""
    return mode.removeprefix(_PREFIX) if mode.startswith(_PREFIX) else ""


def with_donors_by_id(host: HostConfig, get: Get) -> HostConfig:
    """Return `host` with the IDs of the containers that its modes name, as dockerd keeps them.

    Raises InvalidInput for an unknown container of the PID or IPC mode. The network's is looked up at the start.
    """
    modes = {}
    for field in ("pid_mode", "ipc_mode", "network_mode"):
        reference = donor_of(getattr(host, field))
        if not reference:
            continue
        try:
            modes[field] = _PREFIX + get(reference).id
        except NotFound as error:
            if field != "network_mode":
                raise InvalidInput(error.message, container=reference) from None
    return msgspec.structs.replace(host, **modes)


def running_donor(kind: str, mode: str, get: Get) -> Container:
    """Return the running container whose namespace of a `kind` ("PID", "IPC", "network") is joined.

    Raises InvalidInput, NotFound or Conflict, which name the namespace and the container.
    """
    reference = donor_of(mode)
    try:
        donor = get(reference)
        if not donor.state.pid or donor.state.status == "restarting":
            wait = ", wait until the container is running" if donor.state.status == "restarting" else ""
            word = "restarting" if wait else "not running"
            raise Conflict(f"container {reference} is {word}{wait}", container=donor.id)
        if kind == "IPC" and donor.record.host_config.ipc_mode != "shareable":
            raise InvalidInput(
                f"container {reference}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                container=donor.id,
            )
    except LaminaError as error:
        raise type(error)(f"failed to join {kind} namespace: {error.message}", **error.facts) from None
    return donor
