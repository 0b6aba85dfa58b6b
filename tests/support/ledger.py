"""What an engine has reported done, and a look from outside at whether it is true."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lamina.client import Client
from lamina.client.image_documents import Image
from lamina.errors import NotFound


class Ledger:
    """Images and containers that must be there, and those that must not be. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.there: dict[str, str] = {}
        """Tag and image ID, as reported."""
        self.gone: set[str] = set()
        """Tags whose removal was reported."""
        self.alive: set[str] = set()
        """IDs of containers that run for ever."""
        self.over: set[str] = set()
        """IDs of containers whose end and removal were reported."""
        self.reports = 0

    def made(self, tag: str, image: str) -> None:
        """The engine has said that `image` is done and called `tag`."""
        with self._lock:
            self.there[tag] = image
            self.reports += 1

    @contextmanager
    def removing(self) -> Iterator[str | None]:
        """A tag to remove: in doubt inside the block, gone when it ends well, and in doubt for ever when not."""
        with self._lock:
            tag = next(iter(self.there), None)
            if tag is not None:
                del self.there[tag]
        yield tag
        if tag is not None:
            with self._lock:
                self.gone.add(tag)
                self.reports += 1

    def running(self, container: str) -> None:
        """The engine has said that `container` runs; it does not end by itself."""
        with self._lock:
            self.alive.add(container)
            self.reports += 1

    def ended(self, container: str) -> None:
        """The engine has said that `container` has ended and is gone."""
        with self._lock:
            self.over.add(container)
            self.reports += 1

    @contextmanager
    def ending(self) -> Iterator[str | None]:
        """A container to remove, as `removing` for tags."""
        with self._lock:
            container = self.alive.pop() if self.alive else None
        yield container
        if container is not None:
            self.ended(container)

    def check(self, client: Client) -> None:
        """Compare with the engine: every reported image whole, no image half made, none back from the dead; the same
        for containers."""
        running = {container.id for container in client.containers.list()}
        assert running >= self.alive, "containers died with the engine"
        assert not self.over & {container.id for container in client.containers.list(all=True)}
        images = client.images.list(all=True)
        tags = {tag.removesuffix(":latest"): image.id for image in images for tag in image.tags}
        assert {tag: tags.get(tag) for tag in self.there} == self.there
        assert not self.gone & tags.keys()
        verify(client, images)


def verify(client: Client, images: Iterable[Image]) -> None:
    """Save the images and hash all that comes: each config is its ID, each layer its diff-id."""
    wanted = {image.id for image in images}
    if not wanted:
        return
    saved = io.BytesIO()
    client.images.save(sorted(wanted), saved)
    saved.seek(0)
    with tarfile.open(fileobj=saved) as archive:
        digests: dict[str, str] = {}
        for item in json.loads(_read(archive, "manifest.json")):
            config = _read(archive, item["Config"])
            wanted.discard(f"sha256:{hashlib.sha256(config).hexdigest()}")
            for name in item["Layers"]:
                if name not in digests:
                    digests[name] = f"sha256:{hashlib.sha256(_read(archive, name)).hexdigest()}"
            assert json.loads(config)["rootfs"]["diff_ids"] == [digests[name] for name in item["Layers"]]
    assert not wanted, "images that the engine lists and does not save"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    while member.issym() or member.islnk():
        member = archive.getmember(member.linkname.removeprefix("../"))
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def empty(client: Client) -> None:
    """Remove all containers, volumes, images and caches, as a user would."""
    for container in client.containers.list(all=True):
        client.containers.remove(container.id, force=True, volumes=True)
    for image in client.images.list():
        for tag in image.tags:
            try:
                client.images.remove(tag, force=True)
            except NotFound:
                continue  # a tag of an image that went with another
    client.volumes.prune({"all": ["true"]})
    client.images.prune({"dangling": ["false"]})
    client.builds.prune(all=True)
    assert client.images.list(all=True) == []
