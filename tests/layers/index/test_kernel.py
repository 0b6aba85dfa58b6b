"""The kernel is the judge: what it shows of an index is what unpacking the tar gives, file by file.

LAMINA_SEEDS=3000 makes the generated cases many more.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lamina.layers.entry import Entry, EntryType
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.writer import IndexWriter
from lamina.layers.layer_writer import ingest
from lamina.layers.unpack import Style, unpack
from layers.index.compare import differences, gnu_tar_extract, list_directory, list_tree, mounted, whiteouts_alike
from layers.index.generate import Layers, build

pytestmark = pytest.mark.root

SEEDS = int(os.environ.get("LAMINA_SEEDS", "50"))
BATCH = 25
BATCHES = [range(start, min(start + BATCH, SEEDS)) for start in range(0, SEEDS, BATCH)]


def check(tar: Path, index: Path, unpacked: Path) -> None:
    with mounted(index, [tar], tar.with_suffix(".mnt")) as root:
        kernel = list_directory(root)
    with LayerTree.open(index, tar) as tree:
        assert differences(kernel, list_tree(tree)) == []
    reference = list_directory(unpacked)
    reference[""] = kernel[""]
    assert differences(whiteouts_alike(kernel), whiteouts_alike(reference)) == []


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"from{seeds.start}")
def test_generated_layers_show_as_gnu_tar_unpacks_them(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        tar, index = tmp_path / f"{seed}.tar", tmp_path / f"{seed}.erofs"
        build(Layers(seed, aligned=True).items(40), tar, index)
        check(tar, index, gnu_tar_extract(tar, tmp_path / f"{seed}.tree"))


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"from{seeds.start}")
def test_generated_changesets_show_as_we_unpack_them(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        tar, index, unpacked = tmp_path / f"{seed}.tar", tmp_path / f"{seed}.erofs", tmp_path / f"{seed}.tree"
        build(Layers(seed).items(40, whiteouts=True, replacing=True), tar, index)
        unpacked.mkdir()
        root = os.open(unpacked, os.O_RDONLY | os.O_DIRECTORY)
        unpack(tar, root, Style.OVERLAY)
        os.close(root)
        check(tar, index, unpacked)


@pytest.mark.peer
@pytest.mark.slow
def test_a_real_debian_shows_as_gnu_tar_unpacks_it(tmp_path: Path, debian_tar: Path) -> None:
    tar, index = tmp_path / "debian.tar", tmp_path / "debian.erofs"
    with debian_tar.open("rb") as stream:
        ingest(stream, tar, index)
    check(tar, index, gnu_tar_extract(tar, tmp_path / "tree"))


def made(tmp_path: Path, *entries: Entry, tar_size: int = 4096) -> tuple[Path, Path]:
    tar, index = tmp_path / "layer.tar", tmp_path / "layer.erofs"
    tar.write_bytes(os.urandom(tar_size))
    writer = IndexWriter()
    for entry in entries:
        writer.add(entry)
    writer.write(index, tar_size, tars=[tar])
    return tar, index


def test_a_directory_of_many_names_is_found_name_by_name(tmp_path: Path) -> None:
    names = [f"{number:x}" + "-" * (number % 250) for number in range(8000)] + ["!", "\t", "\udcff" * 255, "ä" * 127]
    tar, index = made(tmp_path, *(Entry(f"d/{name}", EntryType.REGULAR, uid=3) for name in names))
    with mounted(index, [tar], tmp_path / "mnt") as root:
        assert sorted(os.listdir(root / "d")) == sorted(names)
        assert all(os.lstat(os.path.join(root, "d", name)).st_uid == 3 for name in names)
        assert not (root / "d" / "absent").exists()


def test_deep_paths_and_long_links(tmp_path: Path) -> None:
    deep = "/".join(["d" * 100] * 30)
    targets = ["t" * length for length in (1, 447, 448, 449, 511, 512, 513, 4095)]
    links = [Entry(f"links/{len(target)}", EntryType.SYMLINK, target=target) for target in targets]
    tar, index = made(tmp_path, Entry(f"{deep}/leaf", EntryType.FIFO), *links)
    with mounted(index, [tar], tmp_path / "mnt") as root:
        assert stat.S_ISFIFO(os.lstat(root / deep / "leaf").st_mode)
        assert [os.readlink(root / "links" / str(len(target))) for target in targets] == targets


def test_attributes_of_every_kind_and_size(tmp_path: Path) -> None:
    acl = bytes.fromhex("0200000001000600ffffffff020004000100000004000400ffffffff10000400ffffffff20000000ffffffff")
    xattrs = {
        "user.empty": b"",
        "user." + "n" * 200: b"long name",
        "trusted.big": os.urandom(40_000),
        "security.ima": b"\x01" * 20,
        "system.posix_acl_access": acl,
    }
    entries = [Entry(f"f{number}", EntryType.REGULAR, 0o640, xattrs=xattrs) for number in range(3)]
    only = Entry("alone", EntryType.DIRECTORY, xattrs={"user.alone": os.urandom(3000), "trusted.overlay.opaque": b"y"})
    tar, index = made(tmp_path, *entries, only)
    with mounted(index, [tar], tmp_path / "mnt") as root:
        for number in range(3):
            path = root / f"f{number}"
            assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == xattrs
        assert sorted(os.listxattr(root / "alone")) == ["trusted.overlay.overlay.opaque", "user.alone"]
    with LayerTree.open(index, tar) as tree:
        node = tree.lookup("alone")
        assert node is not None
        assert node.entry.xattrs == only.xattrs
        assert not node.opaque


def test_sparse_files_of_any_shape(tmp_path: Path) -> None:
    size = 5 << 40
    entries = [
        Entry("hole", EntryType.REGULAR, size=size, sparse=()),
        Entry("ends", EntryType.REGULAR, size=size, sparse=((0, 512), (size - 512, 512)), data_offset=0),
        Entry("odd", EntryType.REGULAR, size=10_000, sparse=((7, 100), (107, 3), (5000, 700)), data_offset=1024),
    ]
    tar, index = made(tmp_path, *entries)
    data = tar.read_bytes()
    with mounted(index, [tar], tmp_path / "mnt") as root, LayerTree.open(index, tar) as tree:
        for name, at, expected in (
            ("hole", 1 << 42, bytes(1000)),
            ("ends", 0, data[:512] + bytes(100)),
            ("ends", size - 612, bytes(100) + data[512:1024]),
            ("odd", 0, bytes(7) + data[1024:1127] + bytes(4890) + data[1127:1827] + bytes(4300)),
        ):
            with open(root / name, "rb") as file:
                file.seek(at)
                assert file.read(len(expected) + 1)[: len(expected)] == expected
            node = tree.lookup(name)
            assert node is not None
            with tree.read(node) as stream:
                stream.seek(at)
                assert stream.read(len(expected)) == expected
    assert index.stat().st_blocks * 512 < 4 << 20
