"""Large blobs that clients fetch from elsewhere: a registry may answer with a signed URL of its object store."""

from __future__ import annotations

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bcrypt
import pytest
import urllib3

from lamina.distribution import Credentials, RegistryClient, pull, push
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.store.store import Store
from support.registries import Raw, Running, Start, make_image, patient
from support.seaweed import SeaweedServer

LARGE, SMALL = bytes(range(256)) * 400, b"lives in the database"
BASIC = "Basic " + b64encode(b"ann:secret").decode()


@pytest.fixture
def redirecting(start: Start, seaweed: SeaweedServer, bucket: str, tmp_path: Path) -> Running:
    """A registry for ann alone, with its blobs in an object store that serves them itself."""
    (tmp_path / "htpasswd").write_bytes(b"ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    return start(storage=seaweed.url(bucket), redirect=True, auth={"htpasswd": str(tmp_path / "htpasswd")})


@pytest.mark.peer
def test_what_the_object_store_serves_is_named_by_a_url_that_needs_no_credentials(redirecting: Running) -> None:
    with closing(Raw(redirecting.address)) as raw, urllib3.PoolManager() as anyone:
        large = raw.push_blob("a", LARGE, Authorization=BASIC)
        answer = raw("GET", f"/v2/a/blobs/{large}", Authorization=BASIC)
        assert (answer.status, answer.headers["Docker-Content-Digest"]) == (307, str(large))
        assert anyone.request("GET", answer.headers["Location"]).data == LARGE
        part = anyone.request("GET", answer.headers["Location"], headers={"Range": "bytes=10-70000"})
        assert (part.status, part.data) == (206, LARGE[10:70001])
        assert raw("HEAD", f"/v2/a/blobs/{large}", Authorization=BASIC).headers["Content-Length"] == str(len(LARGE))
        assert raw("GET", f"/v2/a/blobs/{large}").status == 401

        small = raw.push_blob("a", SMALL, Authorization=BASIC)
        answer = raw("GET", f"/v2/a/blobs/{small}", Authorization=BASIC)
        assert (answer.status, answer.body) == (200, SMALL)

        place = raw("POST", "/v2/a/blobs/uploads/", b"", Authorization=BASIC).headers["Location"]
        for piece in (LARGE, LARGE):
            place = raw("PATCH", place, piece, Authorization=BASIC).headers["Location"]
        twice = Digest.of(LARGE * 2)
        assert raw("PUT", f"{place}?digest={twice}", b"", Authorization=BASIC).status == 201
        answer = raw("GET", f"/v2/a/blobs/{twice}", Authorization=BASIC)
        assert (answer.status, answer.body) == (200, LARGE * 2)  # two objects, which no URL names


@pytest.mark.peer
def test_images_come_through_redirects(redirecting: Running, store: Store, other_store: Store) -> None:
    config, layers = make_image(store, len(LARGE))
    name = Reference.parse(f"{redirecting.address}/a:1")
    with RegistryClient(patient(), lambda key: Credentials("ann", "secret")) as client:
        with store.lease():
            push(name, config, layers, store, ignore, client=client)
        with other_store.lease():
            pulled = pull(name, None, other_store, ignore, client=client)
            assert pulled.layers[0].tar.read_bytes() == layers[0].tar.read_bytes()


def test_credentials_stay_with_the_registry_that_redirects() -> None:
    heard: list[tuple[bool, str | None]] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The registry sends who says their name to the other server, which gives the blob."""
            first, known = self.server is registry, self.headers["Authorization"]
            heard.append((first, known))
            body = b"" if first else SMALL
            self.send_response((307 if known else 401) if first else 200)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Location", f"http://127.0.0.1:{other.server_port}/blob")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            return

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as registry,
        ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other,
        ThreadPoolExecutor(2) as threads,
        RegistryClient(patient(), lambda key: Credentials("ann", "secret")) as client,
        ExitStack() as ends,
    ):
        for server in (registry, other):
            threads.submit(server.serve_forever, 0.01)
            ends.callback(server.shutdown)
        name = Reference.parse(f"127.0.0.1:{registry.server_port}/a")
        assert client.repository(name).open_blob(Digest.of(SMALL)).read() == SMALL
    assert (True, BASIC) in heard
    assert [known for first, known in heard if not first] == [None]
