"""The codec of DNS messages: what is read is what was sent, and nothing that strangers send does harm."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.network.names import message
from lamina.network.names.message import Malformed, Record
from support import dns

LABELS = st.text(st.sampled_from("abcXYZ019-_"), min_size=1, max_size=63)
NAMES = st.lists(LABELS, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) < 254)
TYPES = st.integers(1, 65535)


@given(NAMES, TYPES, st.integers(0, 65535), st.sampled_from([0, 100, 512, 1232, 65535]))
def test_a_question_is_read_as_it_was_sent(name: str, type: int, id: int, size: int) -> None:
    raw = dns.question(name, type, id=id, edns=size)
    query = message.parse_query(raw)
    assert (query.id, query.name, query.type, query.kind) == (id, name.lower(), type, 1)
    assert (query.edns, query.size) == (size > 0, max(512, size))


@given(NAMES, st.lists(st.binary(min_size=4, max_size=4), max_size=60), st.booleans(), st.integers(512, 4096))
def test_an_answer_holds_what_fits_and_says_when_something_is_missing(
    name: str, addresses: list[bytes], edns: bool, limit: int
) -> None:
    query = message.parse_query(dns.question(name, dns.A, edns=limit if edns else 0))
    raw = message.write_answer(query, [Record(dns.A, 600, data) for data in addresses], limit)
    answer = dns.parse(raw)
    assert len(raw) <= limit
    assert (answer.id, answer.code, answer.edns) == (query.id, dns.NOERROR, edns)
    assert answer.question == (name, dns.A, 1)
    assert answer.data == [".".join(map(str, data)) for data in addresses][: len(answer.data)]
    assert answer.truncated == (len(answer.data) < len(addresses))
    assert not answer.truncated or len(raw) + 16 > limit


@given(st.binary(max_size=600))
def test_junk_is_refused_or_read_but_never_more(raw: bytes) -> None:
    try:
        query = message.parse_query(raw)
    except Malformed as error:
        if error.code is not None:
            check_failure(raw, error.code)
        return
    dns.parse(message.write_answer(query, [], 512))


def check_failure(raw: bytes, code: int) -> None:
    failure = dns.parse(message.write_failure(raw, code))
    assert (failure.id, failure.code) == (int.from_bytes(raw[:2], "big"), code)


@pytest.mark.parametrize("version", [1, 255])
def test_a_version_of_edns_that_is_to_come_is_told_ours(version: int) -> None:
    raw = dns.question("name", edns=1232, version=version, id=7)
    with pytest.raises(Malformed) as caught:
        message.parse_query(raw)
    assert caught.value.code == message.BAD_VERSION
    answer = dns.parse(message.write_failure(raw, message.BAD_VERSION))
    assert (answer.id, answer.code, answer.edns) == (7, dns.BADVERS, True)


@given(st.binary(max_size=80), st.integers(1, 60))
def test_names_of_junk_end(raw: bytes, offset: int) -> None:
    try:
        name, end = message.read_name(bytes(12) + raw, offset)
    except Malformed:
        return
    assert len(name) <= 4 * 255
    assert offset < end <= 12 + len(raw)


@given(NAMES, TYPES, st.integers(0, 65535), st.data())
def test_an_answer_is_told_from_others(name: str, type: int, id: int, data: st.DataObject) -> None:
    query = message.parse_query(dns.question(name, type))
    sent = message.with_id(query.raw, id)
    raw = message.write_answer(message.parse_query(sent), [], 512)
    assert message.code_of_answer(query, id, raw) == dns.NOERROR
    assert message.with_id(raw, query.id)[2:] == raw[2:]
    other_id = data.draw(st.integers(0, 65535).filter(lambda number: number != id))
    assert message.code_of_answer(query, other_id, raw) is None
    assert message.code_of_answer(query, id, sent) is None
    assert message.code_of_answer(query, id, raw[: data.draw(st.integers(0, query.end - 1))]) is None
    other = message.parse_query(dns.question("other." + name[:200], type, id=id))
    assert message.code_of_answer(query, id, message.write_answer(other, [], 512)) is None


def _with(raw: bytes, offset: int, value: int) -> bytes:
    return raw[:offset] + value.to_bytes(2, "big") + raw[offset + 2 :]


GOOD = dns.question("db.mynet", edns=1232)
LOOP = b"\xc0\x0c"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(GOOD[:11], None, id="shorter than a header"),
        pytest.param(_with(GOOD, 2, 0x8100), None, id="an answer"),
        pytest.param(_with(GOOD, 2, 0x2100), dns.NOTIMP, id="a notification"),
        pytest.param(_with(GOOD, 4, 0), dns.FORMERR, id="no question"),
        pytest.param(_with(GOOD, 4, 2), dns.FORMERR, id="two questions"),
        pytest.param(GOOD[:20], dns.FORMERR, id="half a name"),
        pytest.param(GOOD + b"x", dns.FORMERR, id="a byte too many"),
        pytest.param(GOOD[:-1], dns.FORMERR, id="a byte missing"),
        pytest.param(_with(GOOD, 10, 2) + GOOD[-11:], dns.FORMERR, id="two OPT records"),
        pytest.param(_with(_with(GOOD, 6, 1), 10, 0), dns.FORMERR, id="an OPT record among the answers"),
        pytest.param(_with(GOOD, 10, 65535), dns.FORMERR, id="more records than there are"),
        pytest.param(GOOD[:12] + LOOP + GOOD[-15:], dns.FORMERR, id="a name that points at itself"),
        pytest.param(GOOD[:12] + b"\x01a" + LOOP + GOOD[-15:], dns.FORMERR, id="a name that goes round"),
        pytest.param(GOOD[:12] + b"\x41" + b"a" * 65 + b"\0" + GOOD[-15:], dns.FORMERR, id="a reserved kind of label"),
        pytest.param(GOOD[:12] + b"\x3fa" + b"a" * 62 + GOOD[-15:], dns.FORMERR, id="a label that is cut off"),
        pytest.param(GOOD[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0" + GOOD[-15:], dns.FORMERR, id="257 bytes of name"),
        pytest.param(GOOD + bytes(5000), dns.FORMERR, id="5000 bytes"),
    ],
)
def test_what_breaks_the_rules_is_refused(raw: bytes, code: int | None) -> None:
    with pytest.raises(Malformed) as refused:
        message.parse_query(raw)
    assert refused.value.code == code


def test_pointers_are_followed_only_where_names_may_have_them() -> None:
    raw = GOOD[:12] + dns.wire_name("db.mynet") + b"\x03www\xc0\x0c"
    assert message.read_name(raw, 22) == ("www.db.mynet", 28)
    with pytest.raises(Malformed):
        message.read_name(raw, 22, compressed=False)
    forward = GOOD[:12] + b"\xc0\x10\0\0" + dns.wire_name("a")
    with pytest.raises(Malformed):
        message.read_name(forward, 12)


def test_dots_and_backslashes_inside_labels_are_no_separators() -> None:
    raw = struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\x04a.b\\\x01c\0" + struct.pack("!HH", 1, 1)
    assert message.parse_query(raw).name == "a\\.b\\\\.c"


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64, ".".join(["a" * 63] * 4), "ä" * 32])
def test_what_is_no_name_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match=r"label|long"):
        message.write_name(name)
