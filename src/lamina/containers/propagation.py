"""What binds do with mounts below their sources, as far as sources and kernel can (mount_namespaces(7)).

Rule: moby daemon/oci_linux.go, withMounts.
"""

from __future__ import annotations

import os

from lamina.containers.record import MountPoint
from lamina.errors import InvalidInput, Unsupported
from lamina.linux.mounts import MountPoint as HostMount
from lamina.linux.mounts import has_mount_setattr, mount_of

_DEFAULT = "rprivate"


def effective_propagation(point: MountPoint) -> str:
    """Return the word that `point` is mounted with. A source that cannot propagate is left private where nobody asked.

    Raises InvalidInput where the source's mount cannot do what was asked for.
    """
    kind = point.propagation.removeprefix("r")
    if kind not in ("shared", "slave"):
        return point.propagation or _DEFAULT
    host = _mount_of(point.source)
    tags = {tag.partition(":")[0] for tag in host.tags}
    if "shared" in tags or (kind == "slave" and "master" in tags):
        return point.propagation
    if point.implied_slave:
        return _DEFAULT
    able = "a shared mount" if kind == "shared" else "a shared or slave mount"
    raise InvalidInput(f"path {point.source} is mounted on {host.target} but it is not {able}", path=point.source)


def reaches_below(point: MountPoint) -> bool:
    """Return whether a read-only mount covers what is mounted below it, too.

    Raises Unsupported where the request insists on it and the kernel cannot.
    """
    if point.rw or not point.recursive or point.read_only_non_recursive:
        return False
    if has_mount_setattr():
        return True
    if point.read_only_force_recursive:
        raise Unsupported("rro is not supported: the kernel is older than 5.12", path=point.destination)
    return False


def _mount_of(path: str) -> HostMount:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return mount_of(fd)
    finally:
        os.close(fd)
