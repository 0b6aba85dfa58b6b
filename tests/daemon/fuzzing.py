"""The API's endpoints as material for a fuzzer: their parameters, and bodies made from the types that decode them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from operator import setitem
from typing import Any, cast
from urllib.parse import quote

import msgspec.inspect as types

from lamina.api.build_history import BuildRecord
from lamina.api.containers import Config, EndpointConfig, ExecConfig, HostConfig, NetworkingConfig, UpdateConfig
from lamina.api.networks import NetworkBody
from lamina.daemon.routes.networks import Connection
from lamina.daemon.routes.volumes import CreateBody as VolumeBody

_TEXTS = (
    "", "a", "target", "x" * 3000, "\u00e9", "\u2028", "\0", "..", "../../etc/passwd", "/", "%00", "%s", "true", "-1",
    "1.5", "99999999999999999999", "{}", "[]", "null", "a:b:c", "a=b", "=", "odd:1", "sha256:" + "a" * 64, "host",
    "none", "container:target", "container:", "on-failure", "80/tcp", "99999/tcp", "1-2/udp", "::1", "300.1.1.1",
    "172.31.250.0/24", "aa:bb:cc:dd:ee:ff", "\n", "a b", "linux/amd64", "KILL", "RTMIN+99", "10m", "vol:/v",
    "/dev/null", "c 1:3 rwm", "seccomp=unconfined", "ALL", "http://[::1", "ctrl-p,ctrl-q", "\\", '"',
    "bind", "tmpfs", "nofile",
)  # fmt: skip
_NUMBERS = (0, 1, -1, 80, 65536, 1 << 31, (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 10**30, 1.5, 1e308, 6 << 20)
_ODD: tuple[Any, ...] = (None, True, [], {}, [[]], [None], {"": None}, {"a": {}}, [1, "a"], *_NUMBERS[:3], *_TEXTS[:3])
_PLACES = ("%00", "%ff", "%2e%2e", "%zz", "a%2fb", "%0A", "%", "x" * 3000, "-")
EXPLORER_QUESTIONS = {
    "layers": "",
    "sources": "",
    "report": "",
    "files": "path layer",
    "find": "layer search",
    "file": "path layer",
    "blame": "path",
    "compare": "with",
    "weights": "layer most",
    "savings": "",
    "packages": "",
    "secrets": "",
    "sharing": "with",
}


@dataclass(frozen=True)
class Endpoint:
    """`query` are names of parameters; `always` is what every request says, so that none of them goes on for ever."""

    method: str
    path: str
    query: str = ""
    body: Any = None
    always: str = ""


ENDPOINTS = (
    Endpoint("GET", "/info"),
    Endpoint("GET", "/events", "since filters", always="until=1"),
    Endpoint("GET", "/system/df", "type"),
    Endpoint("GET", "/containers/json", "all limit size filters before since"),
    Endpoint("POST", "/containers/create", "name platform", (Config, HostConfig, NetworkingConfig)),
    Endpoint("POST", "/containers/prune", "filters"),
    Endpoint("GET", "/containers/{}/json", "size"),
    Endpoint("GET", "/containers/{}/top", "ps_args"),
    Endpoint("GET", "/containers/{}/logs", "stdout stderr since until timestamps tail details"),
    Endpoint("GET", "/containers/{}/changes"),
    Endpoint("GET", "/containers/{}/stats", "one-shot", always="stream=0"),
    Endpoint("GET", "/containers/{}/export"),
    Endpoint("GET", "/containers/{}/folder", "path"),
    Endpoint("HEAD", "/containers/{}/archive", "path"),
    Endpoint("GET", "/containers/{}/archive", "path"),
    Endpoint("PUT", "/containers/{}/archive", "path noOverwriteDirNonDir copyUIDGID", bytes),
    Endpoint("POST", "/containers/{}/start", "detachKeys"),
    Endpoint("POST", "/containers/{}/stop", "t signal"),
    Endpoint("POST", "/containers/{}/restart", "t signal"),
    Endpoint("POST", "/containers/{}/kill", "signal"),
    Endpoint("POST", "/containers/{}/pause"),
    Endpoint("POST", "/containers/{}/unpause"),
    Endpoint("POST", "/containers/{}/rename", "name"),
    Endpoint("POST", "/containers/{}/resize", "h w"),
    Endpoint("POST", "/containers/{}/update", "", (UpdateConfig,)),
    Endpoint("POST", "/containers/{}/exec", "", (ExecConfig,)),
    Endpoint("POST", "/exec/{}/start", "", (ExecConfig,)),
    Endpoint("POST", "/exec/{}/resize", "h w"),
    Endpoint("GET", "/exec/{}/json"),
    Endpoint("GET", "/images/json", "all filters digests shared-size filter"),
    Endpoint("GET", "/images/{}/json", "platform manifests"),
    Endpoint("GET", "/images/{}/history", "platform"),
    Endpoint("GET", "/images/{}/removal", "force noprune"),
    Endpoint("GET", "/images/{}/attestations", "platform type statement"),
    *(
        Endpoint("GET", f"{place}/explorer/{question}", parameters)
        for place in ("/images/{}", "/containers/{}")
        for question, parameters in EXPLORER_QUESTIONS.items()
    ),
    Endpoint("GET", "/images/{}/get", "platform"),
    Endpoint("GET", "/images/get", "names"),
    Endpoint("POST", "/images/{}/tag", "repo tag"),
    Endpoint("POST", "/images/load", "quiet platform", bytes),
    Endpoint("POST", "/images/create", "repo tag message platform changes", bytes, always="fromSrc=-"),
    Endpoint("POST", "/commit", "container repo tag comment author pause changes", (Config,)),
    Endpoint(
        "POST",
        "/build",
        "t q nocache nocachestages explain verify call keepfailed allow memory memswap shmsize labels buildargs "
        "networkmode ulimits cacheimports cacheexports",
        bytes,
    ),
    Endpoint("POST", "/images/{}/squash", "how base t"),
    Endpoint("POST", "/build/content/{}", "size missing", bytes),
    Endpoint("GET", "/build/content/{}"),
    Endpoint("GET", "/build/mounts", "name"),
    Endpoint("PUT", "/build/mounts", "name", bytes),
    Endpoint("DELETE", "/build/mounts", "name"),
    Endpoint("GET", "/build/history"),
    Endpoint("POST", "/build/history", "", (BuildRecord,)),
    Endpoint("GET", "/build/history/{}"),
    Endpoint("DELETE", "/build/history/{}"),
    Endpoint("POST", "/build/prune", "all filters keep-storage reserved-space max-used-space min-free-space"),
    Endpoint("GET", "/networks", "filters"),
    Endpoint("GET", "/networks/{}", "verbose scope"),
    Endpoint("POST", "/networks/create", "", (NetworkBody,)),
    Endpoint("POST", "/networks/{}/connect", "", (Connection, EndpointConfig)),
    Endpoint("POST", "/networks/{}/disconnect", "", (Connection,)),
    Endpoint("POST", "/networks/prune", "filters"),
    Endpoint("GET", "/volumes", "filters"),
    Endpoint("GET", "/volumes/{}"),
    Endpoint("POST", "/volumes/create", "", (VolumeBody,)),
    Endpoint("DELETE", "/volumes/{}", "force"),
    Endpoint("POST", "/volumes/prune", "filters"),
    Endpoint("GET", "/plugins", "filters"),
    Endpoint("GET", "/plugins/{}/json"),
    Endpoint("DELETE", "/plugins/{}", "force"),
)  # fmt: skip

_BARE = "it has no parameters"
_DELETES = "it deletes what the other requests are about"
_OUTSIDE = "it asks a registry"
_REFUSED = "it is refused, whatever it holds"
_WAITS = "it waits for a container or for its client"
NOT_FUZZED = {
    "GET /_ping": _BARE,
    "HEAD /_ping": _BARE,
    "GET /version": _BARE,
    "DELETE /containers/{}": _DELETES,
    "DELETE /images/{}": _DELETES,
    "DELETE /networks/{}": _DELETES,
    "POST /images/prune": _DELETES,
    "GET /distribution/{}/json": _OUTSIDE,
    "GET /distribution/{}/tags": _OUTSIDE,
    "GET /distribution/{}/manifest": _OUTSIDE,
    "GET /distribution/{}/config": _OUTSIDE,
    "GET /registries/{}/repositories": _OUTSIDE,
    **{f"GET /distribution/{{}}/explorer/{question}": _OUTSIDE for question in EXPLORER_QUESTIONS},
    "GET /images/search": _OUTSIDE,
    "POST /auth": _OUTSIDE,
    "POST /images/{}/push": _OUTSIDE,
    "POST /containers/{}/attach": _WAITS,
    "GET /containers/{}/attach/ws": _WAITS,
    "GET /exec/{}/start/ws": _WAITS,
    "POST /containers/{}/wait": _WAITS,
    "GET /plugins/privileges": _REFUSED,
    "POST /dashboard/links": _BARE,
    "POST /build/cancel": "it only looks whether there is an ID",
    "POST /plugins/create": _REFUSED,
    "POST /plugins/pull": _REFUSED,
    "POST /grpc": "it becomes HTTP/2, which tests/daemon/buildkit/test_rpc.py attacks",
    "POST /session": "it becomes HTTP/2, which tests/hostile/test_build_sessions.py attacks",
}
"""The endpoints that get no odd requests, and why."""


@dataclass
class Fuzzer:
    """Makes requests. `targets` are what the places of paths mostly hold, `image` is what containers are made of."""

    targets: tuple[str, ...]
    image: str
    dice: random.Random
    archive: bytes = b""

    def requests(self, count: int) -> Iterator[tuple[str, str, bytes | None]]:
        """Method, target and body of each."""
        for number in range(count):
            endpoint = ENDPOINTS[number % len(ENDPOINTS)]
            yield endpoint.method, self._target(endpoint), self._body(endpoint)

    def _target(self, endpoint: Endpoint) -> str:
        place = self.dice.choice(self.targets if self.dice.random() < 0.8 else _PLACES)
        words = [endpoint.always] if endpoint.always else []
        for name in endpoint.query.split():
            if self.dice.random() < 0.5:
                words.append(f"{name}={quote(self._parameter(name), safe='')}")
        version = self.dice.choice(("", "/v1.24", "/v1.41", "/v1.53"))
        return version + endpoint.path.format(place) + (f"?{'&'.join(words)}" if words else "")

    def _parameter(self, name: str) -> str:
        if name == "t":
            return self.dice.choice(("0", "1", "-5", "x", "1.5", "UPPER", "tag:1"))
        if name == "filters":
            keys = ("label", "name", "id", "until", "dangling", "status", "before", "type", "bogus", "reference")
            return json.dumps({self.dice.choice(keys): self.dice.choice((*_ODD, ["a"], {"a": True}, [_TEXTS[7]]))})
        return str(self.dice.choice((*_TEXTS, *_NUMBERS, "1", "1")))

    def _body(self, endpoint: Endpoint) -> bytes | None:
        if endpoint.body is None:
            return b"" if endpoint.method in ("POST", "PUT") else None
        if endpoint.body is bytes:
            return self.dice.choice((b"", b"x", self.dice.randbytes(600), self.archive, self.archive[:700]))
        raw = json.dumps(self._document(endpoint)).encode()
        kind = self.dice.random()
        if kind < 0.04:
            return raw[: self.dice.randrange(len(raw))]
        return b"[" * self.dice.choice((200, 20_000)) if kind < 0.06 else raw

    def _document(self, endpoint: Endpoint) -> Any:
        parts = [cast(dict[str, Any], self._like(types.type_info(part))) for part in endpoint.body]
        document = parts[0]
        for name, part in zip(("HostConfig", "NetworkingConfig"), parts[1:], strict=False):
            document["EndpointConfig" if endpoint.body[0] is Connection else name] = part
        for _ in range(self.dice.choice((0, 1, 1, 2))):
            document = self._spoiled(document)
        if "create" in endpoint.path and isinstance(document, dict) and self.dice.random() < 0.9:
            document |= {"Image": self.image}
        return document

    def _like(self, kind: types.Type, depth: int = 0) -> Any:
        """A value of the type, with the members of objects now and then left out."""
        match kind:
            case types.StructType():
                chosen = [f for f in kind.fields if self.dice.random() < 4 / (len(kind.fields) + 4)]
                return {f.encode_name: self._like(f.type, depth + 1) for f in chosen}
            case types.DictType():
                return {self.dice.choice(_TEXTS): self._like(kind.value_type, depth + 1)}
            case types.VarTupleType() | types.ListType():
                return [self._like(kind.item_type, depth + 1) for _ in range(self.dice.choice((0, 1, 1, 2)))]
            case types.TupleType():
                return [self._like(item, depth + 1) for item in kind.item_types]
            case types.UnionType():
                return self._like(self.dice.choice(kind.types), depth)
            case types.BoolType():
                return self.dice.random() < 0.5
            case types.IntType():
                return self.dice.choice(_NUMBERS)
            case types.StrType():
                return self.dice.choice(_TEXTS)
        return deepcopy(self.dice.choice(_ODD))

    def _spoiled(self, document: Any) -> Any:
        """The document with one value, at whatever depth, in place of another."""
        box = [document]
        spots: list[Callable[[Any], None]] = []
        todo: list[Any] = [box]
        while todo:
            inside = todo.pop()
            for key, value in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
                spots.append(partial(setitem, inside, key))
                if isinstance(value, dict | list):
                    todo.append(value)
        self.dice.choice(spots)(deepcopy(self.dice.choice((*_ODD, *_TEXTS, *_NUMBERS))))
        return box[0]
