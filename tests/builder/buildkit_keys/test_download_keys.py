"""A download with a checksum has the key of BuildKit: the digests are from a cache that dockerd 28.5.2 exported."""

from __future__ import annotations

import pytest

from lamina.builder.buildkit_keys.copy_keys import copy_record
from lamina.builder.buildkit_keys.key_records import image_record
from lamina.builder.buildkit_keys.stage_keys import StageKeys
from lamina.dockerfile.dockerfile import parse
from lamina.dockerfile.instructions import Add

TEXT = "f7332c41f0b3aecf3dbd6c196184a56b8c14ed465993f29b36de911aa2275455"
ARCHIVE = "329e0a5a16106a28db477e09aae83400acfa32f8175987739706be72fe0078ee"


@pytest.mark.parametrize(
    ("words", "source", "step"),
    [
        (
            f"--checksum=sha256:{TEXT} http://127.0.0.1:8123/file.txt /f",
            "6bc4e82c5da7bb1bf3c56f671bbc82d6844a88054f25d9e16fe964d05f07254a",
            "7d9a956822a6c8c2160bb25476c6e6ea876dea132d662996beb2a6970a92b458",
        ),
        (
            f"--checksum=sha256:{TEXT} --chmod=755 http://127.0.0.1:8123/s%20p/x%20y /dir/",
            "b6c4ed7c3febdf3ca78e494b0554183fbc29d6a8a846e15b8cd05fce1a724413",
            "400f8452edd503f2e49021ff47b09389cd3c3771e2695f3f3ad225bdfc9a5a6e",
        ),
        (
            f"--checksum=sha256:{ARCHIVE} --unpack=true http://127.0.0.1:8123/a.tar /un/",
            "2256cfad503e625d934631c5f9658f59783b852bdeda352afc0c52fbd2c935b9",
            "de58906a2f3899c82ae6ae313c670385f5bb31bffbdf76eb563db7f88eed4fc9",
        ),
        (
            f"--checksum=sha256:{ARCHIVE} http://127.0.0.1:8123/a.tar /packed/",
            "2256cfad503e625d934631c5f9658f59783b852bdeda352afc0c52fbd2c935b9",
            "dd04aabc238902d32c252e5ac68489c8919530c8c6cb644cef812740803c291a",
        ),
    ],
    ids=["file", "mode", "unpacked", "archive"],
)
def test_a_download_with_a_checksum_has_the_key_of_buildkit(words: str, source: str, step: str) -> None:
    (instruction,) = parse(f"FROM base\nADD {words}\n").stages[0].instructions
    assert isinstance(instruction, Add)
    key = copy_record(StageKeys((image_record("sha256:1"),)), instruction, None)
    assert key.digest == f"sha256:{step}"
    assert [link.record.digest for link in key.inputs[1]] == [f"sha256:{source}"]
