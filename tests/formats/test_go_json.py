"""JSON read as Go reads it: nulls, names in any case, and Go's words for what is malformed."""

from __future__ import annotations

import pytest

from lamina.api.containers import Config, HostConfig, NetworkingConfig, PortHost
from lamina.errors import InvalidInput
from lamina.formats.document import MAX_DEPTH
from lamina.formats.go_json import convert, parse


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"{invalid", "invalid JSON: invalid character 'i' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid JSON: invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid JSON: invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid JSON: invalid character '2' after array element"),
        (b"[1,]", "invalid JSON: invalid character ']' looking for beginning of value"),
        (b'{"a":', "invalid JSON: unexpected EOF"),
        (b"tru", "invalid JSON: unexpected EOF"),
        (b"{} trailing", "unexpected content after JSON"),
        (b"{}{}", "unexpected content after JSON"),
    ],
)
def test_malformed_json_is_told_in_the_words_of_go(raw: bytes, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(raw)

    assert caught.value.message == sentence


def test_json_is_not_parsed_without_end() -> None:
    with pytest.raises(InvalidInput):
        parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    with pytest.raises(InvalidInput):
        parse(b"[" * 100_000)


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert parse(b'["\xff"]') == ["\ufffd"]


def test_a_member_that_is_null_keeps_its_default() -> None:
    config = convert({"Env": None, "Image": None, "Cmd": None, "Healthcheck": None, "StopTimeout": None}, Config)

    assert config == Config()


def test_an_element_that_is_null_is_the_empty_value_of_its_type() -> None:
    host = convert({"PortBindings": {"80/tcp": [None], "81/tcp": None}, "Dns": [None], "Mounts": [None]}, HostConfig)

    assert host.port_bindings == {"80/tcp": (PortHost(),), "81/tcp": ()}
    assert host.dns == ("",)
    assert len(host.mounts) == 1


def test_a_set_written_with_nulls_keeps_its_members() -> None:
    config = convert({"ExposedPorts": {"80/tcp": None}, "Volumes": {"/data": None}, "Labels": {"a": None}}, Config)

    assert list(config.exposed_ports) == ["80/tcp"]
    assert list(config.volumes) == ["/data"]
    assert config.labels == {"a": ""}


def test_a_network_without_settings_is_joined() -> None:
    networking = convert({"EndpointsConfig": {"one": None}}, NetworkingConfig)

    assert list(networking.endpoints_config) == ["one"]


def test_members_are_found_in_any_case_at_all_depths() -> None:
    body = {"endpointsconfig": {"one": {"ipamCONFIG": {"ipv4address": "10.1.2.3"}, "aliases": ["a"]}}}

    endpoint = convert(body, NetworkingConfig).endpoints_config["one"]

    assert endpoint.ipam.ipv4_address == "10.1.2.3"
    assert endpoint.aliases == ("a",)


def test_a_member_spelled_as_it_should_be_wins() -> None:
    assert convert({"image": "other", "Image": "right"}, Config).image == "right"
    assert convert({"Image": "right", "image": "other"}, Config).image == "right"


@pytest.mark.parametrize("body", [{"Image": 5}, {"Env": "A=b"}, {"Labels": []}, [], "text", 5])
def test_a_value_of_another_type_is_refused_with_its_place(body: object) -> None:
    with pytest.raises(InvalidInput, match=r"^invalid JSON: Expected"):
        convert(body, Config)
