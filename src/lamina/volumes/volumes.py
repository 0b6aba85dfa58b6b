"""Volumes of the local driver: directories below one root, with labels; some are mounts (tmpfs, bind) while in use."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from lamina.api.results import Pruned
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.events import EventBus
from lamina.formats.matching import Filters, any_fits, check_names, flag, labels_match
from lamina.formats.times import format_time
from lamina.linux.files import private_directory, usual_directory
from lamina.store.store import Store
from lamina.types import resources
from lamina.volumes.local_mounts import is_mounted, mount_local, unmount_local
from lamina.volumes.volume import ANONYMOUS_LABEL, Volume, volume_mount

_BUCKET = "volumes"
_LISTED = frozenset({"dangling", "driver", "label", "name"})
_PRUNED = frozenset({"all", "label", "label!"})
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_NAME_LIMIT = 255  # a volume is a folder: NAME_MAX

Users = Callable[[str], Sequence[str]]


def no_users(name: str) -> Sequence[str]:
    """Return no container: what `Users` are where no containers can be."""
    return ()


class Volumes(resources.Volumes):
    """The volumes of one engine. Thread-safe."""

    @staticmethod
    def open(
        store: Store,
        root: Path,
        *,
        events: EventBus | None = None,
        users: Users = no_users,
        owner: tuple[int, int] | None = None,
    ) -> Volumes:
        """Open the volumes kept in `store`, their data below `root`; remove directories of half-made ones.

        `users` returns the IDs of the containers that have a volume, running or not. New volumes belong to `owner`, a
        user and a group; None is the engine itself.
        """
        return Volumes(store, root, events or EventBus(), users, owner)

    def __init__(
        self, store: Store, root: Path, events: EventBus, users: Users, owner: tuple[int, int] | None = None
    ) -> None:
        private_directory(root)  # or other users could run the set-uid programs that containers leave in volumes
        self._store = store
        self._root = root.absolute()
        self._events = events
        self._owner = owner
        self._lock = threading.RLock()
        self._mounted: dict[str, set[str]] = {}
        self._promised: dict[str, set[str]] = {}  # to containers in the making, which `users` does not know yet
        self.users = users
        with store.read() as view:
            volumes = [msgspec.json.decode(raw, type=Volume) for _, raw in view.items(_BUCKET)]
        self._volumes = {volume.name: self._placed(volume) for volume in volumes}
        self._sweep()

    def create(
        self,
        name: str | None = None,
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        driver_opts: Mapping[str, str] | None = None,
    ) -> Volume:
        if driver not in ("", "local"):
            raise self.no_such_driver(name or "", driver)
        return self.create_promised("", name, labels or {}, driver_opts or {})

    def create_promised(
        self, container: str, name: str | None, labels: Mapping[str, str], driver_opts: Mapping[str, str]
    ) -> Volume:
        """`create` for a container that is being made: nobody removes the volume before `settle`."""
        labels = dict(labels)
        if not name:
            name = secrets.token_hex(32)
            labels.setdefault(ANONYMOUS_LABEL, "")
        if len(name) > _NAME_LIMIT:
            raise InvalidInput(f"a volume's name has at most {_NAME_LIMIT} characters, this one has {len(name)}")
        if len(name) == 1:
            raise InvalidInput(
                f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
            )
        if not _NAME.fullmatch(name):
            advice = "Names match [a-zA-Z0-9][a-zA-Z0-9_.-]+; give an absolute path for a host directory"
            raise InvalidInput(
                f"create {name}: {name!r} includes invalid characters for a local volume name", advice=advice
            )
        options = dict(driver_opts)
        try:
            volume_mount(options)
        except InvalidInput as error:
            raise InvalidInput(f"create {name}: {error.message}", **error.facts) from None
        with self._lock:
            present = self._volumes.get(name)
            if present is None:
                volume = self._make(
                    Volume(name=name, created=format_time(time.time_ns(), digits=0), labels=labels, options=options)
                )
            else:
                volume = _same(present, options)
            if container:
                self._promised.setdefault(name, set()).add(container)
            return volume

    @staticmethod
    def no_such_driver(name: str, driver: str) -> NotFound:
        """Return the error for a volume of a driver that is not here."""
        return NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')

    def promise(self, name: str, container: str) -> Volume:
        """Return the volume, which nobody removes before `settle`. Raise NotFound."""
        with self._lock:
            volume = self.get(name)
            self._promised.setdefault(name, set()).add(container)
        return volume

    def settle(self, container: str) -> None:
        """End the promises to `container`, which is among the `users` now or never will be. May be called twice."""
        with self._lock:
            for name in [name for name, promised in self._promised.items() if container in promised]:
                self._promised[name].discard(container)
                if not self._promised[name]:
                    del self._promised[name]

    def get(self, name: str) -> Volume:
        with self._lock:
            volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def list(self, filters: Filters | None = None) -> list[Volume]:
        filters = filters or {}
        check_names(filters, _LISTED)
        flag(filters, "dangling", False)
        with self._lock:
            volumes = sorted(self._volumes.values(), key=lambda volume: volume.name)
        return [volume for volume in volumes if self._fits(volume, filters)]

    def _fits(self, volume: Volume, filters: Filters) -> bool:
        if filters.get("driver") and "local" not in filters["driver"]:
            return False
        if "dangling" in filters and flag(filters, "dangling", False) == bool(self.users(volume.name)):
            return False
        return any_fits([volume.name], filters.get("name", ())) and labels_match(volume.labels, filters)

    def path(self, name: str) -> Path:
        """Return where the volume's data is. Raise NotFound."""
        return self.mountpoint(self.get(name))

    def mountpoint(self, volume: Volume) -> Path:
        """Return where the volume's data is, or was until it was removed."""
        return self._root / volume.name / "_data"

    def mount(self, name: str, user: str) -> Path:
        """Make the volume's data reachable for `user` (a container's id) and return its path. May be called twice.

        Raise NotFound, and Unavailable where the mount that the volume's options ask for fails.
        """
        mount_call = volume_mount(self.get(name).options)
        path = self.path(name)
        with self._lock:
            users = self._mounted.setdefault(name, set())
            if mount_call is not None and not users and not is_mounted(path):
                mount_local(mount_call, path)
            users.add(user)
        return path

    def unmount(self, name: str, user: str) -> None:
        """Drop a user of the volume. The last one unmounts it. A second call does nothing."""
        with self._lock:
            users = self._mounted.get(name, set())
            users.discard(user)
            if not users:
                unmount_local(self._root / name / "_data")
                self._mounted.pop(name, None)

    def unmount_unused(self) -> None:
        """Unmount what an engine that was killed had mounted, and nobody uses by now."""
        with self._lock:
            for name, volume in self._volumes.items():
                if volume.options and not self._mounted.get(name):
                    unmount_local(self._root / name / "_data")

    def usage(self, volume: Volume) -> int:
        """Return bytes of the files in the volume; one that is removed meanwhile counts as far as it went."""
        return _tree_size(str(self.mountpoint(volume)))

    def remove(self, name: str, *, force: bool = False) -> None:
        self.users(name)  # the first time that opens the containers: those that start then take their volumes
        with self._lock:
            if force and name not in self._volumes:
                return
            self.get(name)
            users = sorted({*self.users(name), *self._promised.get(name, ())})
            if users:
                listed = ", ".join(users)
                raise Conflict(f"remove {name}: volume is in use - [{listed}]", containers=list(users))
            with self._store.transaction() as change:
                change.delete(_BUCKET, name)
            del self._volumes[name]
            unmount_local(self._root / name / "_data")
            renamed = self._root / f".gone-{secrets.token_hex(8)}"  # so that a new one of this name may come at once
            (self._root / name).rename(renamed)
        shutil.rmtree(renamed)
        self._events.publish("volume", "destroy", name, {"driver": "local"})

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        filters = filters or {}
        check_names(filters, _PRUNED)
        named_too = flag(filters, "all", False)
        removed, freed = [], 0
        for volume in self.list():
            cancellation.check()
            if not (named_too or volume.anonymous) or not labels_match(volume.labels, filters):
                continue
            if self.users(volume.name):
                continue
            size = self.usage(volume)
            with suppress(NotFound, Conflict):
                self.remove(volume.name)
                removed.append(volume.name)
                freed += size
        return Pruned(tuple(removed), freed)

    def _make(self, volume: Volume) -> Volume:
        private_directory(self._root / volume.name)
        data = self._root / volume.name / "_data"
        usual_directory(data)
        if self._owner is not None:
            os.chown(data, *self._owner)
        with self._store.transaction() as change:
            change.put(_BUCKET, volume.name, msgspec.json.encode(volume))
        self._volumes[volume.name] = self._placed(volume)
        self._events.publish("volume", "create", volume.name, {"driver": "local"})
        return self._volumes[volume.name]

    def _placed(self, volume: Volume) -> Volume:
        return msgspec.structs.replace(volume, path=str(self._root / volume.name / "_data"))

    def _delete(self, name: str) -> None:
        unmount_local(self._root / name / "_data")
        shutil.rmtree(self._root / name)

    def _sweep(self) -> None:
        for path in self._root.iterdir():
            if path.name not in self._volumes:
                self._delete(path.name)


def _same(present: Volume, options: dict[str, str]) -> Volume:
    if options and options != present.options:
        raise Conflict(f"create {present.name}: volume exists with other options")
    return present


def _tree_size(folder: str) -> int:
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:  # a container may remove it meanwhile
        for entry in entries:
            with suppress(OSError):  # and each file in it
                total += entry.stat(follow_symlinks=False).st_size
                if entry.is_dir(follow_symlinks=False):
                    total += _tree_size(entry.path)
    return total
