"""What a client has sent is not sent again, and never stands in for something else."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lamina.builder.context.saved_files import SavedContexts
from lamina.daemon.buildkit.messages.session import Stat
from support.buildkit import build, error_of, sharing
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA

SECOND = 10**9


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


class Contents(dict[str, bytes]):
    """Contents by path that note who is asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.asked: list[str] = []

    def __getitem__(self, path: str) -> bytes:
        self.asked.append(path)
        return super().__getitem__(path)


@dataclass
class Folder:
    """A client's folder under a key. Files have a content and a time in seconds."""

    daemon: Daemon
    key: str
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def build(self) -> list[str]:
        """Build the folder into the image `saved`, check all its files, and return what the daemon asked for."""
        listing = [
            Stat(path, 0o644, size=len(content), mtime_ns=seconds * SECOND)
            for path, (content, seconds) in sorted(self.files.items())
        ]
        contents = Contents({path: content for path, (content, _) in self.files.items()})
        methods = sharing(listing, contents)
        lines = asyncio.run(build(self.daemon.socket, methods, "&t=saved&nocache=1", shared_key=self.key))
        assert error_of(lines) == ""
        return contents.asked

    def image(self) -> bytes:
        return self.daemon.docker("save", "saved").stdout


def test_only_what_changed_is_asked_for(daemon: Daemon) -> None:
    folder = Folder(daemon, "changing", {"a": (b"first a", 1), "b": (b"first b", 1), "gone": (b"vanishing", 1)})
    assert folder.build() == ["a", "b", "gone"]
    assert folder.build() == []
    assert b"first a" in folder.image()

    folder.files["b"] = (b"other b", 2)
    del folder.files["gone"]
    folder.files["new"] = (b"a new one", 2)
    assert folder.build() == ["b", "new"]
    image = folder.image()
    assert b"first a" in image
    assert b"other b" in image
    assert b"a new one" in image
    assert b"first b" not in image
    assert b"vanishing" not in image


def test_clients_with_another_key_share_nothing(daemon: Daemon) -> None:
    one, other = (Folder(daemon, key, {"f": (f"of {key}".encode(), 5)}) for key in ("key-1", "key-2"))
    assert one.build() == ["f"]
    assert other.build() == ["f"]
    assert b"of key-2" in other.image()
    assert one.build() == []
    assert b"of key-1" in one.image()


def test_a_context_that_is_mostly_garbage_is_sent_anew(daemon: Daemon) -> None:
    folder = Folder(daemon, "garbage", {"large": (bytes(100_000), 1), "small": (b"stays", 1)})
    folder.build()
    del folder.files["large"]
    assert folder.build() == []
    assert folder.build() == ["small"]
    assert b"stays" in folder.image()
    (data,) = [path for path in (daemon.folder / "d/build-contexts").glob("*.data") if path.stat().st_size == 5]
    assert data.stat().st_mode & 0o777 == 0o600


def test_prune_drops_what_is_saved(daemon: Daemon) -> None:
    folder = Folder(daemon, "pruned", {"f": (b"to be pruned", 1)})
    folder.build()
    subprocess.run([*LAMINA, "--host", daemon.host, "builder", "prune", "-af"], check=True, capture_output=True)
    assert not list((daemon.folder / "d/build-contexts").iterdir())
    assert folder.build() == ["f"]
    assert b"to be pruned" in folder.image()


def test_a_damaged_listing_counts_for_nothing(daemon: Daemon) -> None:
    folder = Folder(daemon, "damaged", {"f": (b"undamaged", 1)})
    folder.build()
    for listing in (daemon.folder / "d/build-contexts").glob("*.list"):
        listing.write_bytes(b"\xff\xff")
    assert folder.build() == ["f"]
    assert b"undamaged" in folder.image()


def test_builds_of_one_folder_at_once_do_not_wait_for_each_other(daemon: Daemon) -> None:
    async def together() -> None:
        listing = [Stat("f", 0o644, size=7, mtime_ns=SECOND)]
        builds = [
            build(daemon.socket, sharing(listing, {"f": b"at once"}), f"&t=once{number}", shared_key="once")
            for number in range(6)
        ]
        assert [error_of(lines) for lines in await asyncio.gather(*builds)] == [""] * 6

    asyncio.run(together())
    assert b"at once" in daemon.docker("save", "once5").stdout


def test_contexts_that_are_saved_at_once_leave_the_newest(tmp_path: Path) -> None:
    contexts = SavedContexts(tmp_path / "contexts")

    def keep(number: int) -> None:
        with contexts.use(f"folder {number}") as saved:
            assert saved is not None
            contexts.save(f"folder {number}", saved, {})
            os.close(saved.fd)

    with ThreadPoolExecutor(8) as pool:
        for work in [pool.submit(keep, number) for number in range(400)]:
            work.result()
    assert len(list(contexts.objects())) == 32
