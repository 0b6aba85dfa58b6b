"""Properties of the parser, and of what stands beside it."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.dockerfile.directives import check_options
from lamina.dockerfile.dockerfile import parse, parse_instructions
from lamina.dockerfile.expansion import Expansion
from lamina.dockerfile.instructions import Copy, Env, Expose, Run, User
from lamina.dockerfile.mounts import parse_device, parse_mount
from lamina.dockerfile.position import Problem
from lamina.dockerfile.syntax import decode
from lamina.errors import InvalidInput, LaminaError, TooLarge

WORDS = st.sampled_from(
    [
        "FROM",
        "RUN",
        "COPY",
        "ENV",
        "x",
        "=",
        "a=b",
        "<<E",
        "E",
        "\\",
        "\n",
        "#",
        '"',
        "'",
        "[",
        "]",
        "--from=1",
        "$A",
        "\t",
    ]
)


@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(LaminaError):
        file = parse("FROM scratch\n" + text)
        ranges = [i.origin.lines for stage in file.stages for i in (stage.base, *stage.instructions)]
        assert all(before.last < after.first for before, after in pairwise(ranges))


@given(st.lists(st.text(alphabet="ab \\\"'$", max_size=8), min_size=1, max_size=5))
def test_exec_form_holds_any_strings(arguments: list[str]) -> None:
    (run,) = parse_instructions([f"RUN {json.dumps(arguments)}"])
    assert isinstance(run, Run)
    assert run.command.arguments == tuple(arguments)


def test_expansion_reaches_what_the_language_expands() -> None:
    copy, env, expose, run = parse_instructions(
        ["COPY --chown=$A <<E $A /$A", "$A '$A' \"$A\"", "E", "ENV $A=$A", "EXPOSE $P 1", "RUN $A"]
    )
    expand = Expansion({"A": "x", "P": "80 90"}).apply
    copied = expand(copy)
    assert isinstance(copied, Copy)
    assert (copied.sources, copied.destination, copied.chown) == (("x",), "/x", "x")
    assert copied.inline[0].text == "x 'x' \"x\"\n"
    environment = expand(env)
    assert isinstance(environment, Env)
    assert str(environment.pairs[0]) == "x=x"
    exposed = expand(expose)
    assert isinstance(exposed, Expose)
    assert exposed.ports == ("80", "90", "1") or exposed.ports == ("1", "80", "90")
    assert expand(run) is run


def test_mounts_with_names_wait_for_their_values() -> None:
    text = "type=cache,id=$ID,target=/c,mode=0700,uid=5"
    mount = parse_mount(text, lambda word: word.replace("$ID", "npm"))
    assert (mount.type, mount.id, mount.target, mount.mode, mount.uid, mount.readonly) == (
        "cache",
        "npm",
        "/c",
        0o700,
        5,
        False,
    )
    with pytest.raises(Problem):
        parse_mount("type=bind,from=$X,target=/a")


def test_sizes_and_devices() -> None:
    assert parse_mount("type=tmpfs,target=/t,size=1.5GiB").size == 3 << 29
    with pytest.raises(Problem, match='invalid value for size: "1x"'):
        parse_mount("type=tmpfs,target=/t,size=1x")
    assert parse_device("vendor.com/gpu=0,required").required


def test_check_options() -> None:
    options = check_options("skip=A, B;error=true")
    assert (options.skip, options.error) == (("A", "B"), True)
    with pytest.raises(Problem):
        check_options("skp=A")


def test_stages_are_found_by_name_or_number() -> None:
    file = parse("FROM a AS One\nFROM b\nFROM c AS two\n")
    assert [file.stage_index(target) for target in ("one", "ONE", "1", "two", "9", "none")] == [0, 0, 1, 2, None, None]


def test_odd_bytes_survive_and_odd_encodings_are_refused() -> None:
    (run,) = parse_instructions([decode(b"RUN \xff")])
    assert run.origin.text.encode("utf-8", "surrogateescape") == b"RUN \xff"
    with pytest.raises(InvalidInput):
        decode("FROM a".encode("utf-16"))
    with pytest.raises(TooLarge):
        decode(b"#" * (17 << 20))


def test_every_space_of_unicode_is_trimmed() -> None:
    (user,) = parse_instructions(["USER \u3000 me \u2028\u200a"])
    assert isinstance(user, User)
    assert user.user == "me"
    with pytest.raises(InvalidInput, match="VOLUME requires at least one argument"):
        parse_instructions(["VOLUME \u2028"])
