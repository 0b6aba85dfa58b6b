"""Registries that want something of their clients: their credentials, their place in the network, their memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, repeat

import pytest

from lamina.cancellation import NEVER
from lamina.credentials import Credentials
from lamina.distribution import RegistryClient, Retry, Settings, pull, pull_all, search
from lamina.distribution.addresses import check_literal
from lamina.distribution.auth import authorize
from lamina.distribution.copy import copy
from lamina.distribution.headers import parse_challenges
from lamina.distribution.layer_push import BytesSource
from lamina.distribution.pools import Pools
from lamina.distribution.transport import MAX_BODY
from lamina.distribution.upload import mount, upload
from lamina.errors import Corrupt, Forbidden, InvalidInput, LaminaError, NotFound, TooLarge, Unauthorized
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_FOREIGN_LAYER, OCI_LAYER, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.store.store import Store
from support.registries import patient
from support.scripted import Reply, Request, Scripted, scripted

SECRET = Credentials("ann", "secret")
BLOB = b"the blob"
DIGEST = Digest.of(BLOB)
METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
NO_PLACES = [
    METADATA,
    "http://[fe80::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://0.0.0.0:1/",
    "http://[::]:1/",
    "http://224.0.0.1/",
]
NO_URLS = ["file:///etc/passwd", "gopher://127.0.0.1/", "http://[::1", "http://127.0.0.1:99999999/", "data:,x"]


def client_of(*, known: bool = True) -> RegistryClient:
    return RegistryClient(patient(), lambda key: SECRET if known else None)


def name_at(server: Scripted, path: str = "a:1") -> Reference:
    return Reference.parse(f"{server.address}/{path}")


def read_blob(client: RegistryClient, server: Scripted) -> bytes:
    return client.repository(name_at(server)).open_blob(DIGEST).read()


def push_blob(client: RegistryClient, server: Scripted) -> None:
    source = BytesSource(BLOB, DIGEST)
    upload(client.repository(name_at(server)), source, lambda done: None, NEVER)


@pytest.mark.parametrize("status", [302, 307])
def test_downloads_are_not_sent_to_what_is_no_registrys(status: int) -> None:
    said = {"Location": ""}
    with scripted(lambda request: Reply(status, dict(said))) as server, client_of() as client:
        for said["Location"] in NO_PLACES + NO_URLS:
            with pytest.raises((Forbidden, InvalidInput)):
                read_blob(client, server)


@pytest.mark.parametrize("target", [METADATA, "http://[fe80::1]/", "http://0.0.0.0:1/", *NO_URLS])
def test_uploads_and_lists_and_layers_are_not_either(target: str, other_store: Store) -> None:
    layer = Descriptor(OCI_FOREIGN_LAYER, DIGEST, len(BLOB), urls=(target,))
    config = ImageConfig.build(diff_ids=[DIGEST])
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [layer])

    def answer(request: Request) -> Reply:
        if "/manifests/" in request.path:
            return Reply(200, {"Content-Type": manifest.media_type}, manifest.raw)
        if str(manifest.config.digest) in request.path:
            return Reply(200, {}, config.raw)
        if "/tags/" in request.path:
            return Reply(200, {"Link": f'<{target}>; rel="next"'}, b'{"tags":["1"]}')
        return Reply(202, {"Location": target}) if request.method == "POST" else Reply(404)

    with scripted(answer) as server, client_of() as client, other_store.lease():
        with pytest.raises((Forbidden, InvalidInput)):
            push_blob(client, server)
        with pytest.raises((Forbidden, InvalidInput)):
            list(client.repository(name_at(server)).tags())
        with pytest.raises(LaminaError):
            pull(name_at(server), None, other_store, ignore, client=client)
        assert not mount(client.repository(name_at(server)), DIGEST, "b")


def test_a_name_is_judged_by_the_address_it_leads_to() -> None:
    """What a name leads to may change between a look and a connection, so the connection itself is looked at."""
    with scripted(lambda request: Reply(200, {}, b"a service of this machine")) as server:
        port = server.server.server_port
        pools = Pools(Settings())
        url = f"http://localhost:{port}/"
        manager = pools.for_url(url, sent_by="192.0.2.1")
        with pytest.raises(Forbidden, match=r"elsewhere sends its clients to (127\.0\.0\.1|::1)"):
            manager.request("GET", url)
        assert server.heard == []
        answer = pools.for_url(url, sent_by="127.0.0.1").request("GET", url)  # a registry that is here itself
        assert answer.data == b"a service of this machine"
        pools.close()


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1", "minio.internal"])
def test_object_stores_of_a_private_network_are_fine(address: str) -> None:
    check_literal(address, here=False)


def test_credentials_stay_at_the_registry() -> None:
    """Neither a download nor an upload nor a list that goes on elsewhere takes them along."""

    def take(request: Request) -> Reply:
        request.read(request.length)
        return Reply(201 if request.method == "PUT" else 202, {}, BLOB)

    with scripted(take) as elsewhere:

        def answer(request: Request) -> Reply:
            if "Authorization" not in request.headers:
                return Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
            there = f"http://{elsewhere.address}/x"
            if request.method == "POST":
                return Reply(202, {"Location": there})
            if "/tags/" in request.path:
                return Reply(200, {"Link": f'<{there}>; rel="next"'}, b'{"tags":["1"]}')
            return Reply(307, {"Location": there})

        with scripted(answer) as server, client_of() as client:
            push_blob(client, server)
            with pytest.raises(LaminaError):
                read_blob(client, server)
            with pytest.raises(InvalidInput, match="continues a list at another place"):
                list(client.repository(name_at(server)).tags())
            assert any("Authorization" in request.headers for request in server.heard)
    assert {request.method for request in elsewhere.heard} == {"PATCH", "PUT", "GET"}
    assert not any("Authorization" in request.headers for request in elsewhere.heard)


def test_a_password_goes_to_no_token_server_without_tls() -> None:
    offered = parse_challenges('Bearer realm="http://auth.example/token",service="x"')
    for credentials in (SECRET, Credentials(identity_token="refresh"), None):
        with pytest.raises(Unauthorized, match="does not speak TLS"):
            next(authorize(offered, credentials, ["repository:a:pull"]))
    assert next(authorize(offered, SECRET, [], plain=True)).url.startswith("http://auth.example/")


def test_token_servers_are_no_other_services() -> None:
    said = {"WWW-Authenticate": ""}
    with scripted(lambda request: Reply(401, dict(said))) as server, client_of() as client:
        for realm in NO_PLACES + NO_URLS:
            said["WWW-Authenticate"] = f'Bearer realm="{realm}",service="x"'
            with pytest.raises((Forbidden, InvalidInput, Unauthorized)):
                read_blob(client, server)
            with pytest.raises((Forbidden, InvalidInput, Unauthorized)):
                client.login(server.address, SECRET)
        assert not any("Authorization" in request.headers for request in server.heard)


def endless(piece: bytes = b"x" * 65536) -> Iterator[bytes]:
    return repeat(piece)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("verb", ["manifest", "tags", "referrers", "config", "login", "search", "upload", "head"])
def test_answers_without_end_are_not_read_to_it(verb: str, status: int) -> None:
    """Each reader has its bound, and what is beyond it is not even taken from the network."""
    with scripted(lambda request: Reply(status, {"Location": "/x"}, endless())) as server, impatient() as client:
        repository = client.repository(name_at(server))
        work: dict[str, Callable[[], object]] = {
            "manifest": lambda: repository.manifest("1"),
            "tags": lambda: list(repository.tags()),
            "referrers": lambda: repository.referrers(DIGEST),
            "config": lambda: repository.small_blob(Descriptor(OCI_CONFIG, DIGEST, len(BLOB))),
            "login": lambda: client.login(server.address, SECRET),
            "search": lambda: search(client, f"{server.address}/x"),
            "upload": lambda: push_blob(client, server),
            "head": lambda: repository.has_blob(DIGEST),
        }
        with suppress(LaminaError):
            work[verb]()
        assert server.sent < len(server.heard) * (MAX_BODY + (8 << 20))  # and what was on its way


def test_an_answer_is_not_unpacked() -> None:
    """Nobody asked for a Content-Encoding: a bomb stays what it is."""
    bomb = zlib.compress(b"\0" * (64 << 20))
    encoded = {"Content-Encoding": "deflate"}
    with scripted(lambda request: Reply(200, encoded, bomb)) as server, client_of() as client:
        assert read_blob(client, server) == bomb


ODD_LISTS: dict[str, Callable[[int], str]] = {
    "in a circle": lambda n: "/v2/a/tags/list?n=1000",
    "between two": lambda n: f"/v2/a/tags/list?page={n % 2}",
    "without end": lambda n: f"/v2/a/tags/list?page={n}",
}


@pytest.mark.parametrize("odd", ODD_LISTS)
def test_lists_that_do_not_end_are_given_up(odd: str) -> None:
    numbers = count()
    page = json.dumps({"tags": ["t" * 100] * 20_000}).encode()

    def answer(request: Request) -> Reply:
        return Reply(200, {"Link": f'<{ODD_LISTS[odd](next(numbers))}>; rel="next"'}, page)

    with scripted(answer) as server, client_of() as client:
        with pytest.raises((InvalidInput, TooLarge), match=r"circle|without end"):
            for _ in client.repository(name_at(server)).tags():
                pass
        assert len(server.heard) < 60


ODD_DOCUMENTS = [
    b"[" * 100_000,
    b'{"tags":' * 50_000,
    b'{"tags":5,"errors":5,"repositories":{},"token":5}',
    b'{"tags":[5],"errors":[5],"token":"x","expires_in":"never"}',
    b'{"errors":[{"code":[],"message":{}}],"token":"\\u2028","access_token":"\\u00fc"}',
    b'{"token":"x","expires_in":' + b"9" * 5000 + b"}",
    b'{"token":"x","issued_at":"9999999-13-99","expires_in":1e999}',
    b"\xff\xfe",
    b"null",
    b"",
]
ODD_HEADERS = {
    "Content-Length": ["\xb2", "9" * 5000, "-1", "0x10"],
    "Retry-After": ["9" * 400, "-5", "nan", "Mon, 99 Jan 99999 99:99:99 GMT", "\xb2"],
    "Docker-Content-Digest": ["sha256:x", "md5:" + "0" * 32, ":" * 5000],
    "Location": ["http://[", "\xff\xfe", "http://a:b@:0/", "?" * 5000],
    "Range": ["0-" + "9" * 5000, "9-0", "\xb2-\xb3"],
    "Link": ["<http://[>; rel=next", "<" * 5000, '<>; rel="next"'],
    "OCI-Chunk-Min-Length": ["9" * 5000, "\xb2"],
    "WWW-Authenticate": ['Bearer realm="http://["', "=" * 5000, 'Bearer realm="', "Basic, Bearer, ,", "\xb2"],
}


STATUSES = (200, 307, 401, 416, 429)


def everything(client: RegistryClient, server: Scripted) -> None:
    """Every verb; whatever goes wrong is one of our errors."""
    repository = client.repository(name_at(server))
    verbs: list[Callable[[], object]] = [
        lambda: repository.manifest("1"),
        lambda: list(repository.tags()),
        lambda: list(client.catalog(server.address)),
        lambda: repository.referrers(DIGEST),
        lambda: repository.describe_blob(DIGEST),
        lambda: repository.open_blob(DIGEST, 3).close(),
        lambda: push_blob(client, server),
        lambda: mount(repository, DIGEST, "b"),
        lambda: client.login(server.address, SECRET),
        lambda: search(client, f"{server.address}/x"),
    ]
    for verb in verbs:
        try:
            verb()
        except LaminaError:
            continue


@pytest.mark.parametrize("document", ODD_DOCUMENTS, ids=range(len(ODD_DOCUMENTS)))
def test_odd_documents_end_in_our_errors(document: bytes) -> None:
    statuses = [200]

    def answer(request: Request) -> Reply:
        request.read(request.length)
        realm = f'Bearer realm="http://{server.address}/token"'
        if request.path.startswith("/token"):
            return Reply(200, {}, document)
        return Reply(statuses[0], {"WWW-Authenticate": realm, "Location": "/v2/x"}, document)

    with scripted(answer) as server, impatient() as client:
        for statuses[0] in STATUSES:
            everything(client, server)


@pytest.mark.parametrize("name", ODD_HEADERS)
def test_odd_headers_end_in_our_errors(name: str) -> None:
    statuses, headers = [200], {"Location": "/v2/x", name: ""}

    def answer(request: Request) -> Reply:
        request.read(request.length)
        return Reply(statuses[0], dict(headers), b"{}")

    with scripted(answer) as server, impatient() as client:
        for value in ODD_HEADERS[name]:
            headers[name] = value
            for statuses[0] in STATUSES:
                everything(client, server)


def impatient() -> RegistryClient:
    settings = patient(read_timeout=0.5, retry=Retry(attempts=2, first=0.001, longest=1.0))
    return RegistryClient(settings, lambda key: SECRET)


def image_server(manifest: Manifest | Index, *others: bytes) -> Callable[[Request], Reply]:
    known = {str(Digest.of(raw)): raw for raw in others}

    def answer(request: Request) -> Reply:
        last = request.path.rpartition("/")[2]
        if "/referrers/" in request.path:
            return Reply(404)
        if last in ("1", str(manifest.digest)):
            return Reply(200, {"Content-Type": manifest.media_type}, manifest.raw)
        return Reply(200, {}, known[last]) if last in known else Reply(404)

    return answer


def test_a_layer_larger_than_an_image_may_be_is_not_begun(other_store: Store) -> None:
    config = ImageConfig.build(diff_ids=[DIGEST])
    huge = Descriptor(OCI_LAYER, DIGEST, 1 << 60)
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [huge])
    with scripted(image_server(manifest, config.raw, BLOB)) as server, client_of() as client, other_store.lease():
        with pytest.raises(TooLarge):
            pull(name_at(server), None, other_store, ignore, client=client)
    assert not any(str(DIGEST) in request.path for request in server.heard)


@pytest.mark.parametrize("sent", [b"THE BLOB", b"the blob and more", endless()])
def test_other_bytes_than_the_digest_says_are_not_kept(other_store: Store, sent: bytes | Iterator[bytes]) -> None:
    config = ImageConfig.build(diff_ids=[DIGEST])
    layer = Descriptor(OCI_LAYER, DIGEST, len(BLOB))
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [layer])
    images = image_server(manifest, config.raw)

    def answer(request: Request) -> Reply:
        return Reply(200, {}, sent) if str(DIGEST) in request.path else images(request)

    def take(request: Request) -> Reply:
        request.read(request.length)
        place = {"Location": f"http://{request.headers['Host']}/v2/b/blobs/uploads/1"}
        return Reply({"HEAD": 404, "PUT": 201}.get(request.method, 202), place)

    with scripted(answer) as server, scripted(take) as goal, client_of() as client, other_store.lease():
        with pytest.raises(Corrupt):
            pull(name_at(server), None, other_store, ignore, client=client)
        with pytest.raises(Corrupt):
            copy(name_at(server), name_at(goal), ignore, client=client)
        finished = [request.path for request in goal.heard if request.method == "PUT"]
    assert not any(str(DIGEST) in path or "/manifests/" in path for path in finished)
    assert not other_store.blobs.has(DIGEST)


def test_an_index_that_unfolds_without_end_is_given_up(other_store: Store) -> None:
    config = ImageConfig.build(platform=Platform.host())
    image = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [])
    inner = Index.build([image.descriptor] * 60)
    outer = Index.build([inner.descriptor] * 60)
    answer = image_server(outer, inner.raw, image.raw, config.raw)
    with scripted(answer) as server, client_of() as client, other_store.lease():
        with pytest.raises(TooLarge, match="more than 100 images"):
            pull_all(name_at(server), other_store, ignore, client=client)
    assert len(server.heard) < 200


def test_a_missing_image_is_missing_whatever_a_mirror_says(other_store: Store) -> None:
    """A mirror has no last word, and hears no credentials of the registry."""
    with (
        scripted(lambda request: Reply(200, {"Content-Type": "text/html"}, b"<html>")) as mirror,
        scripted(lambda request: Reply(404)) as origin,
        RegistryClient(
            patient(mirrors={origin.address: (f"http://{mirror.address}",)}),
            lambda key: SECRET if key == origin.address else None,
        ) as client,
        other_store.lease(),
    ):
        with pytest.raises(NotFound):
            pull(name_at(origin), None, other_store, ignore, client=client)
        assert mirror.heard
        assert not any("Authorization" in request.headers for request in mirror.heard)
