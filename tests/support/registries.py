"""Registries on loopback in this process, raw requests to them, and images to push."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lamina.cancellation import Cancellation
from lamina.distribution import Retry, Settings
from lamina.distribution.repository import Repository
from lamina.formats.config import ImageConfig, RunConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import ingest
from lamina.layers.tar.writer import TarWriter
from lamina.registry.config import Config
from lamina.registry.registry import Registry
from lamina.registry.serve import assemble, listen
from lamina.store.store import Store

Start = Callable[..., "Running"]


class Running:
    """A registry in a thread of this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.address = ""
        self.registry: Registry | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="registry")
        self._thread.start()
        self._ready.wait(30)
        if self._problem:
            raise self._problem

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with AsyncExitStack() as parts:
                self.registry = await assemble(self.config, parts)
                self.address = await listen(self.registry, parts)
                self._ready.set()
                await self._stop.wait()
        except BaseException as error:
            self._problem = error
            raise
        finally:
            self._ready.set()


def patient(**more: Any) -> Settings:
    """Settings that lose no time between attempts."""
    return replace(Settings(retry=Retry(attempts=6, first=0.001, longest=1.0)), **more)


@contextmanager
def parts_asked_for() -> Iterator[list[int]]:
    """Note the length of each part that a client fetches of a blob while the block runs."""
    lengths: list[int] = []
    read_pieces = Repository.read_pieces

    def note(self: Repository, digest: Digest, first: int, length: int, stop: Cancellation) -> list[bytes]:
        lengths.append(length)
        return read_pieces(self, digest, first, length, stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repository, "read_pieces", note)
        yield lengths


def make_layer(store: Store, name: str, size: int, seed: int = 0) -> Layer:
    """A layer with one file of `size` bytes that do not compress well."""
    sink = BytesIO()
    writer = TarWriter(sink)
    writer.add(Entry(path=name, type=EntryType.REGULAR, size=size), random.Random(seed or name).randbytes(size))
    writer.close()
    sink.seek(0)
    with store.layers.create() as making:
        return making.commit(ingest(sink, making.tar, making.index))


def make_image(store: Store, *sizes: int) -> tuple[ImageConfig, list[Layer]]:
    """An image with a layer of each size."""
    layers = [make_layer(store, f"file{n}", size) for n, size in enumerate(sizes)]
    config = ImageConfig.build(config=RunConfig(cmd=("true",)), diff_ids=[layer.diff_id for layer in layers])
    return config, layers


class Raw:
    """Speaks HTTP to a registry without any help: for what well-behaved clients do not send."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = HTTPConnection(host, int(port), timeout=30)

    def __call__(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, named)
        answer = self._connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def close(self) -> None:
        self._connection.close()

    def push_blob(self, repository: str, content: bytes, **headers: str) -> Digest:
        """Push in one POST."""
        digest = Digest.of(content)
        answer = self("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content, **headers)
        assert answer.status == 201, answer
        return digest

    def push_manifest(self, repository: str, tag: str | None, manifest: Manifest | Index) -> Digest:
        """Push under a tag or the digest."""
        path = f"/v2/{repository}/manifests/{tag or manifest.digest}"
        answer = self("PUT", path, manifest.raw, Content_Type=manifest.media_type)
        assert answer.status == 201, answer
        return manifest.digest

    def push_image(self, repository: str, tag: str | None, seed: str) -> Manifest:
        """Push a small image made of `seed`."""
        parts = [b"{}", seed.encode() * 5000]
        for part in parts:
            self.push_blob(repository, part)
        layer = Descriptor.of(OCI_LAYER, parts[1])
        manifest = Manifest.build(Descriptor.of(OCI_CONFIG, parts[0]), [layer])
        self.push_manifest(repository, tag, manifest)
        return manifest


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The first error code of the specification's form."""
        return str(json.loads(self.body)["errors"][0]["code"])


def make_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A self-signed certificate for an IP address, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ip_address(address))]
    (folder / "server.crt").write_bytes(certify(key, address, names))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return folder / "server.crt", folder / "server.key"


def certify(key: ec.EllipticCurvePrivateKey, name: str, others: Sequence[x509.GeneralName]) -> bytes:
    """A certificate of a key signed with itself, for today, as PEM."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    making = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    making = making.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    making = making.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if others:
        making = making.add_extension(x509.SubjectAlternativeName(others), critical=False)
    return making.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
