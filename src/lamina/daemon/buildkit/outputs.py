"""Where a build's result goes: into the store, a registry, or the client's folder or file.

Rule: moby/buildkit, exporter/*. The client offers one place for each output, by its number.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import msgspec

from lamina.daemon.buildkit.filesend import send_files, stream_to
from lamina.daemon.buildkit.frontend import Client
from lamina.engine.registries import Registries
from lamina.errors import Unsupported
from lamina.formats.reference import Reference
from lamina.images.archive.save import copy_to
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.entry import EntryType
from lamina.layers.tar.writer import TarWriter, Writable
from lamina.layers.tree import MemoryTree, Tree, walk
from lamina.layers.union import StackTree


class Output(msgspec.Struct, frozen=True, rename="pascal"):
    """One thing to do with the result: the type of an exporter, and its attributes."""

    type: str
    attrs: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that the image is to have."""
        return tuple(name for name in self.attrs.get("name", "").split(",") if name)

    def flag(self, name: str) -> bool:
        """Return a boolean attribute; one without a value is true."""
        return name in self.attrs and self.attrs[name].lower() in ("", "1", "t", "true")


class Outputs:
    """Hand results over. Thread-safe."""

    def __init__(self, images: Images, registries: Registries) -> None:
        self._images = images
        self._registries = registries

    def write(self, image: Image, output: Output, number: int, client: Client) -> dict[str, str]:
        """Do one output and return what the client is told of it. Raise Unsupported for an unknown type."""
        match output.type:
            case "moby" | "image":
                return self._store(image, output, client)
            case "local":
                with client.vertices.step("exporting to client directory"), self._images.held(image):
                    send_files(client.session, files_of(image), number, client.cancellation)
            case "tar":
                with client.vertices.step("exporting to client tarball"), self._images.held(image):
                    with stream_to(client.session, number, client.cancellation) as writer:
                        _write_tar(files_of(image), writer)
            case "docker" | "oci":
                return self._archive(image, output, number, client)
            case _:
                raise Unsupported(f"exporter {output.type!r} could not be found")
        return {}

    def _store(self, image: Image, output: Output, client: Client) -> dict[str, str]:
        with client.vertices.step("exporting to image") as vertex:
            client.vertices.log(vertex, f"writing image {image.id}\n")
            for name in output.names:
                self._images.tag(str(image.id), name)
                client.vertices.log(vertex, f"naming to {name}\n")
        if output.flag("push"):
            for name in output.names:
                with client.vertices.step(f"pushing {name}") as vertex:
                    reference = Reference.parse(name).with_default_tag()
                    self._registries.push(
                        str(reference),
                        credentials=client.credentials(reference),
                        report=partial(client.vertices.hear, vertex),
                        cancellation=client.cancellation,
                    )
        return _exporter_response(image, output)

    def _archive(self, image: Image, output: Output, number: int, client: Client) -> dict[str, str]:
        docker = output.type == "docker"
        for name in output.names:
            self._images.tag(str(image.id), name)
        with client.vertices.step("exporting to docker image format" if docker else "exporting to oci image format"):
            names = list(output.names) or [str(image.id)]
            with self._images.archive(names, docker_archive=docker) as pieces:
                with stream_to(client.session, number, client.cancellation) as writer:
                    copy_to(pieces, writer.write)
        return _exporter_response(image, output)


def _exporter_response(image: Image, output: Output) -> dict[str, str]:
    digests = {"containerimage.digest": str(image.id), "containerimage.config.digest": str(image.id)}
    return digests | ({"image.name": ",".join(output.names)} if output.names else {})


def files_of(image: Image) -> Tree:
    """Return all files of an image."""
    return StackTree(image.layers) if image.layers else MemoryTree()


def _write_tar(tree: Tree, sink: Writable) -> None:
    tar = TarWriter(sink)
    names: dict[tuple[int, int], str] = {}
    for node in walk(tree):
        if not node.path:
            continue
        first = names.setdefault(node.shared, node.path) if node.shared is not None else node.path
        entry = replace(node.entry, sparse=None, data_offset=-1)
        if first != node.path:
            tar.add(replace(entry, type=EntryType.HARDLINK, size=0, target=first))
        elif entry.type is EntryType.REGULAR:
            with tree.read(node) as content:
                tar.add(entry, content)
        else:
            tar.add(entry)
    tar.close()
