"""The first use of an empty volume: it gets what the image has at its place."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lamina.containers.rooms import Rooms
from lamina.containers.tarring import write_directory
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from lamina.linux.paths import openat2
from lamina.sandbox.spec import MountPoint


def copy_up(rooms: Rooms, key: str, points: Sequence[MountPoint]) -> None:
    """Fills the empty volumes among `points` from the snapshot `key`, owner and mode of the directory included."""
    empty = [point for point in points if point.type == "volume" and point.copy and not os.listdir(point.source)]
    if not empty:
        return
    snapshot = rooms.snapshots.get(key)
    root = snapshot.mount()
    try:
        for point in empty:
            _fill(Path(point.source), root, point.destination)
    finally:
        snapshot.unmount()


def _fill(volume: Path, root: Path, path: str) -> None:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = openat2(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # the image has nothing there
    finally:
        os.close(root_fd)
    try:
        status = os.fstat(source)
        if os.listdir(source):
            _copy(source, volume)
        os.chown(volume, status.st_uid, status.st_gid)
        os.chmod(volume, stat.S_IMODE(status.st_mode))
    finally:
        os.close(source)


def _copy(source: int, volume: Path) -> None:
    with tempfile.TemporaryFile(dir=volume.parent) as spool:
        writer = TarWriter(spool)
        write_directory(source, "", writer)
        writer.close()
        spool.seek(0)
        target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            unpack(spool, target, Style.PLAIN)
        finally:
            os.close(target)
