"""Results of builds for several platforms, and a client that keeps what exporters give it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from lamina.api.build import BuildOutput, BuildRequest
from lamina.builder.cache_exchange.cache_folder import CacheFolder
from lamina.builder.export.exporter import Exporter
from lamina.builder.export.result import Attestation, PlatformImage, Result
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.distribution import RegistryClient
from lamina.formats.reference import Reference
from lamina.layers.tar.writer import Writable
from lamina.layers.tree import Tree, walk
from lamina.linux.layout_folder import LayoutFolder
from lamina.progress import Output, Report
from support.registries import patient
from support.workshop import Workshop

PLATFORMS = ("linux/amd64", "linux/arm64")
DOCKERFILE = "FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\nCOPY a.txt /\nCOPY run.sh /for-$TARGETARCH\n"
FILES = {"a.txt": "alpha\n", "run.sh": "#!\n"}


@dataclass
class Taker:
    """A client of exporters: keeps files, streams and the names of steps."""

    cancellation: Cancellation = field(default_factory=Cancellation)
    steps: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    times: set[int] = field(default_factory=set)
    stream_bytes: bytes = b""
    said: str = ""
    layout: str = ""

    @contextmanager
    def step(self, name: str) -> Iterator[Report]:
        self.steps.append(name)
        yield lambda message: self._hear(message.text) if isinstance(message, Output) else None

    def _hear(self, text: str) -> None:
        self.said += text

    def send_files(self, tree: Tree) -> None:
        for node in walk(tree):
            if node.entry.type.value == "regular":
                with tree.read(node) as content:
                    self.files[node.path] = content.read()
            if node.path:
                self.times.add(node.entry.mtime_ns)

    @contextmanager
    def _stream(self) -> Iterator[Writable]:
        sink = io.BytesIO()
        yield sink
        self.stream_bytes = sink.getvalue()

    def layout_folder(self) -> CacheFolder | None:
        return LayoutFolder(self.layout) if self.layout else None

    def stream(self, told: Mapping[str, str]) -> AbstractContextManager[Writable]:
        return self._stream()

    def credentials(self, reference: Reference) -> Credentials | None:
        return None

    def cache_folder(self, name: str) -> CacheFolder:
        return LayoutFolder(name)

    def members(self) -> dict[str, bytes]:
        """The files in the tar that was streamed."""
        with tarfile.open(fileobj=io.BytesIO(self.stream_bytes)) as opened:
            return {m.name: (f.read() if (f := opened.extractfile(m)) else b"") for m in opened if m.isreg()}


@contextmanager
def open_registry(
    reference: Reference, credentials: Credentials | None, verb: str, cancellation: Cancellation
) -> Iterator[RegistryClient]:
    with RegistryClient(patient(), cancellation=cancellation) as client:
        yield client


def result(
    workshop: Workshop,
    platforms: Sequence[str] = PLATFORMS,
    attestations: Sequence[Attestation] = (),
    dockerfile: str = DOCKERFILE,
    epoch: str = "",
) -> Result:
    """The result of a build for these platforms."""
    images = []
    for platform in platforms:
        args: dict[str, str | None] = {"SOURCE_DATE_EPOCH": epoch} if epoch else {}
        request = BuildRequest(platform=platform, build_args=args)
        image = workshop.build(dockerfile, FILES, request)
        seconds = int(epoch) if epoch else None
        images.append(PlatformImage(image.platform, image, attestations=tuple(attestations), epoch=seconds))
    return Result(tuple(images), several=len(images) > 1)


def export(
    workshop: Workshop, made: Result, type: str, taker: Taker | None = None, /, **attributes: str
) -> dict[str, str]:
    """Do one output. In the names of attributes `_` stands for `-`."""
    attrs = {name.replace("_", "-"): value for name, value in attributes.items()}
    return Exporter(workshop.images, open_registry).export(made, BuildOutput(type, attrs), taker or Taker())
