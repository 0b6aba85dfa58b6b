"""What came and went with API versions 1.42 to 1.53 (moby, api/docs/CHANGELOG.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lamina.formats.times import parse_time
from support.api import Http
from support.registries import Running
from support.registry_fixtures import registry, start
from support.tars import directory_tar, tar

__all__ = ["registry", "start"]

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def image(http_: Http, busybox_tree: Path) -> Iterator[str]:
    answer = http_("POST", "/images/create?fromSrc=-&repo=versions&tag=1", directory_tar(busybox_tree))
    assert answer.status == 200
    yield "versions:1"
    assert http_("DELETE", "/images/versions:1").status == 200


@pytest.fixture
def container(http_: Http, image: str) -> Iterator[str]:
    body = {"Image": image, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", "Annotations": {"a": "b"}}}
    container_id = http_("POST", "/containers/create", body).json["Id"]
    yield container_id
    assert http_("DELETE", f"/containers/{container_id}").status == 204


def at(http_: Http, version: str, target: str) -> Any:
    answer = http_("GET", f"/v{version}{target}")
    assert answer.status == 200, answer.body
    return answer.json


@pytest.mark.parametrize(
    ("member", "last", "first"),
    [
        ("KernelMemory", "1.41", "1.42"),
        ("KernelMemoryTCP", "1.51", "1.52"),
        ("BridgeNfIptables", "1.49", "1.50"),
        ("BridgeNfIp6tables", "1.49", "1.50"),
    ],
)
def test_members_of_info_that_went(http_: Http, member: str, last: str, first: str) -> None:
    assert member in at(http_, last, "/info")
    assert member not in at(http_, first, "/info")


def test_members_of_info_that_changed_with_1_49(http_: Http) -> None:
    older, newer = at(http_, "1.48", "/info"), at(http_, "1.49", "/info")

    assert older["RuncCommit"].keys() == {"ID", "Expected"}
    assert newer["RuncCommit"].keys() == {"ID"}
    assert older["RegistryConfig"].keys() - newer["RegistryConfig"].keys() == {
        "AllowNondistributableArtifactsCIDRs",
        "AllowNondistributableArtifactsHostnames",
    }
    assert "FirewallBackend" not in older
    assert newer["FirewallBackend"] == {"Driver": "nftables"}


def test_an_inspected_image_shows_only_what_it_has(http_: Http, image: str) -> None:
    shown = {version: at(http_, version, f"/images/{image}/json") for version in ("1.49", "1.51", "1.52")}

    assert shown["1.49"]["Config"]["Tty"] is False
    assert shown["1.49"]["Config"]["Hostname"] == ""
    assert "Tty" not in shown["1.51"]["Config"]
    assert "Hostname" not in shown["1.51"]["Config"]
    assert shown["1.51"]["Config"]["Entrypoint"] is None
    assert "Entrypoint" not in shown["1.52"]["Config"]
    for member in ("Parent", "DockerVersion", "Author"):
        assert shown["1.51"][member] == ""
        assert member not in shown["1.52"]


def test_an_image_tells_where_it_came_from(http_: Http, image: str, registry: Running) -> None:
    """Since 1.53: the registries that have it, and that it was built here."""
    name = f"{registry.address}/team/app"
    assert "Identity" not in at(http_, "1.53", f"/images/{image}/json")
    http_("POST", f"/images/{image}/tag?repo={name}&tag=1")
    assert http_("POST", f"/images/{name}/push?tag=1", b"", {"X-Registry-Auth": ""}).status == 200
    assert at(http_, "1.53", f"/images/{image}/json")["Identity"] == {"Pull": [{"Repository": name}]}

    context = tar({"Dockerfile": b"FROM versions:1\nLABEL a=b\n"})
    assert http_("POST", "/build?t=versions:built", context, {"Content-Type": "application/x-tar"}).status == 200
    built = at(http_, "1.53", "/images/versions:built/json")
    assert list(built["Identity"]) == ["Build"]
    assert parse_time(built["Identity"]["Build"][0]["CreatedAt"]) <= time.time_ns()
    assert "Identity" not in at(http_, "1.52", "/images/versions:built/json")
    for reference in ("versions:built", f"{name}:1"):
        assert http_("DELETE", f"/images/{reference}").status == 200


@pytest.mark.parametrize("version", ["1.41", "1.52"])
def test_the_container_config_is_whole(http_: Http, image: str, version: str) -> None:
    shown = at(http_, version, f"/images/{image}/json")["ContainerConfig"]

    assert shown.keys() >= {"Image", "Cmd", "Hostname", "Tty", "Labels"}


def test_manifests_of_images(http_: Http, image: str, container: str) -> None:
    (listed,) = at(http_, "1.47", "/images/json?manifests=1")
    inspected = at(http_, "1.48", f"/images/{image}/json?manifests=1")

    (manifest,) = listed["Manifests"]
    assert inspected["Manifests"] == [manifest]
    assert manifest["Kind"] == "image"
    assert manifest["ID"] == manifest["Descriptor"]["digest"]
    assert manifest["ImageData"]["Containers"] == [container]
    assert manifest["ImageData"]["Size"]["Unpacked"] == listed["Size"]
    assert manifest["ImageData"]["Platform"]["os"] == "linux"
    assert "Manifests" not in at(http_, "1.46", "/images/json?manifests=1")[0]


def test_containers_tell_the_manifest_of_their_image_since_1_48(http_: Http, image: str, container: str) -> None:
    (manifest,) = at(http_, "1.48", f"/images/{image}/json?manifests=1")["Manifests"]

    for version in ("1.47", "1.48"):
        (listed,) = at(http_, version, "/containers/json?all=1")
        inspected = at(http_, version, f"/containers/{container}/json")
        told = listed.get("ImageManifestDescriptor"), inspected.get("ImageManifestDescriptor")
        assert told == ((manifest["Descriptor"],) * 2 if version == "1.48" else (None, None))
    assert "ImageManifestDescriptor" not in at(http_, "1.51", "/system/df")["Containers"][0]


def test_an_image_for_another_platform_is_not_found(http_: Http, image: str) -> None:
    mine, other = (quote(json.dumps({"os": "linux", "architecture": arch})) for arch in (_architecture(http_), "s390x"))
    for target in (f"/images/{image}/json", f"/images/{image}/history"):
        assert http_("GET", f"/v1.49{target}?platform={mine}").status == 200
        assert http_("GET", f"/v1.49{target}?platform={other}").status == 404
        assert http_("GET", f"/v1.47{target}?platform={other}").status == 200
    assert http_("DELETE", f"/v1.50/images/{image}?platforms={other}").status == 404
    assert http_("GET", f"/v1.49/images/{image}/json?platform={mine}&manifests=1").status == 400


def test_the_descriptor_of_an_image_chosen_by_platform_names_it(http_: Http, image: str) -> None:
    platform = {"architecture": _architecture(http_), "os": "linux"}
    chosen = at(http_, "1.49", f"/images/{image}/json?platform={quote(json.dumps(platform))}")
    plain = at(http_, "1.49", f"/images/{image}/json")
    assert chosen["Descriptor"] == plain["Descriptor"] | {"platform": platform}


def _architecture(http_: Http) -> str:
    return str(http_("GET", "/version").json["Arch"])


def test_images_count_their_containers_since_1_51(http_: Http, image: str, container: str) -> None:
    assert at(http_, "1.50", "/images/json")[0]["Containers"] == -1
    assert at(http_, "1.51", "/images/json")[0]["Containers"] == 1


def test_a_list_of_containers_tells_annotations_and_health(http_: Http, container: str) -> None:
    shown = {version: at(http_, version, "/containers/json?all=1")[0] for version in ("1.45", "1.46", "1.51", "1.52")}

    assert shown["1.45"]["HostConfig"] == {"NetworkMode": "none"}
    assert shown["1.46"]["HostConfig"] == {"NetworkMode": "none", "Annotations": {"a": "b"}}
    assert "Health" not in shown["1.51"]
    assert shown["1.52"]["Health"] == {"Status": "none", "FailingStreak": 0}


def test_an_inspected_container_has_its_addresses_in_networks_only(http_: Http, container: str) -> None:
    older, newer = (at(http_, version, f"/containers/{container}/json") for version in ("1.51", "1.52"))

    assert older["NetworkSettings"]["IPAddress"] == ""
    assert newer["NetworkSettings"].keys() == {"SandboxID", "SandboxKey", "Ports", "Networks"}
    assert older["Config"]["OnBuild"] is None
    assert "OnBuild" not in newer["Config"]


def test_disk_usage_has_totals_since_1_52(http_: Http, image: str, container: str) -> None:
    older, both = at(http_, "1.51", "/system/df"), at(http_, "1.52", "/system/df")
    verbose = at(http_, "1.52", "/system/df?verbose=1")

    assert older.keys() == {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}
    assert both.keys() == older.keys() | verbose.keys()
    assert "Items" not in both["ImageUsage"]
    assert verbose["ImageUsage"]["Items"][0]["RepoTags"] == [image]
    assert verbose["ImageUsage"]["TotalSize"] == older["LayersSize"]
    assert (verbose["ImageUsage"]["TotalCount"], verbose["ImageUsage"]["ActiveCount"]) == (1, 1)
    assert verbose["ContainerUsage"]["TotalCount"] == 1
    assert "ActiveCount" not in verbose["ContainerUsage"]
    assert verbose["BuildCacheUsage"] == {}


def test_disk_usage_of_some_kinds(http_: Http) -> None:
    assert at(http_, "1.51", "/system/df?type=volume&type=build-cache") == {"Volumes": [], "BuildCache": []}
    assert at(http_, "1.41", "/system/df?type=volume").keys() > {"Images", "BuilderSize"}
    answer = http_("GET", "/system/df?type=moon")
    assert (answer.status, answer.message) == (400, "unknown object type: moon")


@pytest.mark.parametrize(
    ("version", "accept", "kind"),
    [
        ("1.51", "", "application/json"),
        ("1.52", "", "application/jsonl"),
        ("1.52", "*/*", "application/jsonl"),
        ("1.52", "application/x-ndjson", "application/x-ndjson"),
        ("1.51", "text/html, application/json-seq;q=0.9, application/jsonl;q=0.1", "application/json-seq"),
        ("1.51", "application/jsonl;q=0, application/json", "application/json"),
    ],
)
def test_events_come_in_the_type_that_is_accepted(http_: Http, version: str, accept: str, kind: str) -> None:
    http_("POST", "/volumes/create", {"Name": "told"})
    http_("DELETE", "/volumes/told")

    answer = http_("GET", f"/v{version}/events?since=0&until=0s", headers={"Accept": accept} if accept else {})

    assert answer.headers["content-type"] == kind
    records = answer.body.splitlines()
    assert all(line.startswith(b"\x1e") == (kind == "application/json-seq") for line in records)
    assert json.loads(records[-1].lstrip(b"\x1e"))["Action"] == "destroy"


def test_events_have_their_older_form_until_1_52(http_: Http, container: str) -> None:
    (older,) = http_("GET", "/v1.51/events?since=0&until=0s&filters=" + _about(container)).lines
    (newer,) = http_("GET", "/v1.52/events?since=0&until=0s&filters=" + _about(container)).lines

    assert older == newer | {"status": "create", "id": container, "from": "versions:1"}
    assert "status" not in newer


def _about(container: str) -> str:
    return quote(json.dumps({"container": [container], "event": ["create"]}))


def test_a_span_of_events_that_ends_before_it_begins_is_refused(http_: Http) -> None:
    answer = http_("GET", "/events?since=20&until=10")
    assert (answer.status, answer.message) == (400, "`since` time (20) cannot be after `until` time (10)")
    answer = http_("GET", "/events?since=yesterday")
    assert answer.status == 400
    assert answer.message.startswith("invalid value for 'since': ")


def test_bad_keys_are_refused_before_the_connection_is_taken_over(http_: Http, container: str) -> None:
    """moby integration/container/attach_test.go, TestAttachRejectsInvalidDetachKeys."""
    answer = http_("POST", f"/containers/{container}/attach?detachKeys=ctrl-A,a", headers={"Upgrade": "tcp"})
    assert (answer.status, answer.message) == (400, "Invalid detach keys (ctrl-A,a) provided")
