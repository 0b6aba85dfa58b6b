"""The API as plain HTTP: versions, statuses, bad requests, hostile clients."""

from __future__ import annotations

import json
import os
import socket
import stat
from urllib.parse import quote

import pytest

from support.api import Http
from support.daemons import Daemon

pytestmark = pytest.mark.root


def test_ping_tells_what_clients_negotiate_with(http_: Http) -> None:
    answer = http_("GET", "/_ping")

    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["api-version"] == "1.53"
    assert answer.headers["builder-version"] == "2"
    assert answer.headers["ostype"] == "linux"


def test_head_ping_has_headers_and_no_body(http_: Http) -> None:
    answer = http_("HEAD", "/v1.40/_ping")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["api-version"] == "1.53"


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.41", "/v1.53"])
def test_every_version_is_served(http_: Http, prefix: str) -> None:
    version = http_("GET", f"{prefix}/version").json

    assert version["ApiVersion"] == "1.53"
    assert version["MinAPIVersion"] == "1.24"
    assert version["Platform"] == {"Name": "lamina"}


@pytest.mark.parametrize(("version", "words"), [("1.99", "too new"), ("1.12", "too old")])
def test_versions_out_of_range_are_told(http_: Http, version: str, words: str) -> None:
    answer = http_("GET", f"/v{version}/info")

    assert answer.status == 400
    assert words in answer.message


@pytest.mark.parametrize("target", ["/nothing", "/v1.41/images", "/images/", "//", "/networks/a/b/c"])
def test_unknown_paths_are_not_found(http_: Http, target: str) -> None:
    assert http_("GET", target).status == 404


@pytest.mark.parametrize("target", ["/networks/", "/v1.41/networks/", "/networks/bridge/", "/images/json/", "/_ping/"])
def test_a_slash_at_the_end_changes_nothing(http_: Http, target: str) -> None:
    assert http_("GET", target).status == 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("a=%zz", 'invalid URL escape "%zz"'),
        ("a=1&%g=1", 'invalid URL escape "%g"'),
        ("a=%", 'invalid URL escape "%"'),
        ("a=1;b=2", "invalid semicolon separator in query"),
    ],
)
def test_malformed_queries_are_refused(http_: Http, query: str, message: str) -> None:
    answer = http_("GET", f"/images/json?{query}")

    assert (answer.status, answer.message) == (400, message)
    assert http_("GET", f"/nosuch?{query}").status == 404
    assert http_("GET", "/images/json?a=%3B%25&b=%ff&&=").status == 200


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b"NONSENSE\r\n\r\n", "Invalid method encountered"),
        (b"GET /_ping HTTP/1.1\r\n\r\n", "Missing 'Host' header in request"),
        (b"GET /_ping HTTP/1.1\r\nHost: d\r\nbad header\r\n\r\n", "Invalid header token"),
        (
            b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
            "Got more than 65536 bytes when reading",
        ),
    ],
)
def test_what_is_no_http_is_told_so_as_json(http_: Http, request_: bytes, told: str) -> None:
    head, _, body = http_.raw(request_).partition(b"\r\n\r\n")

    assert b" 400 Bad Request\r\n" in head
    assert b"Content-Type: application/json\r\n" in head
    assert json.loads(body) == {"message": f"malformed request: {told}"}


def test_another_method_is_not_allowed(http_: Http) -> None:
    assert http_("PUT", "/version").status == 405


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"Name": 5}', b"\xff\xfe", b'"text"', b"{}" + b" " * 9_000_000])
def test_bad_json_gets_a_4xx(http_: Http, body: bytes) -> None:
    answer = http_("POST", "/networks/create", body, {"Content-Type": "application/json"})

    assert 400 <= answer.status < 500
    assert answer.message


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/swarm"), ("POST", "/swarm/leave?force=1"), ("GET", "/services"), ("POST", "/secrets/create")],
)
def test_there_is_no_swarm(http_: Http, method: str, target: str) -> None:
    answer = http_(method, target)

    assert answer.status == 503
    assert "swarm" in answer.message


def test_members_that_are_null_are_left_out_and_spelled_in_any_case(http_: Http) -> None:
    subnet = {"Subnet": "10.99.1.0/24", "IPRange": None, "AuxiliaryAddresses": None}
    body = {"name": "with nulls", "Driver": "bridge", "Options": None, "IPAM": {"Config": [subnet]}, "Labels": None}
    assert http_("POST", "/networks/create", body).status == 201

    found = http_("GET", "/networks/with%20nulls").json
    assert found["IPAM"]["Config"][0]["Subnet"] == "10.99.1.0/24"
    assert http_("DELETE", "/networks/with%20nulls").status == 204


@pytest.mark.parametrize("options", [None, {}, {"a": "b"}])
def test_the_options_of_addresses_stay_as_they_were_sent(http_: Http, options: dict[str, str] | None) -> None:
    """docker sends an empty object, docker-py null; each looks for its own."""
    assert http_("POST", "/networks/create", {"Name": "sent", "IPAM": {"Options": options}}).status == 201

    assert http_("GET", "/networks/sent").json["IPAM"]["Options"] == options
    assert http_("DELETE", "/networks/sent").status == 204


def test_another_content_type_is_refused(http_: Http) -> None:
    answer = http_("POST", "/volumes/create", b"{}", {"Content-Type": "text/html"})

    assert answer.status == 400
    assert "Content-Type" in answer.message


@pytest.mark.parametrize("filters", ["{", "[]", '{"label": 5}', '{"unknown": ["x"]}', '{"dangling": ["maybe"]}'])
@pytest.mark.parametrize("target", ["/images/json", "/networks", "/volumes"])
def test_bad_filters_get_a_400(http_: Http, target: str, filters: str) -> None:
    assert http_("GET", f"{target}?filters={quote(filters)}").status == 400


@pytest.mark.parametrize("form", [["v-filter"], {"v-filter": True}], ids=["list", "map"])
def test_both_forms_of_filters_are_read(http_: Http, form: object) -> None:
    http_("POST", "/volumes/create", {"Name": "v-filter"})

    found = http_("GET", f"/volumes?filters={quote(json.dumps({'name': form}))}").json["Volumes"]

    assert [volume["Name"] for volume in found] == ["v-filter"]
    assert http_("DELETE", "/volumes/v-filter").status == 204


@pytest.mark.parametrize(
    "header",
    ["placeholder", "not base64!", "bm9wZQ==", "W10=", "", "e30=", "bnVsbA==", "eyJlbWFpbCI6bnVsbCwiYXV0aCI6bnVsbH0="],
)
def test_credentials_that_cannot_be_read_are_those_of_an_anonymous_client(http_: Http, header: str) -> None:
    auth, config = {"X-Registry-Auth": header}, {"X-Registry-Config": header}
    for answer in (
        http_("POST", "/images/create?fromImage=localhost:1/x&tag=1", headers=auth),
        http_("GET", "/distribution/localhost:1/x/json", headers=auth),
    ):
        assert answer.status == 503, answer.body  # nobody listens there
    assert http_("POST", "/images/nosuch/push?tag=1", headers=auth).status == 404
    assert http_("POST", "/build", b"", config).message != http_("POST", "/build?memory=x", b"", config).message


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /version HTTP/1.1\r\nContent-Length: -4\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /version HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /build HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["binary", "short", "version", "length", "path", "header", "chunk"],
)
def test_what_is_no_http_gets_a_4xx_and_hurts_nobody(http_: Http, data: bytes) -> None:
    heard = http_.raw(data)

    assert heard == b"" or heard.split(b" ", 2)[1].startswith(b"4")
    assert http_("GET", "/_ping").status == 200


def test_a_build_that_is_no_tar_is_refused(http_: Http) -> None:
    answer = http_(
        "POST", "/build?t=x", b"this is no tar, and far too short to be one", {"Content-Type": "application/x-tar"}
    )

    assert answer.status == 400
    assert http_("GET", "/images/x/json").status == 404


def test_what_goes_wrong_in_a_load_is_told_in_the_stream(http_: Http) -> None:
    """docker-py raises ImageLoadError for the line, and for nothing else."""
    answer = http_("POST", "/images/load", b"this is no archive", {"Content-Type": "application/x-tar"})

    assert answer.status == 200
    (line,) = answer.lines
    assert line["errorDetail"]["message"] == line["error"]
    assert "in the middle of a header" in line["error"]


def test_prunes_that_remove_nothing_answer_as_dockerd(http_: Http) -> None:
    for target in ("/volumes/prune", "/build/prune?all=1"):  # what other tests left
        assert http_("POST", target).status == 200
    assert http_("POST", "/volumes/prune").json == {"VolumesDeleted": [], "SpaceReclaimed": 0}
    assert http_("POST", "/build/prune").json == {"CachesDeleted": None, "SpaceReclaimed": 0}
    assert http_("POST", "/v1.47/build/prune?all=1&keep-storage=1000000").json["SpaceReclaimed"] == 0
    assert http_("POST", "/build/prune?reserved-space=much").status == 400


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("foo", '"foo": unknown operating system or architecture: invalid argument'),
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
    ],
)
def test_platforms_that_there_are_not(http_: Http, platform: str, words: str) -> None:
    answer = http_("POST", f"/containers/create?platform={platform}", {"Image": "x"})

    assert answer.status == 400
    assert answer.message.startswith(words)


@pytest.mark.parametrize("target", ["/images/{}/json", "/images/{}/history"])
def test_a_name_that_cannot_be_one_is_refused(http_: Http, target: str) -> None:
    digest = "sha256:" + "0" * 64
    assert http_("GET", target.format(f"busybox:{digest}")).status == 400
    assert http_("GET", target.format(digest)).status == 404
    assert http_("POST", "/containers/create", {"Image": f"busybox:{digest}"}).status == 400
    answer = http_("GET", target.format("UPPER"))
    assert (answer.status, "repository name (library/UPPER) must be lowercase" in answer.message) == (400, True)


def test_a_container_needs_a_config(http_: Http) -> None:
    for body in ({}, {"HostConfig": {"Memory": 0}}, {"NetworkingConfig": None}):
        answer = http_("POST", "/containers/create", body)
        assert (answer.status, answer.message) == (400, "config cannot be empty in order to create a container")


@pytest.mark.parametrize(("query", "status"), [("version=7", 400), ("buildargs=[", 400), ("memory=lots", 400)])
def test_builds_that_cannot_be_are_refused_before_they_begin(http_: Http, query: str, status: int) -> None:
    assert http_("POST", f"/build?{query}", b"").status == status


@pytest.mark.parametrize("headers", [{}, {"Connection": "Upgrade", "Upgrade": "websocket"}])
def test_a_session_without_its_protocol_is_refused(http_: Http, headers: dict[str, str]) -> None:
    answer = http_("POST", "/session", headers={"X-Docker-Expose-Session-Uuid": "x", **headers})

    assert answer.status == 400
    assert "proto" in answer.message


def test_a_client_that_sends_nothing_delays_nobody(http_: Http) -> None:
    idle = [http_.connect() for _ in range(50)]
    half = http_.connect()
    half.sock.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\nsome")

    assert http_("GET", "/version").status == 200

    for connection in (*idle, half):
        connection.close()
    assert http_("GET", "/info").status == 200


def test_the_socket_is_for_root_and_its_group(daemon: Daemon) -> None:
    status = os.stat(daemon.socket)

    assert stat.S_IMODE(status.st_mode) == 0o660
    assert status.st_uid == 0


def test_a_second_daemon_on_the_same_socket_is_refused(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(daemon.socket))
    assert daemon.process is not None
    assert daemon.process.poll() is None


def test_events_of_the_past_come_and_end(http_: Http) -> None:
    http_("POST", "/volumes/create", {"Name": "v-event"})
    http_("DELETE", "/volumes/v-event")
    filters = quote(json.dumps({"type": ["volume"], "volume": ["v-event"]}))

    answer = http_("GET", f"/events?since=0&until=0.001&filters={filters}")
    assert answer.lines == []
    answer = http_("GET", f"/events?since=1&until=0s&filters={filters}")

    assert [(event["Type"], event["Action"], event["Actor"]["ID"]) for event in answer.lines] == [
        ("volume", "create", "v-event"),
        ("volume", "destroy", "v-event"),
    ]
    assert all(event["timeNano"] // 10**9 == event["time"] for event in answer.lines)


def test_events_come_as_they_happen(http_: Http) -> None:
    connection = http_.connect()
    connection.request("GET", "/events?filters=" + quote('{"type": {"volume": true}, "event": ["create"]}'))
    feed = connection.getresponse()

    http_("POST", "/volumes/create", {"Name": "v-live"})

    assert json.loads(feed.readline())["Actor"]["ID"] == "v-live"
    connection.close()
    assert http_("DELETE", "/volumes/v-live").status == 204


def test_network_lifecycle_over_http(http_: Http) -> None:
    made = http_("POST", "/networks/create", {"Name": "n-http", "Labels": {"a": "b"}, "IPAM": None})
    assert made.status == 201
    shown = http_("GET", f"/networks/{made.json['Id'][:12]}").json
    assert (shown["Name"], shown["Driver"], shown["Labels"]) == ("n-http", "bridge", {"a": "b"})
    assert shown["IPAM"]["Config"][0]["Gateway"]
    assert http_("POST", "/networks/create", {"Name": "n-http"}).status == 409
    assert http_("DELETE", "/networks/bridge").status == 403
    assert http_("DELETE", "/networks/n-http").status == 204
    assert http_("DELETE", "/networks/n-http").status == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("w=100", 'invalid resize height "": invalid syntax'),
        ("h=x&w=100", 'invalid resize height "x": invalid syntax'),
        ("h=100&w=-1", 'invalid resize width "-1": value out of range'),
        ("h=4294967296&w=1", 'invalid resize height "4294967296": value out of range'),
    ],
)
def test_a_terminals_size_has_32_bits(http_: Http, query: str, message: str) -> None:
    """moby integration/container/resize_test.go."""
    for place in ("containers", "exec"):
        answer = http_("POST", f"/{place}/none/resize?{query}")

        assert (answer.status, answer.message) == (400, message)


def test_a_signal_is_read_before_its_container_is_looked_for(http_: Http) -> None:
    answer = http_("POST", "/containers/none/kill?signal=SIG42")

    assert (answer.status, answer.message) == (400, "Invalid signal: SIG42")
