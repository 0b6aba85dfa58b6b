"""Escape sequences in what a hostile daemon, image or registry says never reach the user's terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.engines import Cli
from support.hostile import Target
from support.rawserver import RawServer

EVIL = "x\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\x7f\r\nforged\ty"
SHOWN = "x\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m\\u202eevil\\u2066\\u007f\\r\\nforged\\ty"
DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]|^forged", re.MULTILINE)

ID = "sha256:" + "a" * 64
LABELS = {EVIL: EVIL}
CONTAINER = {
    "Id": "a" * 64, "Names": [f"/{EVIL}"], "Image": EVIL, "ImageID": ID, "Command": EVIL, "Created": 1, "Ports": [],
    "Labels": LABELS, "State": EVIL, "Status": EVIL, "Mounts": [], "NetworkSettings": {"Networks": {EVIL: {}}},
}  # fmt: skip
IMAGE = {
    "Id": ID, "RepoTags": [f"{EVIL}:{EVIL}"], "RepoDigests": [], "Created": 1, "Size": 1, "Labels": LABELS,
    "ParentId": "", "SharedSize": -1, "VirtualSize": 1, "Containers": -1,
}  # fmt: skip
LAYER = {"Id": ID, "Created": 1, "CreatedBy": EVIL, "Tags": [EVIL], "Size": 1, "Comment": EVIL}
VOLUME = {
    "Name": EVIL,
    "Driver": EVIL,
    "Mountpoint": EVIL,
    "Scope": EVIL,
    "Labels": LABELS,
    "Options": None,
    "CreatedAt": "",
}
NETWORK = {
    "Id": "b" * 64, "Name": EVIL, "Driver": EVIL, "Scope": EVIL, "Labels": LABELS, "Created": "2020-01-01T00:00:00Z",
}  # fmt: skip
FOUND = {"name": EVIL, "description": EVIL, "star_count": 1, "is_official": False, "is_automated": False}
INFO = {
    "Containers": 1, "ContainersRunning": 1, "ContainersPaused": 0, "ContainersStopped": 0, "Images": 1, "Name": EVIL,
    "ServerVersion": EVIL, "Driver": EVIL, "DriverStatus": [[EVIL, EVIL]], "Labels": [EVIL], "Warnings": [EVIL],
    "SecurityOptions": [f"name={EVIL}"],
}  # fmt: skip
EVENT = {"Type": "image", "Action": EVIL, "Actor": {"ID": EVIL, "Attributes": {EVIL: EVIL}}, "time": 1, "timeNano": 1}
VERSION = {"Platform": {"Name": EVIL}, "Components": [{"Name": EVIL, "Version": EVIL, "Details": {"ApiVersion": EVIL}}]}
TABLES: dict[str, Any] = {
    "ps -a --no-trunc": [CONTAINER],
    "images": [IMAGE],
    "history x --no-trunc": [LAYER],
    "search x --no-trunc": [FOUND],
    "volume ls": {"Volumes": [VOLUME], "Warnings": None},
    "network ls": [NETWORK],
    "info": INFO,
    "version": {"Version": EVIL, "ApiVersion": "1.41", "Os": "linux", "Arch": EVIL, **VERSION},
    "events --until 1s": EVENT,
    "top x": {"Titles": ["PID", EVIL], "Processes": [["1", EVIL]]},
    "diff x": [{"Kind": 1, "Path": EVIL}],
    "rmi x": [{"Untagged": EVIL}],
    "volume prune -f": {"VolumesDeleted": [EVIL], "SpaceReclaimed": 0},
}
TEMPLATES: dict[str, Any] = {
    "ps -a --no-trunc --format {{.Names}}|{{.Labels}}": [CONTAINER],
    "images --format {{.Repository}}": [IMAGE],
    "volume ls -q": {"Volumes": [VOLUME], "Warnings": None},
    "inspect --type image -f {{.Comment}} x": {"Id": ID, "Comment": EVIL},
    "info -f {{.Name}}": INFO,
}
ROWS = ("--format", 'table {{.Names}}\\t{{.Labels}}\\t{{.Label "x"}}')


PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    server = RawServer(tmp_path_factory.mktemp("s"))
    yield server
    server.close()


@pytest.fixture
def cli(server: RawServer, tmp_path: Path) -> Cli:
    return Cli(f"unix://{server.path}", tmp_path)


def _answers(document: Any, status: str = "200 OK") -> bytes:
    body = json.dumps(document, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _on_terminal(cli: Cli, *arguments: str) -> str:
    terminal = cli.terminal(*arguments)
    terminal.end()
    return terminal.seen.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def _assert_harmless(text: str) -> None:
    assert not DRIVES.search(text), repr(text)
    assert "\\u001b]0;owned\\u0007" in text, repr(text)


@pytest.mark.parametrize("command", TABLES)
def test_tables_are_printable_on_a_terminal_and_in_a_pipe(server: RawServer, cli: Cli, command: str) -> None:
    server.otherwise = _answers(TABLES[command])
    _assert_harmless(_on_terminal(cli, *command.split()))
    done = cli(*command.split(), check=False)
    _assert_harmless(done.stdout.decode())


@pytest.mark.parametrize("command", TEMPLATES)
def test_scripts_get_every_byte_and_terminals_what_is_printable(server: RawServer, cli: Cli, command: str) -> None:
    server.otherwise = _answers(TEMPLATES[command])
    assert EVIL in cli(*command.split(maxsplit=command.count(" "))).stdout.decode()
    seen = _on_terminal(cli, *command.split())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", seen), repr(seen)


def test_a_table_by_a_template_has_a_line_for_each_row(server: RawServer, cli: Cli) -> None:
    server.otherwise = _answers([CONTAINER])
    lines = cli("ps", "-a", *ROWS).stdout.decode().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(SHOWN)


@pytest.mark.parametrize("command", ["inspect --type image x", "ps -a --no-trunc --format json"])
def test_json_stays_json_on_a_terminal(server: RawServer, cli: Cli, command: str) -> None:
    server.otherwise = _answers({"Id": ID, "Comment": EVIL} if "inspect" in command else [CONTAINER])
    seen = _on_terminal(cli, *command.split())
    _assert_harmless(seen)
    assert any(EVIL in text for text in _texts(json.loads(seen)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


@pytest.mark.parametrize("command", ["start x", "pull x", "inspect x", "run x"])
def test_errors_are_printable(server: RawServer, cli: Cli, command: str) -> None:
    server.otherwise = _answers({"message": EVIL}, "500 Internal Server Error")
    server.answers = [PING]
    _assert_harmless(_on_terminal(cli, *command.split()))
    server.answers = [PING]
    _assert_harmless(cli(*command.split(), check=False).stderr.decode())


def test_progress_is_printable(server: RawServer, cli: Cli) -> None:
    lines = [{"status": EVIL, "id": EVIL, "progressDetail": {}}, {"status": EVIL}]
    server.answers = [PING]
    server.otherwise = _stream(*lines)
    seen = _on_terminal(cli, "pull", "x")
    own = re.sub(r"\x1b\[[0-9]+A\r\x1b\[2K|\x1b\[[0-9]+B\r", "", seen)
    _assert_harmless(own)


def test_a_build_keeps_the_colours_of_its_commands(server: RawServer, cli: Cli) -> None:
    server.answers = [PING]
    server.otherwise = _stream(
        {"stream": f"\x1b[32mgreen\x1b[0m 50%\r100% {EVIL}\n"}, {"errorDetail": {"message": EVIL}, "error": EVIL}
    )
    seen = _on_terminal(cli, "build", "--progress", "plain", "http://context.example/")
    assert "\x1b[32mgreen\x1b[0m 50%\r100% " in seen
    own = seen.replace("\x1b[32mgreen\x1b[0m 50%\r", "").replace("\r\nforged", "").replace("\nforged", "")
    _assert_harmless(own)


def _stream(*lines: Any) -> bytes:
    body = b"".join(json.dumps(line).encode() + b"\r\n" for line in lines)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_names_that_drive_terminals_are_not_offered_for_completion(server: RawServer, cli: Cli) -> None:
    server.otherwise = _answers([CONTAINER, {**CONTAINER, "Names": ["/fine"]}])
    done = cli("", COMP_WORDS="lamina start ", COMP_CWORD="2", _LAMINA_COMPLETE="bash_complete")
    assert done.stdout.decode().split() == ["plain,fine"]


@pytest.mark.root
def test_an_image_with_escapes_in_all_its_fields(target: Target) -> None:
    """What the real daemon says of it, and what its Dockerfile makes the builder say."""
    id = target.create("sh", "-c", EVIL, Labels={"a": EVIL}, Env=[f"A={EVIL}"])
    try:
        config = {"Labels": {"evil": EVIL}, "Cmd": [EVIL], "Env": [f"A={EVIL}"]}
        query = f"container={id}&repo=escapes&comment={quote(EVIL)}&author={quote(EVIL)}"
        answer = target.ask("POST", f"/commit?{query}", config)
        assert answer.status == 201
        listing = f"ps -a --no-trunc --filter id={id}"
        for command in (listing, "history --no-trunc escapes", "inspect escapes", f"inspect {id}"):
            _assert_harmless(_on_terminal(target.cli, *command.split()))
        told = target.build("FROM bb\nLABEL a='\x1b]0;owned\x07'\n")
        assert "\\u001b]0;owned\\u0007" in "".join(json.loads(line).get("stream", "") for line in told.splitlines())
    finally:
        target.remove(id)
        target.cli("rmi", "escapes", check=False)


@pytest.mark.root
def test_a_containers_own_stream_is_its_own(target: Target) -> None:
    """As with Docker: `logs`, `run`, `exec` and `attach` show what it writes as it writes it."""
    id = target.create("printf", "\\033[32mraw")
    try:
        target.start(id)
        assert "\x1b[32mraw" in target.output(id)
        assert "\x1b[32mraw" in _on_terminal(target.cli, "logs", id)
    finally:
        target.remove(id)
