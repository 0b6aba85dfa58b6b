"""Clients that use the API as nobody should: half-closed connections, absurd numbers and times, odd paths."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from support.api import Http

pytestmark = pytest.mark.root
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
HUGE = "99999999999999999999"


@pytest.fixture(scope="module")
def sleeper(http_: Http, busybox_tree: Path) -> Iterator[str]:
    """A running container that has said `a` and `b`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(busybox_tree, arcname=".")
    assert http_("POST", "/images/create?fromSrc=-&repo=odd&tag=1", content.getvalue()).status == 200
    body = {"Image": "odd:1", "Cmd": ["sh", "-c", "echo a; echo b; exec sleep 1000"]}
    made = http_("POST", "/containers/create", body | {"HostConfig": {"NetworkMode": "none"}}).json["Id"]
    assert http_("POST", f"/containers/{made}/start").status == 204
    connection = http_.connect()
    connection.request("GET", f"/containers/{made}/logs?stdout=1&follow=1")
    feed = connection.getresponse()
    while b"b\n" not in feed.read1():
        pass
    connection.close()
    yield made
    assert http_("DELETE", f"/containers/{made}?force=1").status == 204
    assert http_("DELETE", "/images/odd:1").status == 200


def _heads(heard: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 \d+ \w+", heard)


@pytest.mark.parametrize("times", [1, 3])
def test_a_client_that_shuts_its_sending_side_down_is_answered(http_: Http, times: int) -> None:
    assert _heads(http_.raw(PING * times)) == [b"HTTP/1.1 200 OK"] * times


def test_a_whole_body_before_the_end_counts_and_half_of_one_does_not(http_: Http) -> None:
    body = b'{"Name": "v-half"}'
    head = b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    assert _heads(http_.raw(head % len(body) + body[:-3])) == []
    assert http_("GET", "/volumes/v-half").status == 404
    assert _heads(http_.raw(head % len(body) + body)) == [b"HTTP/1.1 201 Created"]
    assert http_("DELETE", "/volumes/v-half").status == 204


def test_an_exec_hears_that_its_client_has_nothing_more_to_say(http_: Http, sleeper: str) -> None:
    wish = {"Cmd": ["sh", "-c", "cat; echo end"], "AttachStdin": True, "AttachStdout": True}
    made = http_("POST", f"/containers/{sleeper}/exec", wish).json["Id"]
    head = f"POST /exec/{made}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"

    heard = http_.raw(head.encode() + b"{}")

    assert heard.endswith(b"end\n")


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"Cmd": ["true"], "WorkingDir": "/nosuch"}, 126),
        ({"Cmd": ["/etc"]}, 126),
        ({"Cmd": ["nosuch"]}, 127),
        ({"Cmd": [""]}, 127),
        ({"Cmd": ["sh", "-c", "kill -9 $$"]}, 137),
    ],
)
def test_an_exec_that_cannot_be_run_has_dockers_exit_code(
    http_: Http, sleeper: str, wish: dict[str, object], code: int
) -> None:
    made = http_("POST", f"/containers/{sleeper}/exec", wish | {"AttachStdout": True}).json["Id"]
    http_.raw(f"POST /exec/{made}/start HTTP/1.0\r\nContent-Type: application/json\r\n\r\n".encode())

    assert http_("GET", f"/exec/{made}/json").json["ExitCode"] == code


@pytest.mark.parametrize("tail", ["-1", HUGE, "1.5", "abc", "\u0663"])
def test_a_tail_that_is_no_number_of_lines_means_all(http_: Http, sleeper: str, tail: str) -> None:
    answer = http_("GET", f"/containers/{sleeper}/logs?stdout=1&tail={quote(tail)}")

    assert (answer.status, answer.body.count(b"\n")) == (200, 2)


@pytest.mark.parametrize("when", ["abc", "1e9", HUGE, "nan", "%D9%A3", "2020-13-41T00:00:00Z", "1.x"])
@pytest.mark.parametrize("name", ["since", "until"])
def test_what_is_no_time_gets_a_400(http_: Http, sleeper: str, name: str, when: str) -> None:
    assert http_("GET", f"/containers/{sleeper}/logs?stdout=1&{name}={when}").status == 400
    assert http_("GET", f"/events?{name}={when}").status == 400


def test_events_may_end_before_the_epoch_and_begin_there(http_: Http) -> None:
    assert http_("GET", "/events?since=-1&until=-0.5").lines == []


@pytest.mark.parametrize("target", ["/containers/json?limit=", "/images/search?term=x&limit=", "/build?memory="])
@pytest.mark.parametrize("number", [HUGE, "1_0", "%201", "%D9%A3", "1.5", "9" * 5000])
def test_what_is_no_number_of_64_bits_gets_a_400(http_: Http, target: str, number: str) -> None:
    answer = http_("POST" if "build" in target else "GET", target + number)

    assert answer.status == 400
    assert len(answer.message) < 200


@pytest.mark.parametrize("limit", ["0", "-1", "101"])
def test_a_search_finds_between_one_and_a_hundred(http_: Http, limit: str) -> None:
    answer = http_("GET", f"/images/search?term=x&limit={limit}")

    assert (answer.status, answer.message) == (400, f"Limit {limit} is outside the range of [1, 100]")


@pytest.mark.parametrize("arguments", ["%22", "-o%20cmd", "--nonsense", "99999/tcp", "a%20b%20'c", "%5C"])
def test_what_ps_does_not_take_gets_a_400(http_: Http, sleeper: str, arguments: str) -> None:
    answer = http_("GET", f"/containers/{sleeper}/top?ps_args={arguments}")

    assert answer.status == 400
    assert "\n" not in answer.message


@pytest.mark.parametrize("place", ["%0A", "a%0Ab", "%00", "%ff", "%2e%2e", "%zz", "..%2f..%2fetc"])
@pytest.mark.parametrize("kind", ["containers/{}/json", "images/{}/json", "volumes/{}", "networks/{}", "exec/{}/json"])
def test_odd_names_in_paths_lead_nowhere(http_: Http, kind: str, place: str) -> None:
    answer = http_("GET", f"/v1.41/{kind.format(place)}")

    assert answer.status == (400 if kind.startswith("images") else 404)
    assert answer.message


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_deep_json_gets_a_400(http_: Http, opening: str) -> None:
    for depth in (200, 600, 100_000):
        body = (opening * depth).encode() + b"1" + ("}" if opening != "[" else "]").encode() * depth
        answer = http_("POST", "/containers/create", body, {"Content-Type": "application/json"})
        assert answer.status == 400
    assert http_("GET", f"/images/json?filters={opening.replace('{', '%7B').replace('[', '%5B') * 5000}").status == 400


@pytest.mark.parametrize("server", ["container:m1", "http://[::1", "x:0", "x:99999999"])
def test_a_login_to_no_address_gets_a_400(http_: Http, server: str) -> None:
    assert http_("POST", "/auth", {"username": "a", "password": "b", "serveraddress": server}).status == 400


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30, "12", 1.5, 1e30, True, [], {}])
@pytest.mark.parametrize("name", ["Memory", "ShmSize", "NanoCpus", "PidsLimit", "OomScoreAdj", "MemorySwappiness"])
def test_limits_are_numbers_of_64_bits(http_: Http, sleeper: str, name: str, number: object) -> None:
    answer = http_("POST", "/containers/create", {"Image": "odd:1", "Cmd": ["true"], "HostConfig": {name: number}})

    assert answer.status == 400
    assert f"$.{name}" in answer.message


def test_one_word_is_taken_for_a_list_of_one(http_: Http, sleeper: str) -> None:
    wish = {"Image": "odd:1", "Cmd": "true", "Entrypoint": "/bin/sh", "HostConfig": {"CapAdd": "NET_ADMIN"}}
    made = http_("POST", "/containers/create", wish).json["Id"]

    shown = http_("GET", f"/containers/{made}/json").json
    assert (shown["Path"], shown["Args"], shown["HostConfig"]["CapAdd"]) == ("/bin/sh", ["true"], ["NET_ADMIN"])
    assert http_("DELETE", f"/containers/{made}").status == 204


@pytest.mark.parametrize(
    "filters",
    [
        {"id": ["["]},
        {"name": ["("]},
        {"name": ["(a+)+$"]},
        {"name": ["(a|a)*$"]},
        {"name": [".*.*.*.*.*.*.*.*x"]},
        {"exited": ["\u00b2"]},
        {"exited": ["9" * 5000]},
    ],
)
def test_filters_that_are_wrong_or_never_end_get_a_400(
    http_: Http, sleeper: str, filters: dict[str, list[str]]
) -> None:
    assert http_("GET", f"/containers/json?filters={quote(json.dumps(filters))}").status == 400


def test_a_filter_without_values_asks_for_nothing(http_: Http, sleeper: str) -> None:
    filters = quote(json.dumps({"until": [], "label": ["nobody-has-this"]}))

    assert http_("POST", f"/containers/prune?filters={filters}").status == 200


def test_clients_that_listen_for_ever_take_nothing_from_others(http_: Http, sleeper: str) -> None:
    targets = ["/events"] * 550 + [f"/containers/{sleeper}/logs?stdout=1&follow=1&tail=1"] * 140
    with ExitStack() as closing:
        listening = []
        for target in targets:
            connection = http_.connect()
            closing.callback(connection.close)
            connection.request("GET", target)
            listening.append(connection)
        answers = [connection.getresponse() for connection in listening]

        assert {answer.status for answer in answers} == {200}
        assert answers[-1].readline().endswith(b"b\n")
        assert http_("POST", "/volumes/create", {"Name": "v-heard"}).status == 201
        assert json.loads(answers[0].readline())["Actor"]["ID"] == "v-heard"
    assert http_("DELETE", "/volumes/v-heard").status == 204


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "bogus"])
def test_bodies_are_what_they_are_whatever_their_encoding_is_said_to_be(http_: Http, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}

    assert http_("POST", "/volumes/create", b'{"Name": "v-encoded"}', headers).status == 201
    assert http_("DELETE", "/volumes/v-encoded").status == 204
    (line,) = http_("POST", "/images/load", b"n" * 600, headers | {"Content-Type": "application/x-tar"}).lines
    assert "not a tar archive" in line["error"]


def test_an_archive_of_no_images_is_empty(http_: Http) -> None:
    answer = http_("GET", "/images/get")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        listed = archive.extractfile("manifest.json")
        assert listed is not None
        assert not json.load(listed)
    assert http_("POST", "/images/load", answer.body, {"Content-Type": "application/x-tar"}).status == 200


def test_a_compressed_context_may_say_so(http_: Http) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(b"FROM scratch\nENV A=1\n")
        archive.addfile(member, io.BytesIO(b"FROM scratch\nENV A=1\n"))
    headers = {"Content-Type": "application/x-tar", "Content-Encoding": "gzip"}

    assert "Successfully built" in http_("POST", "/build", content.getvalue(), headers).lines[-1]["stream"]


@pytest.mark.parametrize(("target", "kind"), [("/volumes/create", "json"), ("/images/load", "x-tar")])
def test_a_body_that_breaks_on_its_way_gets_a_400(http_: Http, target: str, kind: str) -> None:
    head = f"POST {target} HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\nContent-Type: application/{kind}\r\n"
    connection = http_.connect()
    connection.sock.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
    heard = connection.sock.recv(65536)
    assert heard.startswith(b"HTTP/1.1 100 ")

    connection.sock.sendall(b"2\r\n{}\r\nzz\r\n")
    while more := connection.sock.recv(65536):
        heard += more

    connection.close()
    assert re.findall(rb"HTTP/1.. (4\d+)", heard)
    assert http_("GET", "/_ping").status == 200
