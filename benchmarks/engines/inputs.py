"""What the rows work on: build contexts, archives, and an image of four layers in a registry."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

SMALL_FILES = 20_000
BIG_FILE = 256 << 20
BIG_LAYERS = 9
BIG_LAYER = 30 << 20
PULLED_LAYERS = 4
PULLED_LAYER = 165_000_000  # bytes of real files
PULLED_NOISE = 60 << 20  # bytes beside them that do not compress, as images hold archives too
STAGES = 4
_LARGEST_FILE = 20_000_000  # of a pulled layer
_PIECE = 1 << 20  # bytes that are made at once
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


def write_contexts(folder: Path) -> None:
    """Write the build contexts. No compression makes their large files smaller."""
    source = random.Random(7)
    for number in range(SMALL_FILES):
        path = folder / "many/files" / f"{number // 200:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * (1 + number % 40))
    (folder / "many/Dockerfile").write_text("FROM base\nCOPY files /files\n")
    _context(folder / "steps", "".join(f"RUN echo {n} > /step{n}\n" for n in range(10)))
    _context(folder / "large", "COPY part /part\n", {"part": _noise(source, BIG_FILE)})
    parts = {f"part{n}": _noise(source, BIG_LAYER) for n in range(BIG_LAYERS)}
    _context(folder / "big", "".join(f"COPY {name} /{name}\n" for name in parts), parts)
    stages = "".join(f"FROM base AS stage{n}\nRUN sleep 1 && echo {n} > /done{n}\n" for n in range(STAGES))
    copies = "".join(f"COPY --from=stage{n} /done{n} /\n" for n in range(STAGES))
    _context(folder / "stages", f"{copies}", before=stages)


def _noise(source: random.Random, size: int) -> bytes:
    return b"".join(source.randbytes(_PIECE) for _ in range(size // _PIECE))


def _context(folder: Path, steps: str, files: dict[str, bytes] | None = None, before: str = "") -> None:
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"{before}FROM base\n{steps}")
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)


@dataclass(frozen=True)
class _Blob:
    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{sha256(self.data).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str | None]:
    """Run Debian's registry with an image of four layers, and yield the image's name; None without that registry."""
    program = shutil.which("docker-registry")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "registry.yml"
    settings.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
    )
    with open(folder / "registry.log", "wb") as log:
        server = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        _push_image(port, folder)
        yield f"127.0.0.1:{port}/four:1"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)  # there is no event for "listens now"
    raise AssertionError("the registry does not answer")


def _push_image(port: int, folder: Path) -> None:
    plain = _write_layers(folder)
    with ThreadPoolExecutor() as threads:
        layers = [_Blob(_LAYER, data) for data in threads.map(_gzip, plain)]
    diff_ids = [f"sha256:{_hash_file(path)}" for path in plain]
    for path in plain:
        path.unlink()
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]}}
    raw = json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []}).encode()
    blob = _Blob(_CONFIG, raw)
    for each in [*layers, blob]:
        _upload(port, each)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": blob.descriptor,
        "layers": [layer.descriptor for layer in layers],
    }
    _request(port, "PUT", "/v2/four/manifests/1", json.dumps(manifest).encode(), {"Content-Type": _MANIFEST})


def _write_layers(folder: Path) -> list[Path]:
    """Write tars of this machine's programs and libraries: real files compress, and unpack, as those of images do."""
    files = _programs()
    tars = []
    for number in range(PULLED_LAYERS):
        path = folder / f"layer{number}.tar"
        size = 0
        noise = _noise(random.Random(number), PULLED_NOISE)
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
            while size < PULLED_LAYER and (file := next(files, None)) is not None:
                tar.add(file, f"layer{number}{file}", recursive=False)
                size += file.stat().st_size
            member = tarfile.TarInfo(f"layer{number}/archive")
            member.size = len(noise)
            tar.addfile(member, BytesIO(noise))
        tars.append(path)
    return tars


def _programs() -> Iterator[Path]:
    for top, folders, names in os.walk("/usr"):
        folders.sort()
        for name in sorted(names):
            path = Path(top, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST_FILE:
                yield path


def _gzip(path: Path) -> bytes:
    """Return a file as one member of gzip at level 6, as other engines push it."""
    encoder = zlib.compressobj(6, wbits=31)
    with path.open("rb") as file:
        pieces = [encoder.compress(piece) for piece in iter(lambda: file.read(_PIECE), b"")]
    return b"".join([*pieces, encoder.flush()])


def _hash_file(path: Path) -> str:
    hasher = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


def _upload(port: int, blob: _Blob) -> None:
    location = _request(port, "POST", "/v2/four/blobs/uploads/", b"", {})
    joined = "&" if "?" in location else "?"
    path = location.removeprefix(f"http://127.0.0.1:{port}")
    _request(
        port, "PUT", f"{path}{joined}digest={blob.digest}", blob.data, {"Content-Type": "application/octet-stream"}
    )


def _request(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text.decode(errors='replace')}"
        return answer.headers.get("Location", "")
    finally:
        connection.close()
