"""Hashes of files are BuildKit's: the digests are those of moby/buildkit, cache/contenthash/checksum_test.go.

There the files belong to root, have the modes 0644 and 0755, and a root that is not hashed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lamina.builder.buildkit_keys.content_hash import HashedTree, Selector, Undecided, selected_digests
from lamina.builder.buildkit_keys.key_records import KeyRecord, digest_of, image_record, links_to, record_of
from lamina.builder.cache.records import CachedKey
from lamina.builder.cache_exchange import buildkit_records
from lamina.builder.cache_exchange.buildkit_records import KeyedRecords, KeyedWriter
from lamina.builder.context.directory import DirectoryTree
from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, TooLarge
from support.context import File, write_context

FILE = "sha256:cd8e75bca50f2d695f220d0cb0997d8ead387e4f926e8669a92d7f104cc9885b"
FOLDER = "sha256:d47454417d2c554067fbefe5f5719edc49f3cfe969c36b62e34a187a4da0cc9a"
FILE_BY_FILE = "sha256:6b612ad5c13159112ae26357ef7bd34df29916941ba40ec2ce38dfb70c6c60c3"
SEVERAL = "sha256:0b6731924f0a32a812bf8a729202e55e54ded331f9e4ff2397f681e43694e086"
FOLLOWED = "sha256:982153600b9653a1decb0f961e09e2bc1be335cfcaac9b39dbd1120b65fdf92c"
FILES: dict[str, File | str] = {
    "bar": "data1",
    "foo": "data0",
    "fox": "data2",
    "x/d0/abc": "data0",
    "x/d0/def": File(link="abc"),
    "x/d0/ghi": File(link="nosuchfile"),
    "y1": File(link="foo"),
    "y2": File(link="fox"),
}


@pytest.fixture
def hashed(tmp_path: Path) -> HashedTree:
    write_context(tmp_path, FILES)
    return HashedTree(DirectoryTree(tmp_path), is_context=True)


@pytest.mark.parametrize(
    ("path", "digest"),
    [
        ("/foo", FILE),
        ("/x/d0/abc", FILE),
        ("/x/d0/def", FILE),
        ("/x/d0", FOLDER),
        ("/f*o", digest_of(b"\0foo" + FILE.encode())),
        ("/f*", SEVERAL),
        ("/x/d?", FILE_BY_FILE),
        ("/x/d?/def", FILE),
        ("/y*", FOLLOWED),
        ("/none*", digest_of(b"")),
    ],
)
def test_hashes_are_those_of_buildkit(hashed: HashedTree, path: str, digest: str) -> None:
    assert selected_digests(hashed, [Selector(path)])[0] == [digest]


def test_where_a_directory_matches_the_older_hash_is_left_out(hashed: HashedTree) -> None:
    """It is the same for a file in the directory and one beside it."""
    assert len(selected_digests(hashed, [Selector("/f*")])) == 2
    assert len(selected_digests(hashed, [Selector("/x/d?")])) == 1


@pytest.mark.parametrize("path", ["/x/d0/ghi", "/nothing", "/x/d0/g*"])
def test_what_is_missing_has_no_hash(hashed: HashedTree, path: str) -> None:
    with pytest.raises(Undecided):
        selected_digests(hashed, [Selector(path)])


def test_hashing_can_be_cancelled(tmp_path: Path) -> None:
    write_context(tmp_path, FILES)
    cancellation = Cancellation()
    cancellation.cancel("enough")
    with pytest.raises(Cancelled):
        selected_digests(HashedTree(DirectoryTree(tmp_path), True, cancellation), [Selector("/x")])


def long_chain(length: int) -> KeyRecord:
    key = image_record("sha256:1")
    for number in range(length):
        key = record_of(b"%d" % number, [links_to((key,))])
    return key


def test_a_chain_of_any_length_is_written_and_found() -> None:
    key = long_chain(5000)
    writer = KeyedWriter({}, 0, 0)
    writer.add(CachedKey(key, ()))
    assert len(KeyedRecords.read(writer.records, [], "cache").matching(long_chain(5000))) == 1
    assert not KeyedRecords.read(writer.records[1:], [], "cache").matching(key)


def test_links_and_results_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildkit_records, "MOST_LINKS", 10)
    document: dict[str, Any]
    for document in ({"inputs": [[{"link": 0}] * 10]}, {"inputs": [[]] * 11}, {"layers": [{"layer": 0}] * 11}):
        with pytest.raises(TooLarge):
            KeyedRecords.read([{"digest": "sha256:1", **document}], [], "cache")
