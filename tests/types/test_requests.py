"""Requests that are almost right are refused, with the field's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from lamina.types import BuildRequest, Config, ExecConfig, HostConfig, InvalidInput, MemoryContext

WRONG: Any = "echo hi"


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: BuildRequest(tags=WRONG), "tags"),
        (lambda: BuildRequest(extra_hosts=WRONG), "extra_hosts"),
        (lambda: Config(cmd=WRONG), "cmd"),
        (lambda: Config(entrypoint=WRONG), "entrypoint"),
        (lambda: Config(env=WRONG), "env"),
        (lambda: HostConfig(binds=WRONG), "binds"),
        (lambda: HostConfig(cap_add=WRONG), "cap_add"),
        (lambda: ExecConfig(cmd=WRONG), "cmd"),
    ],
)
def test_a_text_is_no_list_of_texts(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field} is a list of texts") as caught:
        make()
    assert caught.value.facts["field"] == field


def test_a_list_will_do() -> None:
    assert Config(cmd=cast(Any, ["echo", "hi"])) == Config(cmd=("echo", "hi"))


@pytest.mark.parametrize("make", [Config, HostConfig, ExecConfig, BuildRequest])
def test_unknown_keys_are_refused(make: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="cmdd"):
        make(cmdd=("true",))


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", ""])
def test_a_context_in_memory_holds_its_own_files_alone(name: str) -> None:
    with pytest.raises(InvalidInput):
        MemoryContext("FROM scratch\n", {name: b""}).to_tar()
