"""All containers: kept in the store, found by name, ID or its beginning."""

from __future__ import annotations

import random
import re
import shutil
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lamina.containers.container import Container
from lamina.containers.image_mounts import image_digests
from lamina.containers.links import link_target
from lamina.containers.record import Record
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.events import EventBus
from lamina.formats.digest import Digest
from lamina.images.image import ImageUser
from lamina.images.record import owner as image_owner
from lamina.linux.user_namespaces import UserNamespace
from lamina.store.store import Store

BUCKET = "containers"
_HEX = re.compile(r"[0-9a-f]{1,64}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_LEFT = _words(
    "able amber ample arctic avid bold brave breezy bright brisk calm candid clever cosmic crisp curious daring deft "
    "eager early earnest fair fearless fluent fond frosty gentle glad golden grand hardy hearty honest humble jolly "
    "keen kind lively lucid lucky mellow merry mighty modest neat nimble noble patient placid polite prompt proud "
    "quick quiet rapid ready robust rosy serene sharp sleek snug solid spry steady sunny swift tidy tranquil upbeat "
    "vivid warm wise witty zesty"
)
_RIGHT = _words(
    "abel ampere babbage bernoulli bohr boole cantor cerf church codd curie darwin dijkstra dirac edison einstein "
    "erdos euclid euler fermat fermi feynman franklin galileo gauss germain goedel hamilton heisenberg herschel "
    "hopper huygens johnson joliot kepler knuth kolmogorov lamarr lamport laplace leavitt leibniz liskov lovelace "
    "maxwell mccarthy meitner mendel mirzakhani napier newton noether pascal pasteur planck ptolemy ramanujan "
    "ritchie shannon tesla thompson torvalds turing volta wiles wing wozniak"
)


def owner(id: str) -> str:
    """Return the name under which a container holds its image's layers."""
    return f"container:{id}"


class Catalog:
    """The containers of one engine. Thread-safe; looking one up never waits for another."""

    def __init__(self, store: Store, root: Path, events: EventBus, userns: UserNamespace | None = None) -> None:
        """`root` is where each container's directory is, with its own files: log, hosts, resolv.conf, hostname.

        Containers have the users of `userns`, unless they ask for the host's.
        """
        self.root = root
        self._store = store
        self._events = events
        self._userns = userns
        self._lock = threading.Lock()
        self._by_id: dict[str, Container] = {}
        self._names: dict[str, str] = {}
        self._by_image: defaultdict[str, set[str]] = defaultdict(set)  # IDs of containers by that of an image they have
        with store.read() as view:
            for _, raw in view.items(BUCKET):
                self._adopt(msgspec.json.decode(raw, type=Record))

    def _adopt(self, record: Record) -> Container:
        container = Container(record, self.root / record.id, self._save, self._events, self._userns)
        self._by_id[record.id] = container
        self._names[record.name] = record.id
        for image in container.images:
            self._by_image[image].add(record.id)
        return container

    def _save(self, record: Record) -> None:
        with self._store.transaction() as change:
            change.put(BUCKET, record.id, msgspec.json.encode(record))

    def sweep(self) -> None:
        """Delete the directories of containers that a crash left half made, or half removed."""
        for directory in self.root.iterdir():
            if directory.name not in self._by_id:
                shutil.rmtree(directory, ignore_errors=True)

    def all(self) -> list[Container]:
        """Return every container, in no order."""
        return list(self._by_id.values())

    def image_users(self, image_id: Digest) -> Sequence[ImageUser]:
        """Return the containers that were made from an image, or have it mounted: that keeps it from going unless it
        is forced, as in a container that does not run."""
        image = str(image_id)
        with self._lock:
            users = [self._by_id[id] for id in self._by_image.get(image, ())]
        return [ImageUser(c.id, c.state.running and c.record.image == image) for c in users]

    def volume_users(self, name: str) -> Sequence[str]:
        """Return the IDs of the containers that have a volume."""
        return [c.id for c in self.all() if any(p.type == "volume" and p.name == name for p in c.record.mounts)]

    def reserve(self, name: str | None, id: str) -> str:
        """Take `name`, or a random one, for the container `id` that is being made. Raise Conflict."""
        with self._lock:
            if name is None:
                name = self._free_name()
            elif name in self._names:
                holder = self._names[name]
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                    "You have to remove (or rename) that container to be able to reuse that name.",
                    container=holder,
                )
            self._names[name] = id
            return name

    def _free_name(self) -> str:
        attempt = 0
        while (name := random_name(attempt)) in self._names:
            attempt += 1
        return name

    def release(self, name: str) -> None:
        """Give back a reserved name."""
        with self._lock:
            self._names.pop(name, None)

    def add(self, record: Record, layers: Sequence[Digest], init: Digest | None = None) -> Container:
        """Keep a new container, whose name is reserved, and let it hold its images and its layers, bottom first.

        `init` is its init layer: the image holds it as well, so that the next container finds it made.
        """
        image = Digest.parse(record.image)
        with self._store.transaction() as change:
            if init is not None:
                change.hold(image_owner(image), init)
            change.link(owner(record.id), [image, *image_digests(record.mounts)], layers)
            change.put(BUCKET, record.id, msgspec.json.encode(record))
        with self._lock:
            return self._adopt(record)

    def drop(self, container: Container) -> None:
        """Forget a container and what it held."""
        with self._store.transaction() as change:
            change.unlink(owner(container.id))
            change.delete(BUCKET, container.id)
        with self._lock:
            self._by_id.pop(container.id, None)
            self._names.pop(container.name, None)
            for image in container.images:
                self._by_image[image].discard(container.id)
                if not self._by_image[image]:
                    del self._by_image[image]

    def rename(self, container: Container, name: str) -> None:
        """Give a container another name. Raise Conflict when it is taken."""
        old = container.name
        self.reserve(name, container.id)
        try:
            container.change(name=name)
        except BaseException:
            self.release(name)
            raise
        self.release(old)

    def get(self, reference: str) -> Container:
        """Return the container called `reference`: full ID, name, the beginning of an ID, or a link's parent/alias.

        Raise NotFound, and InvalidInput where several IDs begin so.
        """
        name = reference.removeprefix("/")
        with self._lock:
            container = self._by_id.get(name) or self._by_id.get(self._names.get(name, ""))
            if container is not None:
                return container
            alike = [c for id, c in self._by_id.items() if id.startswith(name)] if _HEX.fullmatch(name) else []
        if len(alike) > 1:
            raise InvalidInput(f"multiple IDs found with provided prefix: {name}", reference=reference)
        if not alike and "/" in name:
            return link_target(name, self.get)
        if not alike:
            raise NotFound(f"No such container: {reference}", container=reference)
        return alike[0]


def random_name(attempt: int = 0) -> str:
    """Return a name of two words; later attempts append a digit."""
    name = f"{random.choice(_LEFT)}_{random.choice(_RIGHT)}"
    return f"{name}{random.randrange(10)}" if attempt else name


def check_name(name: str) -> str:
    """Return the name without its leading slash. Raise InvalidInput for a malformed name."""
    plain = name.removeprefix("/")
    if not _NAME.fullmatch(plain):
        raise InvalidInput(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name=name)
    return plain
