"""Image configs: read strictly, changed without loss, built the same each time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.config import Healthcheck, History, ImageConfig, RunConfig, chain_ids
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform

DOCKER: dict[str, Any] = {
    "architecture": "amd64",
    "config": {
        "Hostname": "",
        "AttachStdin": False,
        "Env": ["PATH=/bin"],
        "Cmd": ["sh"],
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": {"a": "b"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000},
    },
    "container": "c0ffee",
    "created": "2024-01-31T12:00:00.123456789Z",
    "docker_version": "20.10",
    "history": [{"created": "2024-01-31T12:00:00Z", "created_by": "/bin/sh -c #(nop)", "empty_layer": True}],
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b"1")), str(Digest.of(b"2"))]},
}


def raw(**changes: Any) -> bytes:
    return json.dumps({key: value for key, value in (DOCKER | changes).items() if value is not ...}).encode()


def test_dockers_config_is_read() -> None:
    config = ImageConfig.parse(raw())
    assert config.digest == Digest.of(raw())
    assert config.platform == Platform("linux", "amd64")
    assert config.config.env == ("PATH=/bin",)
    assert config.config.cmd == ("sh",)
    assert config.config.entrypoint is None
    assert config.config.volumes == {}
    assert config.config.healthcheck == Healthcheck(test=("CMD", "true"), interval=1_000_000_000)
    assert config.diff_ids == (Digest.of(b"1"), Digest.of(b"2"))
    assert config.history[0].empty_layer


def test_replace_changes_only_what_is_named() -> None:
    before = ImageConfig.parse(raw(config=DOCKER["config"] | {"Unknown": {"x": 1}}))
    after = before.replace(config=RunConfig(cmd=("b",)), diff_ids=[Digest.of(b"3")], author="me")
    assert after.document["container"] == "c0ffee"
    assert after.document["config"] == {"AttachStdin": False, "Unknown": {"x": 1}, "Cmd": ["b"]}
    assert after.diff_ids == (Digest.of(b"3"),)
    assert (after.author, after.created, after.history) == ("me", before.created, before.history)
    assert after.replace(author="").document.get("author") is None
    with pytest.raises(TypeError):
        before.replace(colour="red")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rootfs": ...}, "rootfs"),
        ({"rootfs": {"type": "other"}}, "rootfs.type"),
        ({"rootfs": {"type": "layers", "diff_ids": ["x"]}}, "rootfs.diff_ids[0]"),
        ({"os": 1}, "os"),
        ({"created": "yesterday"}, "created"),
        ({"created": "0000-01-01T00:00:00Z"}, "created"),
        ({"created": "2020-13-01T00:00:00Z"}, "created"),
        ({"created": "9999-12-31T23:59:59-01:00"}, "created"),
        ({"created": "\u0662020-01-01T00:00:00Z"}, "created"),
        ({"history": [{}, {"created": 1}]}, "history[1].created"),
        ({"history": [{"empty_layer": "yes"}]}, "history[0].empty_layer"),
        ({"config": []}, "config"),
        ({"config": {"Env": ["a", 1]}}, "config.Env[1]"),
        ({"config": {"Labels": {"a": 1}}}, "config.Labels[...]"),
        ({"config": {"Healthcheck": {"Retries": "x"}}}, "config.Healthcheck.Retries"),
    ],
)
def test_malformed_configs_name_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ImageConfig.parse(raw(**changes))
    assert caught.value.facts["field"] == field


def test_empty_and_absent_commands_differ() -> None:
    assert RunConfig(cmd=()).to_json() == {"Cmd": ()}
    assert RunConfig().to_json() == {}
    assert RunConfig(cmd=(), entrypoint=None).to_docker()["Cmd"] == []
    assert RunConfig().to_docker() == {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }


_TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
_WORDS = st.lists(_TEXT, max_size=3).map(tuple)
_SETS: st.SearchStrategy[dict[str, dict[str, Any]]] = st.dictionaries(_TEXT, st.just({}), max_size=3)
_CONFIGS = st.builds(
    RunConfig,
    user=_TEXT,
    env=_WORDS,
    cmd=st.none() | _WORDS,
    entrypoint=st.none() | _WORDS,
    volumes=_SETS,
    exposed_ports=_SETS,
    labels=st.dictionaries(_TEXT, _TEXT, max_size=3),
    on_build=_WORDS,
    stop_timeout=st.none() | st.integers(1, 100),
    healthcheck=st.none() | st.builds(Healthcheck, test=_WORDS, retries=st.integers(0, 9)),
)
_STEPS = st.lists(st.builds(History, created_by=_TEXT, comment=_TEXT, empty_layer=st.booleans()), max_size=3)


@given(_CONFIGS, _STEPS, st.lists(st.binary(max_size=4), max_size=3))
def test_built_configs_read_back_the_same(run: RunConfig, steps: list[History], layers: list[bytes]) -> None:
    diff_ids = [Digest.of(layer) for layer in layers]
    platform = Platform("linux", "arm64", "v8")
    built = ImageConfig.build(platform=platform, config=run, history=steps, diff_ids=diff_ids, author="a")
    assert (built.config, built.history, built.diff_ids) == (run, tuple(steps), tuple(diff_ids))
    assert built.platform == platform
    assert ImageConfig.parse(built.raw) == built
    assert built.replace(config=run, history=steps) == built


def test_chain_ids_follow_the_specification() -> None:
    a, b, c = (Digest.of(text) for text in (b"a", b"b", b"c"))
    ab = Digest.of(f"{a} {b}".encode())
    assert chain_ids([a, b, c]) == [str(a), str(ab), str(Digest.of(f"{ab} {c}".encode()))]
    assert chain_ids([]) == []


def test_images_of_one_build_share_their_steps_and_layers() -> None:
    steps = [History("2024-01-01T00:00:00Z", f"step {number}") for number in range(3)]
    layers = [Digest.of(step.created_by.encode()) for step in steps]
    below = ImageConfig.build(diff_ids=layers[:2], history=steps[:2])
    above = ImageConfig.build(diff_ids=layers, history=steps)
    assert all(one is other for one, other in zip(below.history, above.history, strict=False))
    assert all(one is other for one, other in zip(below.diff_ids, above.diff_ids, strict=False))


def test_a_step_is_not_taken_for_one_that_looks_alike() -> None:
    right = {"created_by": "once more", "empty_layer": True}
    assert parse_history([right])[0].empty_layer
    for wrong in ({**right, "empty_layer": 1}, {**right, "empty_layer": ["x"]}, {**right, "created_by": {}}):
        with pytest.raises(InvalidInput, match=r"history\[1\]"):
            parse_history([right, wrong])


def parse_history(steps: list[dict[str, object]]) -> tuple[History, ...]:
    return ImageConfig.parse(json.dumps({"rootfs": {"type": "layers"}, "history": steps}).encode()).history
