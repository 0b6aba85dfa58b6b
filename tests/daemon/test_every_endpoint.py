"""Every endpoint of the public API (1.24 to 1.53) is there, and answers as dockerd does outside of a swarm.

The table was written from moby's api/swagger.yaml: one line for each endpoint, with parameters that have an effect.
`{c}` is a running container, `{x}` one that has ended, `{i}` an image, `{v}` a volume, `{n}` a network, `{e}` an exec.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.api import Answer, Http
from support.tars import directory_tar, tar

pytestmark = pytest.mark.root

TAR = {"Content-Type": "application/x-tar"}
Row = tuple[int, str, str, Any]

NOT_A_MANAGER = "This node is not a swarm manager."

ENDPOINTS: tuple[Row, ...] = (
    (200, "GET", "/containers/json?all=1&limit=1&size=1&filters=%7B%7D", None),
    (400, "POST", "/containers/create?name=every-made&platform=linux", {}),
    (404, "POST", "/containers/create?name=every-made", {"Image": "nosuch"}),
    (200, "GET", "/containers/{c}/json?size=1", None),
    (200, "GET", "/containers/{c}/top?ps_args=aux", None),
    (200, "GET", "/containers/{c}/logs?stdout=1&stderr=1&since=1&until=1&timestamps=1&tail=1", None),
    (200, "GET", "/containers/{c}/changes", None),
    (200, "GET", "/containers/{c}/export", None),
    (200, "GET", "/containers/{c}/stats?stream=0&one-shot=1", None),
    (200, "POST", "/containers/{c}/resize?h=24&w=80", None),
    (304, "POST", "/containers/{c}/start?detachKeys=ctrl-p", None),
    (304, "POST", "/containers/{x}/stop?t=1&signal=KILL", None),
    (204, "POST", "/containers/{x}/restart?t=1&signal=KILL", None),
    (204, "POST", "/containers/{c}/kill?signal=WINCH", None),
    (200, "POST", "/containers/{c}/update", {"CpuShares": 512}),
    (204, "POST", "/containers/{x}/rename?name=every-renamed", None),
    (204, "POST", "/containers/{c}/pause", None),
    (204, "POST", "/containers/{c}/unpause", None),
    (404, "POST", "/containers/nosuch/attach?stream=1&stdout=1&stderr=1&stdin=1&logs=1&detachKeys=a", None),
    (400, "POST", "/containers/{c}/attach?detachKeys=ctrl-A,a", None),
    (400, "GET", "/containers/{c}/attach/ws?stream=1", None),
    (200, "POST", "/containers/{x}/wait?condition=not-running", None),
    (409, "DELETE", "/containers/{c}?v=1", None),
    (200, "HEAD", "/containers/{c}/archive?path=/etc", None),
    (200, "GET", "/containers/{c}/archive?path=/etc", None),
    (200, "PUT", "/containers/{c}/archive?path=/tmp&noOverwriteDirNonDir=1&copyUIDGID=1", tar({"file": b"text"})),
    (200, "POST", "/containers/prune?filters=%7B%22label%22%3A%5B%22nosuch%22%5D%7D", None),
    (200, "GET", "/images/json?all=1&filters=%7B%7D&shared-size=1&digests=1&manifests=1", None),
    (
        400,
        "POST",
        "/build?t=Not/Lower&dockerfile=D&q=1&nocache=1&pull=0&rm=1&target=a",
        tar({"D": b"FROM x"}),
    ),
    (200, "POST", "/build/prune?all=1&keep-storage=1&reserved-space=1&max-used-space=1&min-free-space=1", None),
    (204, "POST", "/build/cancel?id=1", None),
    (400, "POST", "/images/create?fromImage=UPPER&tag=1", None),
    (400, "POST", "/images/create?fromSrc=-&repo=a&tag=1&message=m&changes=BAD&platform=linux", b""),
    (200, "GET", "/images/{i}/json?manifests=1", None),
    (200, "GET", "/images/{i}/history", None),
    (404, "POST", "/images/nosuch/push?tag=1", None),
    (201, "POST", "/images/{i}/tag?repo=every&tag=again", None),
    (200, "DELETE", "/images/every:again?force=1&noprune=1", None),
    (400, "GET", "/images/search?term=x&limit=1000", None),
    (200, "POST", "/images/prune?filters=%7B%22label%22%3A%5B%22nosuch%22%5D%7D", None),
    (400, "POST", "/auth", {}),
    (200, "GET", "/info", None),
    (200, "GET", "/version", None),
    (200, "GET", "/_ping", None),
    (200, "HEAD", "/_ping", None),
    (201, "POST", "/commit?container={x}&repo=every&tag=committed&comment=c&author=a&pause=0&changes=ENV+A=b", None),
    (200, "GET", "/events?since=1&until=2&filters=%7B%7D", None),
    (200, "GET", "/system/df?type=image&verbose=1", None),
    (200, "GET", "/images/{i}/get", None),
    (200, "GET", "/images/get?names={i}", None),
    (200, "POST", "/images/load?quiet=1", b""),
    (201, "POST", "/containers/{c}/exec", {"Cmd": ["true"], "AttachStdout": True}),
    (200, "POST", "/exec/{e}/start", {"Detach": True}),
    (409, "POST", "/exec/{e}/start", {"Detach": True}),
    (404, "POST", "/exec/nosuch/resize?h=24&w=80", None),
    (200, "GET", "/exec/{e}/json", None),
    (200, "GET", "/volumes?filters=%7B%7D", None),
    (201, "POST", "/volumes/create", {"Name": "every-made", "Labels": {"a": "b"}}),
    (200, "GET", "/volumes/{v}", None),
    (204, "DELETE", "/volumes/every-made?force=1", None),
    (200, "POST", "/volumes/prune?filters=%7B%22label%22%3A%5B%22nosuch%22%5D%7D", None),
    (200, "GET", "/networks?filters=%7B%7D", None),
    (200, "GET", "/networks/{n}?verbose=1&scope=local", None),
    (201, "POST", "/networks/create", {"Name": "every-made", "Internal": True}),
    (200, "POST", "/networks/{n}/connect", {"Container": "{c}", "EndpointConfig": {"Aliases": ["other"]}}),
    (200, "POST", "/networks/{n}/disconnect", {"Container": "{c}", "Force": True}),
    (204, "DELETE", "/networks/every-made", None),
    (403, "DELETE", "/networks/bridge", None),
    (200, "POST", "/networks/prune?filters=%7B%22label%22%3A%5B%22nosuch%22%5D%7D", None),
    (503, "GET", "/distribution/localhost:1/nosuch/json", None),
    (200, "GET", "/plugins?filters=%7B%22enabled%22%3A%5B%22true%22%5D%7D", None),
    (404, "GET", "/plugins/vieux/sshfs:latest/json", None),
    (404, "POST", "/plugins/vieux/sshfs/enable?timeout=0", None),
    (404, "POST", "/plugins/vieux/sshfs/disable", None),
    (404, "POST", "/plugins/vieux/sshfs/push", None),
    (404, "POST", "/plugins/vieux/sshfs/set", []),
    (404, "POST", "/plugins/vieux/sshfs/upgrade?remote=x", []),
    (404, "DELETE", "/plugins/vieux/sshfs?force=1", None),
    (501, "GET", "/plugins/privileges?remote=x", None),
    (501, "POST", "/plugins/pull?remote=x", []),
    (501, "POST", "/plugins/create?name=x", b""),
    (501, "POST", "/swarm/init", {}),
    (501, "POST", "/swarm/join", {}),
    (503, "POST", "/swarm/leave?force=1", None),
    (409, "POST", "/swarm/unlock", {}),
    (400, "POST", "/session", None),
)

NEED_A_SWARM = (
    "GET /swarm", "GET /swarm/unlockkey", "POST /swarm/update?version=1",
    "GET /nodes", "GET /nodes/x", "DELETE /nodes/x", "POST /nodes/x/update?version=1",
    "GET /services?status=1", "POST /services/create", "GET /services/x", "DELETE /services/x",
    "POST /services/x/update?version=1", "GET /services/x/logs?stdout=1",
    "GET /tasks", "GET /tasks/x", "GET /tasks/x/logs?stdout=1",
    "GET /secrets", "POST /secrets/create", "GET /secrets/x", "DELETE /secrets/x", "POST /secrets/x/update?version=1",
    "GET /configs", "POST /configs/create", "GET /configs/x", "DELETE /configs/x", "POST /configs/x/update?version=1",
    "PUT /volumes/x?version=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def things(http_: Http, busybox_tree: Path) -> Iterator[dict[str, str]]:
    """What the table names, by the letters it has for them."""
    assert http_("POST", "/images/create?fromSrc=-&repo=every&tag=1", directory_tar(busybox_tree)).status == 200
    ids = {"i": "every:1", "v": "every", "n": "every"}
    host = {"NetworkMode": "bridge", "AutoRemove": False}
    for letter, command in (("c", ["sleep", "600"]), ("x", ["true"])):
        body = {"Image": "every:1", "Cmd": command, "Tty": True, "HostConfig": host}
        ids[letter] = http_("POST", f"/containers/create?name=every-{letter}", body).json["Id"]
        assert http_("POST", f"/containers/{ids[letter]}/start").status == 204
    assert http_("POST", f"/containers/{ids['x']}/wait").status == 200
    assert http_("POST", "/volumes/create", {"Name": "every"}).status == 201
    assert http_("POST", "/networks/create", {"Name": "every"}).status == 201
    ids["e"] = http_("POST", f"/containers/{ids['c']}/exec", {"Cmd": ["true"]}).json["Id"]
    yield ids
    for letter in "cx":
        assert http_("DELETE", f"/containers/{ids[letter]}?force=1").status == 204
    for target in ("/volumes/every", "/networks/every", "/images/every:1", "/images/every:committed"):
        assert http_("DELETE", target).status < 300


def _filled(value: Any, things: dict[str, str]) -> Any:
    if isinstance(value, str):
        return things[value[1:-1]] if value[:1] == "{" and value[1:-1] in things else value
    return {name: _filled(member, things) for name, member in value.items()} if isinstance(value, dict) else value


def _target(path: str, things: dict[str, str]) -> str:
    for letter, name in things.items():
        path = path.replace(f"{{{letter}}}", quote(name, safe=":"))
    return path


def ask(http_: Http, method: str, target: str, body: Any) -> Answer:
    return http_(method, target, body, TAR if isinstance(body, bytes) else None)


def test_every_endpoint_answers_sensibly(http_: Http, things: dict[str, str]) -> None:
    """In order, for some need what others made."""
    unlike: list[str] = []
    for status, method, path, body in ENDPOINTS:
        answer = ask(http_, method, _target(path, things), _filled(body, things))
        if answer.status != status:
            unlike.append(f"{method} {path}: {answer.status} instead of {status}: {answer.body[:200]!r}")
        elif status >= 400 and method != "HEAD":
            assert answer.message, f"{method} {path} tells nothing"
            assert "page not found" not in answer.message, f"{method} {path}"
    assert unlike == []


@pytest.mark.parametrize("endpoint", NEED_A_SWARM)
def test_what_needs_a_swarm_is_refused_in_dockerds_words(http_: Http, endpoint: str) -> None:
    method, path = endpoint.split()

    answer = http_(method, path, {} if method in ("POST", "PUT") else None)

    assert answer.status == 503
    assert answer.message.startswith(NOT_A_MANAGER)


def test_the_table_is_whole() -> None:
    """The public API has 107 endpoints; two lines may be about the same one, for two answers of it."""
    listed = {f"{method} {path.partition('?')[0]}" for _, method, path, _ in ENDPOINTS}
    listed |= {endpoint.partition("?")[0] for endpoint in NEED_A_SWARM}
    assert len(listed) >= 107
