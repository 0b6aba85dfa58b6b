"""Images under stress: killed in the middle, out of space, and many threads at once."""

from __future__ import annotations

import io
import itertools
import os
import random
import select
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.errors import Conflict, NoSpace, NotFound
from support.gallery import Gallery, open_gallery
from support.tars import tar

ROUNDS = 25


def work(root: Path, archive: bytes, out: int, seed: int) -> None:
    """Load, import and remove images for ever; say what is done."""
    chance = random.Random(seed)
    with open_gallery(root) as gallery:
        while True:
            if chance.random() < 0.4:
                gallery.images.load(io.BytesIO(archive))
                os.write(out, b"loaded\n")
            elif chance.random() < 0.5:
                content = tar({"file": chance.randbytes(100_000)})
                image = gallery.images.import_tar(io.BytesIO(content))
                os.write(out, f"{image.id}\n".encode())
            else:
                for name in gallery.names():
                    if name != "<none>":
                        os.write(out, b"removing\n")
                        gallery.images.remove(name)
                        os.write(out, b"removed\n")


def killed(root: Path, archive: bytes, seed: int, seconds: float) -> list[str]:
    """What `work` said before it was killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(root, archive, write, seed)
        finally:
            os._exit(1)
    os.close(write)
    said, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and select.select([read], [], [], left)[0]:
        if not (piece := os.read(read, 65536)):
            break
        said += piece
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "the worker ended by itself"
    while piece := os.read(read, 65536):
        said += piece
    os.close(read)
    return said.decode().split()


@pytest.mark.timeout(120)
def test_killed_at_any_moment_images_are_whole_or_not_there(data_root: Path, gallery_archive: bytes) -> None:
    imported: set[str] = set()
    moments = random.Random(7)
    for seed in itertools.count():
        if seed >= ROUNDS and len(imported) > ROUNDS:  # a busy machine takes more rounds to come to as much work
            break
        said = killed(data_root, gallery_archive, seed, moments.uniform(0.01, 0.2))
        imported |= {line for line in said if line.startswith("sha256:")}
        steps = [line for line in said if not line.startswith("sha256:")]
        with open_gallery(data_root) as gallery:
            assert list(gallery.store.verify()) == []
            images = gallery.images.list(all=True)
            assert imported <= {str(item.image.id) for item in images}, "an import that was reported done is gone"
            if steps and steps[-1] == "loaded":
                assert gallery.names(reference=["app"]) == ["app:1"]
            gallery.store.collect()
            needed = {digest for item in images for digest in (item.image.id, *item.image.config.diff_ids)}
            extra = gallery.content() - needed
            assert extra <= {item.image.manifest_digest for item in images}


@pytest.fixture
def gallery_archive(other: Gallery) -> bytes:
    base = other.image({"a": b"1" * 200_000}, names=["base"])
    other.image({"b": b"2" * 50_000}, parent=base, names=["app:1"])
    sink = io.BytesIO()
    other.images.save(["app:1"], sink)
    return sink.getvalue()


@pytest.mark.root
def test_a_full_disk_during_a_load(small_disk: Path, other: Gallery) -> None:
    other.image({"small": b"1"}, {"large": bytes(20_000_000)}, names=["app"])
    sink = io.BytesIO()
    other.images.save(["app"], sink)
    with open_gallery(small_disk / "root") as gallery:
        kept = gallery.image({"kept": b"1"}, names=["kept"])
        before = gallery.content()
        with pytest.raises(NoSpace):
            gallery.images.load(io.BytesIO(sink.getvalue()))
        assert gallery.content() == before
        assert gallery.names(all_images=True) == ["kept:latest"]
        assert gallery.images.remove("kept")[-1].__class__.__name__ == "Deleted"
        assert kept.id not in gallery.content()


def test_many_threads_make_load_and_remove_the_same_images(gallery: Gallery, gallery_archive: bytes) -> None:
    failures: list[BaseException] = []

    def churn(number: int) -> None:
        chance = random.Random(number)
        try:
            for _ in range(25):
                step(chance.randrange(5))
        except BaseException as error:
            failures.append(error)

    def step(kind: int) -> None:
        if kind == 0:
            gallery.images.load(io.BytesIO(gallery_archive))
        elif kind == 1:
            with suppress(NotFound):
                gallery.images.remove("app:1", force=True)
        elif kind == 2:
            gallery.image({"a": b"1" * 200_000}, {"c": b"3"}, names=["app:1", "app:2"])
        elif kind == 3:
            with suppress(Conflict):  # another prune runs
                gallery.images.prune({"dangling": ["false"]})
        else:
            with suppress(NotFound):
                gallery.images.save(["app:1"], io.BytesIO())

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for item in gallery.images.list(all=True):
        for layer in item.image.layers:
            gallery.store.layers.verify(layer.diff_id)
    gallery.images.prune({"dangling": ["false"]})
    assert gallery.content() == set()
