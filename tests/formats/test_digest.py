"""Digests as text and as values."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.digest import LENGTHS, Digest


@given(st.binary(max_size=100), st.sampled_from(sorted(LENGTHS)))
def test_of_parse_and_hasher_agree(data: bytes, algorithm: str) -> None:
    digest = Digest.of(data, algorithm)
    assert digest.encoded == hashlib.new(algorithm, data).hexdigest()
    assert Digest.parse(str(digest)) == digest
    assert digest.matches(data)
    assert not digest.matches(data + b"x")
    hasher = digest.hasher()
    hasher.update(data)
    assert Digest.from_hasher(hasher) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 64 + "\n",
        "sha512:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha256:../../../etc/passwd",
        "sha256:" + "a" * 64 + "/..",
        "SHA256:" + "a" * 64,
    ],
)
def test_malformed_digests_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Digest.parse(text)


@given(st.text(max_size=200))
def test_parse_takes_or_refuses_and_never_breaks(text: str) -> None:
    with suppress(InvalidInput):
        assert str(Digest.parse(text)) == text


def test_short_is_dockers_id() -> None:
    assert Digest.of(b"").short == "e3b0c44298fc"
