"""Stacks of generated layers show the same in every driver, mounted and read without a mount."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.formats.digest import Digest
from lamina.layers.entry import Entry, EntryType
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.union import UnionTree
from lamina.snapshots.choose import NAMES
from lamina.snapshots.erofs import merge_layers, merged_devices
from layers.index.compare import Listing, differences, list_directory, list_tree, mounted
from layers.index.generate import Layers, build
from snapshots.bench import Bench

pytestmark = pytest.mark.root

SEEDS = range(int(os.environ.get("LAMINA_SEEDS", "25")))


def generated(seed: int, directory: Path) -> list[Layer]:
    maker = Layers(seed)
    layers = []
    for number in range(4):
        tar, index = directory / f"{seed}-{number}.tar", directory / f"{seed}-{number}.erofs"
        build(maker.items(25, whiteouts=number > 0, replacing=True), tar, index)
        with tar.open("rb") as stream:
            layers.append(Layer(Digest.of(stream.read()), tar.stat().st_size, tar, index))
    return layers


def shown(listing: Listing) -> Listing:
    """What programs in a container go by: overlayfs counts no links of directories, and whiteouts do not show."""
    return {path: file._replace(nlink=0) for path, file in listing.items()}


def applied(listing: Listing) -> Listing:
    """What survives unpacking one layer over the other: a deletion changes the time of the directory it is in, and
    takes a link from a file."""
    found = {}
    for path, file in listing.items():
        kept = file._replace(nlink=0, first_name="")
        found[path] = kept._replace(mtime_ns=0) if stat.S_ISDIR(file.mode) else kept
    return found


@pytest.fixture
def benches(data_root: Path) -> Iterator[dict[str, Bench]]:
    made = {name: Bench(data_root / name, name) for name in NAMES}
    yield made
    for bench in made.values():
        bench.clear()


def test_generated_stacks_show_the_same_everywhere(benches: dict[str, Bench], tmp_path: Path) -> None:
    for seed in SEEDS:
        layers = generated(seed, tmp_path)
        seen: dict[str, Listing] = {}
        for name, bench in benches.items():
            snapshot = bench.driver.prepare("one", layers)
            seen[name] = list_directory(snapshot.mount())
            if name == "erofs":
                seen["tree"] = list_tree(snapshot.tree())
            snapshot.unmount()
            assert list(snapshot.changes()) == [], f"seed {seed}: {name}"
            bench.driver.remove("one")
        for listing in seen.values():
            del listing[""]
        assert differences(shown(seen["erofs"]), shown(seen["tree"])) == [], f"seed {seed}: tree"
        assert differences(shown(seen["erofs"]), shown(seen["overlay"])) == [], f"seed {seed}: overlay"
        assert differences(applied(seen["erofs"]), applied(seen["copy"])) == [], f"seed {seed}: copy"


def test_merged_indexes_show_what_the_stack_shows(tmp_path: Path) -> None:
    for seed in SEEDS:
        layers = generated(seed, tmp_path)
        trees = [LayerTree.open(layer.index, layer.tar) for layer in layers]
        index = tmp_path / f"{seed}.merged"
        merge_layers(layers, trees, index)
        devices = merged_devices(layers)
        with mounted(index, devices, tmp_path / "mnt") as root:
            kernel = list_directory(root)
        with LayerTree.open(index, devices) as tree:
            assert differences(kernel, list_tree(tree)) == [], f"seed {seed}"
        stack = list_tree(UnionTree(trees))
        assert differences(applied(kernel), applied(stack)) == [], f"seed {seed}"


@pytest.mark.parametrize("depth", [400, 700])
def test_deep_stacks(bench: Bench, depth: int) -> None:
    def steps(number: int) -> Layer:
        def add(builder: LayerBuilder) -> None:
            builder.add(Entry("all", EntryType.DIRECTORY, 0o755))
            builder.add(Entry(f"all/{number}", EntryType.REGULAR, size=4), b"%4d" % number)
            builder.add(Entry("last", EntryType.REGULAR, size=4), b"%4d" % number)
            if number > 2:
                builder.whiteout(f"all/{number - 3}") if number % 2 else None

        return bench.layer(add)

    layers = [steps(number) for number in range(depth)]
    snapshot = bench.driver.prepare("deep", layers)
    root = snapshot.mount()
    gone = {number - 3 for number in range(3, depth) if number % 2}
    expected = {str(number): b"%4d" % number for number in range(depth) if number not in gone}
    assert {name: (root / "all" / name).read_bytes() for name in os.listdir(root / "all")} == expected
    assert (root / "last").read_bytes() == b"%4d" % (depth - 1)
    (root / "all" / str(depth - 1)).write_bytes(b"new")
    snapshot.unmount()
    assert f"all/{depth - 1}" in [change.path for change in snapshot.changes()]
    bench.driver.remove("deep")
    bench.driver.close()
    assert str(bench.home) not in Path("/proc/self/mountinfo").read_text()
