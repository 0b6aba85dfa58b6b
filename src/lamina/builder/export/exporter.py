"""The exporters by their types: each does one output of a build, and returns what its client is told of it.

Rule: moby/buildkit, exporter/*. The store here stands for containerd's: images and indexes are kept under their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from lamina.api.build import BuildOutput
from lamina.builder.cache_exchange.cache_folder import CacheFolder
from lamina.builder.export.archives import archive_pieces, write_blobs
from lamina.builder.export.assembly import COMPRESSED, PLAIN, Assembly, assemble, blobs_of
from lamina.builder.export.files import result_files, write_tar
from lamina.builder.export.options import ImageOptions
from lamina.builder.export.push import push_assembly
from lamina.builder.export.result import Result
from lamina.builder.export.statements import descriptor_text
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.distribution.registry_client import RegistryClient
from lamina.errors import InvalidInput, Unsupported
from lamina.formats.reference import Reference
from lamina.images.archive.save import copy_to
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.indexes import NewIndex
from lamina.images.record import check_tag
from lamina.layers.tar.writer import Writable
from lamina.layers.tree import Tree
from lamina.progress import Output, Report

OpenRegistry = Callable[[Reference, Credentials | None, str, Cancellation], AbstractContextManager[RegistryClient]]


class ExportClient(Protocol):
    """Who asked for an output: hears of progress, takes files, and has the user's credentials."""

    @property
    def cancellation(self) -> Cancellation: ...

    def step(self, name: str) -> AbstractContextManager[Report]:
        """Show the work of a block, and what it reports."""
        ...

    def send_files(self, tree: Tree) -> None:
        """Write a tree into the folder of this output."""
        ...

    def stream(self, told: Mapping[str, str]) -> AbstractContextManager[Writable]:
        """Provide the file of this output. `told` describes the image in it."""
        ...

    def layout_folder(self) -> CacheFolder | None:
        """Return the folder of this output that takes a layout blob by blob, None where it is sent as a tar."""
        ...

    def credentials(self, reference: Reference) -> Credentials | None:
        """Return who the user is at the reference's registry."""
        ...

    def cache_folder(self, name: str) -> CacheFolder:
        """Return a folder for a cache, by the word of its option. Raise Unsupported for a client without folders."""
        ...


class Exporter:
    """Does the outputs of builds. Thread-safe."""

    def __init__(self, images: Images, open_registry: OpenRegistry) -> None:
        self._images = images
        self._open_registry = open_registry

    def export(self, result: Result, output: BuildOutput, client: ExportClient) -> dict[str, str]:
        """Do one output, and return what the client is told of it, by BuildKit's keys.

        Raise InvalidInput for attributes that do not fit the result, Unsupported for an unknown type, what registries
        answer, NoSpace, Cancelled.
        """
        match output.type:
            case "moby" | "image" | "registry":
                return self._image(result, output, client)
            case "docker" | "oci":
                return self._archive(result, output, client)
            case "local":
                with client.step("exporting to client directory"), self._images.held(_images_of(result)):
                    client.send_files(result_files(result, output.attrs))
            case "tar":
                with client.step("exporting to client tarball"), self._images.held(_images_of(result)):
                    with client.stream({}) as sink:
                        write_tar(result_files(result, output.attrs), sink)
            case "cacheonly":
                pass
            case _:
                raise Unsupported(
                    f"exporter {output.type!r} could not be found",
                    advice="Known are image, registry, docker, oci, local, tar and cacheonly.",
                )
        return {}

    def _image(self, result: Result, output: BuildOutput, client: ExportClient) -> dict[str, str]:
        options = ImageOptions.parse(output.attrs, output.type)
        form = options.form or (COMPRESSED if options.push else PLAIN)
        names = [check_tag(Reference.parse(name).with_default_tag()) for name in options.names]
        if options.push and not names:
            raise InvalidInput("an image that is pushed needs a name", advice="Give a tag, or name= in the output.")
        with self._images.held(_images_of(result)):
            with client.step("exporting to image") as report:
                assembly = assemble(
                    self._images, result, options, form, [str(name) for name in names], client.cancellation
                )
                _tell(report, assembly)
                if options.store:
                    self._keep(assembly, [] if options.push_by_digest else names, plain=form == PLAIN)
                    if options.name_canonical:
                        self._name_by_digest(assembly, names)
                    for name in names:
                        report(Output(f"naming to {name}\n"))
            for name in names if options.push else ():
                with client.step(f"pushing {name}") as report:
                    self._push(assembly, name.without_tag() if options.push_by_digest else name, client, report)
        return _response(assembly, options)

    def _keep(self, assembly: Assembly, names: list[Reference], *, plain: bool) -> None:
        if assembly.index is not None:
            images = [(item.manifest.digest, item.image) for item in assembly.images]
            documents = [*(item.manifest.raw for item in assembly.images), *assembly.documents]
            new = NewIndex(assembly.index, images, documents, blobs_of(assembly), plain)
            main = self._images.indexes.create(new, names).main
        else:
            (item,) = assembly.images
            own = None if plain and not item.manifest.annotations else item.manifest
            parent = item.image.parent
            self._images.create(item.image.config, manifest=own, references=names, parent=parent, built=True)
            return
        for name in names:
            self._images.publish("tag", main, name.familiar())

    def _name_by_digest(self, assembly: Assembly, names: list[Reference]) -> None:
        for name in names:
            self._images.add_digest(assembly.images[0].image, name.without_tag().with_digest(assembly.top.digest))

    def _push(self, assembly: Assembly, reference: Reference, client: ExportClient, report: Report) -> None:
        credentials = client.credentials(reference)
        with self._open_registry(reference, credentials, "push", client.cancellation) as registry:
            push_assembly(assembly, reference, self._images.store, report, client=registry)
        image = assembly.images[0].image
        self._images.publish("push", image, reference.familiar())

    def _archive(self, result: Result, output: BuildOutput, client: ExportClient) -> dict[str, str]:
        docker = output.type == "docker"
        if docker and (result.several or len(result.images) > 1):
            raise InvalidInput(
                "docker exporter does not currently support exporting manifest lists", advice="Use type=oci."
            )
        options = ImageOptions.parse(output.attrs, output.type)
        names = [check_tag(Reference.parse(name).with_default_tag()) for name in options.names]
        form = options.form or (PLAIN if docker else COMPRESSED)
        epochs = {item.epoch for item in result.images}
        epoch = options.epoch if options.has_epoch else epochs.pop() if len(epochs) == 1 else None
        with self._images.held(_images_of(result)):
            with client.step(f"exporting to {output.type} image format") as report:
                assembly = assemble(
                    self._images, result, options, form, [str(name) for name in names], client.cancellation
                )
                _tell(report, assembly)
                response = _response(assembly, replace(options, names=tuple(map(str, names))))
                if not options.tar and (folder := client.layout_folder()) is not None:
                    write_blobs(assembly, self._images.store, folder)
                    return response
                pieces = archive_pieces(assembly, names, self._images.store, docker_archive=docker, epoch=epoch)
                with client.stream(response) as sink:
                    copy_to(pieces, sink.write)
        return response


def _images_of(result: Result) -> list[Image]:
    return [item.image for item in result.images]


def _tell(report: Report, assembly: Assembly) -> None:
    for item in assembly.images:
        report(Output(f"exporting manifest {item.manifest.digest}\n"))
        report(Output(f"exporting config {item.image.id}\n"))
    if assembly.index is not None:
        report(Output(f"exporting manifest list {assembly.index.digest}\n"))


def _response(assembly: Assembly, options: ImageOptions) -> dict[str, str]:
    response = assembly.names | {"containerimage.descriptor": descriptor_text(assembly.descriptor)}
    return response | ({"image.name": ",".join(options.names)} if options.names else {})
