"""A volume as a value, and the local driver's options: what to mount for one that is not a plain directory.

The options are Docker's `type`, `device` and `o`. Flags are mount(8)'s words; the kernel's numbers are from
include/uapi/linux/mount.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from lamina.errors import InvalidInput

ANONYMOUS_LABEL = "com.docker.volume.anonymous"  # how Docker marks volumes that nobody named
_KNOWN = frozenset({"type", "device", "o", "size"})
_FLAGS = {
    "ro": 0x1,
    "nosuid": 0x2,
    "nodev": 0x4,
    "noexec": 0x8,
    "sync": 0x10,
    "noatime": 0x400,
    "nodiratime": 0x800,
    "bind": 0x1000,
    "rbind": 0x1000 | 0x4000,
    "relatime": 0x200000,
    "strictatime": 0x1000000,
}
_DEFAULTS = frozenset({"rw", "suid", "dev", "exec", "async", "atime", "defaults"})


class Volume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A volume. `options` are the local driver's: type, device, o (mount(8)'s words).

    `path` is where its files are. It is not kept, because a data root may move.
    """

    name: str
    created: str
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    path: str = ""

    @property
    def driver(self) -> str:
        """Return the driver: always "local"."""
        return "local"

    @property
    def anonymous(self) -> bool:
        """Return whether its name was made up, so that it goes with its container."""
        return ANONYMOUS_LABEL in self.labels


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """The arguments of mount(2)."""

    type: str
    device: str
    flags: int
    data: str


def volume_mount(options: Mapping[str, str]) -> VolumeMount | None:
    """Return the mount that the options ask for; None without any. Raise InvalidInput for an unknown option."""
    unknown = sorted(set(options) - _KNOWN)
    if unknown:
        raise InvalidInput(f'invalid option: "{unknown[0]}"', advice="The options are type, device and o")
    if "size" in options:
        raise InvalidInput("quota size requested but no quota support", advice="Give o=size=… with type=tmpfs")
    if not any(options.values()):
        return None
    flags, data = _words(options.get("o", ""))
    device = options.get("device", "")
    if not device:
        raise InvalidInput('missing required option: "device"')
    if not options.get("type") and not flags & _FLAGS["bind"]:
        raise InvalidInput('missing required option: "type"')
    return VolumeMount(options.get("type", "none"), device, flags, ",".join(data))


def _words(text: str) -> tuple[int, list[str]]:
    flags, data = 0, []
    for word in filter(None, text.split(",")):
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _DEFAULTS:
            data.append(word)
    return flags, data
