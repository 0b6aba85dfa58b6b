"""Images from a root file system, and from what a container changed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import zstandard

from lamina.errors import InvalidInput
from lamina.formats.config import RunConfig
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.images.config_changes import inherit
from lamina.images.create import CommitOptions, import_tar
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer_writer import LayerBuilder
from lamina.store.layers import LayerSizes, LayerStore
from support.gallery import Gallery
from support.tars import tar

ROOT = tar({"bin/sh": b"#!", "etc/passwd": b"root:x:0:0::/:/bin/sh\n"})


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstd"],
)
def test_import(gallery: Gallery, compress: Callable[[bytes], bytes]) -> None:
    image = gallery.images.import_tar(
        io.BytesIO(compress(ROOT)),
        "base",
        message="from a tar",
        changes=['CMD ["/bin/sh"]', "ENV A=1"],
        platform="linux/arm64",
    )
    assert image.config.diff_ids == (Digest.of(ROOT),)
    assert image.config.config == RunConfig(cmd=("/bin/sh",), env=("A=1",))
    assert str(image.platform) == "linux/arm64"
    assert image.comment == "from a tar"
    (step,) = gallery.images.history("base")
    assert (step.comment, step.size) == ("from a tar", image.size)
    assert [event[0] for event in gallery.events()] == ["tag", "import"]


def test_import_of_nothing_is_an_image_without_files(gallery: Gallery) -> None:
    images = [gallery.images.import_tar(io.BytesIO(content)) for content in (b"", bytes(1024))]
    assert [image.diff_ids for image in images] == [images[1].diff_ids] * 2
    assert len(images[0].diff_ids) == 1


def test_import_with_a_given_time_is_reproducible(gallery: Gallery) -> None:
    made = [
        import_tar(
            gallery.images.catalog,
            io.BytesIO(ROOT),
            None,
            message="",
            changes=(),
            platform=None,
            created="2024-01-01T00:00:00Z",
        )
        for _ in range(2)
    ]
    assert made[0].id == made[1].id
    assert made[0].created == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("data", "changes"),
    [(b"no tar" * 200, []), (ROOT, ["RUN x"]), (ROOT[:513], []), (gzip.compress(ROOT)[:-9], [])],
)
def test_what_cannot_be_imported_leaves_nothing(gallery: Gallery, data: bytes, changes: list[str]) -> None:
    with pytest.raises(InvalidInput):
        gallery.images.import_tar(io.BytesIO(data), changes=changes)
    assert gallery.content() == set()
    assert gallery.names(all_images=True) == []


@dataclass
class Container:
    """What a container changed, as a snapshot tells it."""

    files: dict[str, bytes]

    def write_diff(self, builder: LayerBuilder) -> None:
        for name, data in self.files.items():
            builder.add(Entry(name, EntryType.REGULAR, size=len(data)), data)


def test_commit(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"}, names=["base"])
    options = CommitOptions(
        container=RunConfig(cmd=("make", "it"), env=("A=1",)),
        changes=['CMD ["new"]', "LABEL by=me"],
        author="me",
        message="done",
        references=[Reference.parse("app")],
    )
    image = gallery.images.commit(base, Container({"b": b"22"}), options)
    assert gallery.images.get("app").id == image.id
    assert image.parent == base.id
    assert image.layer_sizes == (1, 2)
    assert image.config.config == RunConfig(cmd=("new",), env=("A=1",), labels={"by": "me"})
    assert (image.config.author, image.comment) == ("me", "done")
    steps = gallery.images.history("app")
    assert [(step.created_by, step.comment, step.size) for step in steps] == [("make it", "done", 2), ("STEP 0", "", 1)]
    assert [step.id for step in steps] == [str(image.id), str(base.id)]


def test_commit_without_changes_makes_no_layer(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"})
    image = gallery.images.commit(base, Container({}), CommitOptions(container=RunConfig(cmd=("x",))))
    assert image.config.diff_ids == base.config.diff_ids
    assert gallery.images.history(image.id)[0].size == 0


def test_a_bad_change_leaves_nothing(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"})
    before = gallery.content()
    options = CommitOptions(container=RunConfig(), changes=["COPY a b"])
    with pytest.raises(InvalidInput):
        gallery.images.commit(base, Container({"b": b"2"}), options)
    assert gallery.content() == before


def test_what_a_config_leaves_open_comes_from_below() -> None:
    below = RunConfig(
        user="u", env=("A=0", "B=1"), cmd=("c",), entrypoint=("e",), labels={"x": "1", "y": "1"}, working_dir="/w"
    )
    merged = inherit(RunConfig(env=("A=2",), labels={"x": "2"}), below)
    assert merged == RunConfig(
        user="u", env=("A=2", "B=1"), cmd=("c",), entrypoint=("e",), labels={"x": "2", "y": "1"}, working_dir="/w"
    )
    assert inherit(RunConfig(entrypoint=("mine",)), below).cmd is None
    assert inherit(RunConfig(cmd=("mine",)), below).entrypoint == ("e",)
    assert inherit(RunConfig(entrypoint=()), below).entrypoint == ()


def test_a_child_asks_for_the_sizes_of_its_own_layers_alone(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = gallery.image({"a": b"123"}, {"b": b"12"})
    asked: list[int] = []
    sizes = LayerStore.sizes

    def note(self: LayerStore, diff_ids: Sequence[Digest]) -> list[LayerSizes]:
        asked.append(len(diff_ids))
        return sizes(self, diff_ids)

    monkeypatch.setattr(LayerStore, "sizes", note)
    child = gallery.image({"c": b"1"}, parent=parent)
    assert asked == [1]
    assert child.layer_sizes == (3, 2, 1)
    assert [layer.size for layer in child.layers] == [layer.tar.stat().st_size for layer in child.layers]
    other = child.config.replace(diff_ids=child.config.diff_ids[::-1], author="another order")
    with gallery.store.lease():
        turned = gallery.images.create(other, parent=parent.id)
    assert turned.layer_sizes == (1, 2, 3), "the sizes of a parent say nothing of layers in another order"
    assert asked == [1, 3]
