"""What a container runs by default: the `Config` object of image configs and of the Engine API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from lamina.formats.lists import check_lists

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]  # as the Engine API has them

_NULL_WHEN_EMPTY = frozenset({"Env", "Cmd", "Volumes", "Entrypoint", "OnBuild", "Labels"})
_ABSENT_WHEN_EMPTY = frozenset(
    {
        "ExposedPorts",
        "Healthcheck",
        "ArgsEscaped",
        "NetworkDisabled",
        "MacAddress",
        "StopSignal",
        "StopTimeout",
        "Shell",
    }
)


class Healthcheck(msgspec.Struct, frozen=True, rename="pascal"):
    """How to ask a container whether it is well. `test` is `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`.

    Durations are in nanoseconds; 0 means the default.
    """

    test: tuple[str, ...] = ()
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0

    def __post_init__(self) -> None:
        check_lists(self)

    def to_json(self) -> dict[str, Any]:
        """Return Docker's object without empty members."""
        return {key: value for key, value in msgspec.to_builtins(self).items() if value}


class RunConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """Docker's container config. `cmd` and `entrypoint` are None where nothing was said, () where they were emptied.

    `exposed_ports` (`80/tcp`) and `volumes` (paths) are sets that JSON writes as objects with empty values.
    `stop_timeout` is in seconds. Decode foreign JSON with `formats.go_json.shaped` first.
    """

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] = {}
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: Int64 | None = None
    shell: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_lists(self)

    def to_json(self) -> dict[str, Any]:
        """Return the object for an image config without empty members, but with an emptied `cmd` or `entrypoint`."""
        fields = msgspec.to_builtins(self)
        members = {
            key: value for key, value in fields.items() if value or (value == () and key in ("Cmd", "Entrypoint"))
        }
        return self._with_healthcheck(members)

    def to_docker(self) -> dict[str, Any]:
        """Return the object as `docker inspect` shows it: every member, null for most that are empty, some left out."""
        fields = self._with_healthcheck(msgspec.to_builtins(self))
        members: dict[str, Any] = {}
        for key, value in fields.items():
            if key in _NULL_WHEN_EMPTY:
                members[key] = list(value) if value == () and key in ("Cmd", "Entrypoint") else value or None
            elif value or key not in _ABSENT_WHEN_EMPTY:
                members[key] = value
        return members

    def over(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return `document` with this in place of all the members this knows; members unknown here survive."""
        own_members = frozenset(self.__struct_encode_fields__)  # structs.fields evaluates all annotations anew
        return {key: value for key, value in document.items() if key not in own_members} | self.to_json()

    def _with_healthcheck(self, fields: dict[str, Any]) -> dict[str, Any]:
        return fields if self.healthcheck is None else fields | {"Healthcheck": self.healthcheck.to_json()}
