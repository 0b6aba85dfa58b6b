"""References: the forms people write, the canonical one, and what is none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference, is_path, is_tag

HEX = "a" * 64


@pytest.mark.parametrize(
    ("written", "canonical", "familiar"),
    [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19"),
        ("library/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/me/it", "docker.io/me/it", "me/it"),
        ("me/it", "docker.io/me/it", "me/it"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/it", "localhost/it", "localhost/it"),
        ("localhost:5000/it", "localhost:5000/it", "localhost:5000/it"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("registry.example/a/b/c:v1", "registry.example/a/b/c:v1", "registry.example/a/b/c:v1"),
        ("LOCAL/it", "LOCAL/it", "LOCAL/it"),
        ("[fd00:1:2::3]:75050/a/b", "[fd00:1:2::3]:75050/a/b", "[fd00:1:2::3]:75050/a/b"),
        ("127.0.0.1:80/x__y--z.w", "127.0.0.1:80/x__y--z.w", "127.0.0.1:80/x__y--z.w"),
        (f"alpine@sha256:{HEX}", f"docker.io/library/alpine@sha256:{HEX}", f"alpine@sha256:{HEX}"),
        (f"alpine:3@sha256:{HEX}", f"docker.io/library/alpine:3@sha256:{HEX}", f"alpine:3@sha256:{HEX}"),
        (f"a:5000/b:t@sha512:{HEX * 2}", f"a:5000/b:t@sha512:{HEX * 2}", f"a:5000/b:t@sha512:{HEX * 2}"),
        ("docker.io/library/localhost", "docker.io/library/localhost", "localhost"),
        ("xn--n3h.com/a:b", "xn--n3h.com/a:b", "xn--n3h.com/a:b"),
    ],
)
def test_written_canonical_and_familiar_forms(written: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(written)
    assert str(reference) == canonical
    assert reference.familiar() == familiar
    assert Reference.parse(reference.familiar()) == reference
    assert Reference.parse(canonical) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        "Alpine",
        "a//b",
        "/a",
        "a/",
        ":tag",
        "a:",
        "a:-x",
        "a:" + "t" * 129,
        "a@sha256:abc",
        f"a@md5:{'a' * 32}",
        f"a@sha256:{'A' * 64}",
        "a___b",
        "a..b",
        "-a",
        "a-",
        "a b",
        "a\n",
        "https://registry.example/a",
        "registry.example:port/a",
        "-host.example/a",
        "[::1/a",
        "[fe80::1%eth0]:5000/a",
        "a/" * 130 + "a",
        "registry.example/../a",
        "registry.example/a/../b",
        "ünï/a",
        "a:tág",
    ],
)
def test_malformed_references_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Reference.parse(text)


def test_a_complaint_names_what_was_written_once() -> None:
    with pytest.raises(InvalidInput) as raised:
        Reference.parse("a:b:c")
    assert raised.value.message.count("invalid reference format") == 1


def test_tags_and_digests_replace_each_other() -> None:
    digest = Digest.of(b"x")
    reference = Reference.parse("alpine")
    assert reference.with_default_tag().tag == "latest"
    assert reference.with_tag("3").with_default_tag().tag == "3"
    assert reference.with_tag("3").with_digest(digest) == Reference.parse(f"alpine@{digest}")
    assert reference.with_digest(digest).with_default_tag().tag is None
    assert reference.with_digest(digest).with_tag("1").digest is None
    assert reference.with_tag("1").without_tag() == reference


_WORD = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
_DOMAIN = st.from_regex(r"[a-z0-9]{1,5}\.[a-z]{2,3}(:[0-9]{1,5})?|localhost(:[0-9]{1,5})?", fullmatch=True)
_TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)


@given(_DOMAIN, st.lists(_WORD, min_size=1, max_size=4), st.none() | _TAG, st.booleans())
def test_built_references_survive_both_text_forms(domain: str, path: list[str], tag: str | None, pinned: bool) -> None:
    reference = Reference(domain, "/".join(path), tag, Digest.of(b"") if pinned else None)
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference


@given(st.text(max_size=80) | st.text(alphabet="aB0._-:/@[]%", max_size=80))
def test_parse_takes_or_refuses_and_what_it_takes_is_stable(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidInput:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert is_path(reference.path)
    assert reference.tag is None or is_tag(reference.tag)


@pytest.mark.parametrize("text", ["a-" * 1000, "a" + "-" * 2000, "a." * 900 + "/", "a:" * 900, "A-" * 900 + "!/a"])
def test_hostile_text_is_judged_quickly(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidInput):
        Reference.parse(text)
    assert time.monotonic() - started < 1
