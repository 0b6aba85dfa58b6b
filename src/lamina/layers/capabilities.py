"""A program's capabilities (security.capability) in a tree whose owners are mapped.

Rule: struct vfs_ns_cap_data in linux/capability.h. Version 2 means root of the file system; version 3 names the root of
a user namespace by its id.
"""

from __future__ import annotations

import struct

from lamina.linux.user_namespaces import IdMap

_NAME = "security.capability"
_REVISIONS, _FLAGS = 0xFF000000, 0x00FFFFFF
_WITHOUT_ROOT, _WITH_ROOT = 0x02000000, 0x03000000
_SIZE = 20  # bytes of version 2; version 3 has the id behind them
_HEAD = struct.Struct("<I")


def host_capabilities(name: str, value: bytes, ids: IdMap) -> bytes:
    """Return the attribute `name` for a file whose owners are mapped by `ids`: capabilities belong to its root."""
    if name != _NAME or len(value) != _SIZE:
        return value
    (head,) = _HEAD.unpack_from(value)
    return _HEAD.pack(_WITH_ROOT | head & _FLAGS) + value[_HEAD.size :] + _HEAD.pack(ids.root[0])


def inside_capabilities(name: str, value: bytes, ids: IdMap) -> bytes:
    """Return the attribute `name` as root of the container has it: the reverse of `host_capabilities`."""
    if name != _NAME or len(value) != _SIZE + _HEAD.size:
        return value
    (head,) = _HEAD.unpack_from(value)
    (root,) = _HEAD.unpack_from(value, _SIZE)
    if head & _REVISIONS != _WITH_ROOT or root != ids.root[0]:
        return value
    return _HEAD.pack(_WITHOUT_ROOT | head & _FLAGS) + value[_HEAD.size : _SIZE]
