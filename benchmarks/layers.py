"""How fast layers are taken in, made, unpacked and diffed, on this machine.

    python benchmarks/layers.py [TAR]

TAR is a plain tar to take in (such as `mmdebstrap --variant=minbase bookworm x.tar` makes); without one, /usr/share/doc
and /usr/lib/python3 are packed. Prints the best of three runs, and processor time of all threads beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lamina.layers.compression import Compression, compressor
from lamina.layers.decompress import decompressed
from lamina.layers.diff import write_upper_diff
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer_writer import LayerBuilder, ingest
from lamina.layers.unpack import Style, unpack

SMALL_FILES = 20_000


def measure(name: str, work: Callable[[], object]) -> None:
    best = wall = processor = float("inf")
    for _ in range(3):
        started, used = time.perf_counter(), time.process_time()
        work()
        wall, processor = time.perf_counter() - started, time.process_time() - used
        best = min(best, wall)
    print(f"{name:44} {best * 1000:8.0f} ms   {processor * 1000:8.0f} ms processor")


def make_small_files(folder: Path) -> None:
    for number in range(SMALL_FILES):
        path = folder / f"d{number // 200}"
        if number % 200 == 0:
            path.mkdir()
        (path / f"file{number}.txt").write_bytes(b"%d\n" % number * 20)


def build_from_memory(work: Path) -> None:
    with LayerBuilder(work / "m.tar", work / "m.index") as builder:
        builder.add(Entry("d", EntryType.DIRECTORY, 0o755))
        for number in range(SMALL_FILES):
            builder.add(Entry(f"d/{number}", EntryType.REGULAR, size=100, mtime_ns=10**18), b"x" * 100)
        builder.finish()


def diff(folder: Path, work: Path) -> None:
    root = os.open(folder, os.O_RDONLY)
    with LayerBuilder(work / "d.tar", work / "d.index") as builder:
        write_upper_diff(root, builder)
        builder.finish()
    os.close(root)


def take_in(tar: Path, work: Path) -> None:
    with tar.open("rb", buffering=0) as stream:
        ingest(decompressed(stream), work / "i.tar", work / "i.index")


def compress(tar: Path, target: Path, kind: Compression) -> None:
    with tar.open("rb") as source, target.open("wb") as sink, compressor(kind, sink) as out:
        shutil.copyfileobj(source, out, 1 << 20)


def put(tar: Path, target: Path, style: Style) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    root = os.open(target, os.O_RDONLY)
    unpack(tar, root, style)
    os.close(root)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder:
        work = Path(folder)
        tar = Path(sys.argv[1]) if len(sys.argv) > 1 else work / "usr.tar"
        if len(sys.argv) < 2:
            subprocess.run(["tar", "-C", "/usr", "-cf", tar, "share/doc", "lib/python3"], check=True)
        print(f"{tar.name}: {tar.stat().st_size / 1e6:.0f} MB")
        measure("take in, plain", lambda: take_in(tar, work))
        for kind in (Compression.GZIP, Compression.ZSTD):
            packed = work / f"packed.{kind.value}"
            measure(f"compress, {kind.value}", partial(compress, tar, packed, kind))
            measure(f"take in, {kind.value} ({packed.stat().st_size / 1e6:.0f} MB)", partial(take_in, packed, work))
        if os.geteuid() == 0:
            measure("unpack", lambda: put(tar, work / "unpacked", Style.OVERLAY))
        measure(f"make a layer of {SMALL_FILES} entries in memory", lambda: build_from_memory(work))
        (work / "small").mkdir()
        make_small_files(work / "small")
        measure(f"make a layer of {SMALL_FILES} small files", lambda: diff(work / "small", work))


if __name__ == "__main__":
    main()
