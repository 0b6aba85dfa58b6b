"""Requests survive the way from one side of the API to the other."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.api.build import BuildOutput, BuildRequest, CacheOption
from lamina.api.containers import Config, HostConfig, MountSpec, NetworkingConfig, Resources, Ulimit, decode, encode
from lamina.errors import InvalidInput

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0,"), min_size=1, max_size=8)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
ULIMITS = st.builds(Ulimit, name=WORDS, soft=NUMBERS, hard=NUMBERS)
# `dest` stays with the client.
OUTPUTS = st.builds(BuildOutput, type=WORDS, attrs=st.dictionaries(WORDS.filter("dest".__ne__), WORDS, max_size=2))
CACHES = st.builds(CacheOption, WORDS, st.dictionaries(WORDS, WORDS, max_size=2))
VALUES: dict[Any, Any] = {
    str: WORDS,
    bool: st.booleans(),
    str | bool: WORDS,  # True is another way to write a word
    tuple[str, ...]: st.lists(WORDS, max_size=3).map(tuple),
    tuple[Ulimit, ...]: st.lists(ULIMITS, max_size=2).map(tuple),
    tuple[BuildOutput, ...]: st.lists(OUTPUTS, max_size=2).map(tuple),
    tuple[CacheOption, ...]: st.lists(CACHES, max_size=2).map(tuple),
    dict[str, str]: st.dictionaries(WORDS, WORDS, max_size=3),
    dict[str, str | None]: st.dictionaries(WORDS, WORDS | st.none(), max_size=3),
}
REQUESTS = st.fixed_dictionaries(
    {},
    optional={field.name: VALUES.get(field.type, NUMBERS) for field in msgspec.structs.fields(BuildRequest)},
).map(lambda members: BuildRequest(**members))


@given(REQUESTS)
def test_a_build_request_is_the_same_behind_its_query(request: BuildRequest) -> None:
    sent = urlencode(request.to_query(), doseq=True)
    assert BuildRequest.from_query(parse_qs(sent, keep_blank_values=True)) == request


def test_a_build_request_without_choices_sends_nothing() -> None:
    assert BuildRequest().to_query() == {}
    assert BuildRequest.from_query({"rm": [""], "cachefrom": ["null"], "other": ["1"]}) == BuildRequest()


@pytest.mark.parametrize("query", [{"memory": "1m"}, {"buildargs": "["}, {"labels": '{"a":1}'}, {"shmsize": "9" * 20}])
def test_a_query_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(query))):
        BuildRequest.from_query({name: [value] for name, value in query.items()})


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (Config(), {}),
        (Config(image="a", cmd=(), tty=True), {"Image": "a", "Cmd": [], "Tty": True}),
        (HostConfig(masked_paths=(), pids_limit=0), {"MaskedPaths": [], "PidsLimit": 0}),
        (HostConfig(mounts=(MountSpec(type="tmpfs"),)), {"Mounts": [{"Type": "tmpfs"}]}),
        (NetworkingConfig(), {}),
    ],
)
def test_what_is_encoded_is_decoded(value: msgspec.Struct, document: dict[str, Any]) -> None:
    assert encode(value) == document
    assert decode(document, type(value)) == value


def test_a_build_is_limited_in_the_words_of_containers() -> None:
    asked = BuildRequest(memory=1 << 30, cpu_quota=5, cgroup_parent="/of/it", ulimits=(Ulimit("nofile", 9, 8),))
    assert asked.limits == Resources(
        memory=1 << 30, cpu_quota=5, cgroup_parent="/of/it", ulimits=(Ulimit("nofile", 9, 8),)
    )
