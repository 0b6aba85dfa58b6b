"""The registry as a cache of another one, and the hooks that hear of pushes and pulls."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import bcrypt

from lamina.credentials import Credentials
from lamina.distribution import RegistryClient, pull, push
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.store.store import Store
from support.registries import Raw, Start, make_image, patient


def test_a_cache_fetches_once_and_serves_when_upstream_is_gone(
    start: Start, store: Store, other_store: Store, tmp_path: Path
) -> None:
    (tmp_path / "htpasswd").write_text(f"ann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    (tmp_path / "password").write_text("secret\n")
    origin = start(auth={"htpasswd": str(tmp_path / "htpasswd"), "mode": "token"})
    upstream = {
        "domain": origin.address,
        "prefix": "up",
        "username": "ann",
        "password-file": str(tmp_path / "password"),
    }
    cache = start(upstreams=[upstream | {"fresh-seconds": 0.0}])
    config, layers = make_image(store, 700_000, 10)
    with RegistryClient(patient(), lambda key: Credentials("ann", "secret")) as client, store.lease():
        pushed = push(Reference.parse(f"{origin.address}/a/b:1"), config, layers, store, ignore, client=client)
    with RegistryClient(patient()) as client, other_store.lease():
        name = Reference.parse(f"{cache.address}/up/a/b:1")
        assert pull(name, None, other_store, ignore, client=client).manifest.digest == pushed.digest
        origin.stop()
        repository = client.repository(name)
        assert repository.manifest("1").digest == pushed.digest
        manifest = repository.manifest(pushed.digest)
        assert isinstance(manifest, Manifest)
        assert all(repository.has_blob(layer.digest) for layer in manifest.layers)
    with closing(Raw(cache.address)) as raw:
        answer = raw("POST", "/v2/up/a/b/blobs/uploads/", b"")
        assert (answer.status, answer.code) == (405, "UNSUPPORTED")
        assert raw("POST", "/v2/own/blobs/uploads/", b"").status == 202
        assert raw("GET", "/v2/up/a/b/manifests/2").status == 503


def test_hooks_hear_of_pushes_pulls_and_deletes_in_order(start: Start, tmp_path: Path) -> None:
    heard: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.put((self.headers["X-Lamina-Signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    (tmp_path / "secret").write_text("k")
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        running = start(
            hooks=[{"url": url, "events": ["push", "pull", "delete"], "secret-file": str(tmp_path / "secret")}]
        )
        with closing(Raw(running.address)) as raw:
            image = raw.push_image("a", "v1", "x")
            raw("HEAD", "/v2/a/manifests/v1")
            raw("GET", "/v2/a/manifests/v1")
            raw("DELETE", "/v2/a/manifests/v1")
        events = []
        for _ in range(3):
            signature, body = heard.get(timeout=20)
            assert signature == "sha256=" + hmac.new(b"k", body, hashlib.sha256).hexdigest()
            events.append(json.loads(body))
        server.shutdown()
        thread.join()
    assert [(e["action"], e["repository"]) for e in events] == [("push", "a"), ("pull", "a"), ("delete", "a")]
    assert events[0]["digest"] == str(image.digest)
    assert events[0]["tags"] == ["v1"]
    assert (events[1]["digest"], events[1]["reference"]) == (str(image.digest), "v1")
