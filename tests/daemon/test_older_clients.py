"""What older API versions mean by the same words: defaults of their time, and what came later left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api import Http
from support.tars import directory_tar

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def image(http_: Http, busybox_tree: Path) -> Iterator[str]:
    assert http_("POST", "/images/create?fromSrc=-&repo=older&tag=1", directory_tar(busybox_tree)).status == 200
    yield "older:1"
    assert http_("DELETE", "/images/older:1").status == 200


def created(http_: Http, version: str, **host: Any) -> dict[str, Any]:
    """The HostConfig of a container that is made by a client of `version`."""
    body = {"Image": "older:1", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", **host}}
    answer = http_("POST", f"/v{version}/containers/create", body)
    assert answer.status == 201, answer.body
    shown: dict[str, Any] = http_("GET", f"/containers/{answer.json['Id']}/json").json["HostConfig"]
    assert http_("DELETE", f"/containers/{answer.json['Id']}").status == 204
    return shown


@pytest.mark.parametrize(("version", "mode"), [("1.39", "shareable"), ("1.40", "private")])
def test_the_ipc_mode_of_their_time(http_: Http, image: str, version: str, mode: str) -> None:
    assert created(http_, version)["IpcMode"] == mode
    assert created(http_, version, IpcMode="none")["IpcMode"] == "none"


def test_annotations_came_with_1_43(http_: Http, image: str) -> None:
    assert "Annotations" not in created(http_, "1.42", Annotations={"a": "b"})
    assert created(http_, "1.43", Annotations={"a": "b"})["Annotations"] == {"a": "b"}


def _create(http_: Http, version: str, **body: Any) -> tuple[int, str]:
    answer = http_("POST", f"/v{version}/containers/create", {"Image": "older:1", "Cmd": ["true"], **body})
    if answer.status == 201:
        assert http_("DELETE", f"/containers/{answer.json['Id']}").status == 204
        return 201, ""
    return answer.status, answer.message


@pytest.mark.parametrize(
    ("version", "body", "words"),
    [
        (
            "1.43",
            {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}, "none": {}}}},
            "Container cannot be created with multiple network endpoints: bridge, none",
        ),
        (
            "1.43",
            {
                "HostConfig": {
                    "Mounts": [
                        {
                            "Type": "bind",
                            "Source": "/tmp",
                            "Target": "/h",
                            "ReadOnly": True,
                            "BindOptions": {"ReadOnlyForceRecursive": True},
                        }
                    ]
                }
            },
            "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
        ),
        (
            "1.44",
            {
                "HostConfig": {
                    "Mounts": [{"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {"Subpath": "inner"}}]
                }
            },
            "VolumeOptions.Subpath needs API v1.45 or newer",
        ),
        (
            "1.47",
            {"HostConfig": {"Mounts": [{"Type": "image", "Source": "older:1", "Target": "/i"}]}},
            'Mount type "Image" needs API v1.48 or newer',
        ),
    ],
)
def test_what_came_later_is_refused_where_ignoring_it_would_harm(
    http_: Http, image: str, version: str, body: dict[str, Any], words: str
) -> None:
    assert _create(http_, version, **body) == (400, words)


def test_the_defaults_in_force_are_shown(http_: Http, image: str) -> None:
    plain, privileged = created(http_, "1.44"), created(http_, "1.44", Privileged=True)
    assert "/proc/kcore" in plain["MaskedPaths"]
    assert "/proc/sys" in plain["ReadonlyPaths"]
    assert (privileged["MaskedPaths"], privileged["ReadonlyPaths"]) == (None, None)
    lifted = created(http_, "1.44", MaskedPaths=[], ReadonlyPaths=[])
    assert (lifted["MaskedPaths"], lifted["ReadonlyPaths"]) == ([], [])


@pytest.mark.parametrize(("asked", "kept"), [("/tmp/", "/tmp"), ("//a/../b//", "/b"), ("/", "/")])
def test_working_directories_are_cleaned(http_: Http, image: str, asked: str, kept: str) -> None:
    body = {"Image": image, "Cmd": ["true"], "WorkingDir": asked}
    id = http_("POST", "/containers/create", body).json["Id"]
    assert http_("GET", f"/containers/{id}/json").json["Config"]["WorkingDir"] == kept
    assert http_("DELETE", f"/containers/{id}").status == 204


def test_an_annotation_has_a_key(http_: Http, image: str) -> None:
    status, message = _create(http_, "1.44", HostConfig={"Annotations": {"": "x"}})
    assert (status, message) == (
        400,
        "invalid Annotations: the empty string is not permitted as an annotation key",
    )


def made(http_: Http, version: str, **body: Any) -> dict[str, Any]:
    """The answer to a create, and with it what inspect shows of the container."""
    answer = http_("POST", f"/v{version}/containers/create", {"Image": "older:1", "Cmd": ["true"], **body})
    assert answer.status == 201, answer.body
    shown = http_("GET", f"/v1.51/containers/{answer.json['Id']}/json").json
    assert http_("DELETE", f"/containers/{answer.json['Id']}?v=1").status == 204
    return {"warnings": answer.json["Warnings"], **shown}


def test_an_address_of_the_whole_container_goes_with_1_52(http_: Http, image: str) -> None:
    address = "02:42:ac:11:00:99"
    assert made(http_, "1.43", MacAddress=address)["warnings"] == []
    (warning,) = made(http_, "1.51", MacAddress=address)["warnings"]
    assert warning.startswith("The container-wide MacAddress field is now deprecated.")
    status, message = _create(http_, "1.52", MacAddress=address)
    assert (status, message.partition(";")[0]) == (400, "container-wide MAC address no longer supported")


def test_a_port_without_a_place_is_published_somewhere(http_: Http, image: str) -> None:
    ports = {"80/tcp": [], "81/tcp": None, "82/tcp": [{"HostPort": "8082"}]}
    for version, warnings in (("1.51", 0), ("1.52", 1)):
        shown = made(http_, version, HostConfig={"PortBindings": ports})
        assert shown["HostConfig"]["PortBindings"]["80/tcp"] == [{"HostIp": "", "HostPort": ""}]
        assert shown["HostConfig"]["PortBindings"]["81/tcp"] == [{"HostIp": "", "HostPort": ""}]
        assert shown["HostConfig"]["PortBindings"]["82/tcp"] == [{"HostIp": "", "HostPort": "8082"}]
        assert len([text for text in shown["warnings"] if "80/tcp, 81/tcp" in text]) == warnings


def test_a_driver_that_no_mount_heeds_is_told(http_: Http, image: str) -> None:
    host = {"VolumeDriver": "local", "Mounts": [{"Type": "volume", "Target": "/data"}]}
    assert made(http_, "1.47", HostConfig=host)["warnings"] == []
    (warning,) = made(http_, "1.48", HostConfig=host)["warnings"]
    assert "volume-driver configuration is ignored" in warning


def test_endpoints_are_without_what_came_later(http_: Http, image: str) -> None:
    networking = {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:98", "GwPriority": 7}}}
    for version, address, priority in (
        ("1.43", "", 0),
        ("1.47", "02:42:ac:11:00:98", 0),
        ("1.48", "02:42:ac:11:00:98", 7),
    ):
        endpoint = made(http_, version, NetworkingConfig=networking)["NetworkSettings"]["Networks"]["bridge"]
        assert (endpoint["MacAddress"], endpoint["GwPriority"]) == (address, priority)
