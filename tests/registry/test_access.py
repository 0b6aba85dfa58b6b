"""Who may do what: users and grants, tokens, TLS, and a catalog that shows each user their own."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import bcrypt
import pytest

from lamina.distribution import Credentials, RegistryClient, pull, push
from lamina.errors import Forbidden, InvalidInput, LaminaError, Unauthorized
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.store.store import Store
from support.registries import Raw, Running, Start, make_certificate, make_image, patient

GRANTS = [
    {"users": ["ann"], "repositories": ["**"], "actions": ["*"]},
    {"users": ["bob"], "repositories": ["team/*"], "actions": ["pull", "push"]},
    {"users": ["anonymous"], "repositories": ["public/**"], "actions": ["pull"]},
]


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    lines = [f"{u}:{bcrypt.hashpw(p.encode(), bcrypt.gensalt(4)).decode()}\n" for u, p in (("ann", "a"), ("bob", "b"))]
    path.write_text("# users\n" + "".join(lines))
    return path


@pytest.fixture(params=["basic", "token"])
def guarded(request: pytest.FixtureRequest, start: Start, htpasswd: Path) -> Running:
    return start(auth={"htpasswd": str(htpasswd), "mode": request.param, "grants": GRANTS})


def as_user(name: str, password: str) -> RegistryClient:
    return RegistryClient(patient(), lambda key: Credentials(name, password) if name else None)


def test_each_user_may_do_what_is_granted(guarded: Running, store: Store, other_store: Store) -> None:
    config, layers = make_image(store, 1000)

    def try_push(client: RegistryClient, name: str) -> type[LaminaError] | None:
        try:
            push(Reference.parse(f"{guarded.address}/{name}:1"), config, layers, store, ignore, client=client)
        except LaminaError as error:
            return type(error)
        return None

    with as_user("ann", "a") as ann, as_user("bob", "b") as bob, as_user("", "") as nobody, store.lease():
        assert try_push(ann, "public/x") is None
        assert try_push(bob, "team/x") is None
        assert try_push(bob, "public/x") is Forbidden
        assert try_push(bob, "team/deep/x") is Forbidden
        assert try_push(nobody, "public/x") is Unauthorized
        with other_store.lease():
            public = Reference.parse(f"{guarded.address}/public/x:1")
            assert pull(public, None, other_store, ignore, client=nobody).config == config
            with pytest.raises(Unauthorized, match="Pull access denied"):
                pull(Reference.parse(f"{guarded.address}/team/x:1"), None, other_store, ignore, client=nobody)
        repository = bob.repository(Reference.parse(f"{guarded.address}/team/x"))
        with pytest.raises(Forbidden, match="bob may not delete team/x"):
            repository.transport.request("DELETE", repository.url("manifests", "1"), repository.pushing)
        assert list(bob.catalog(guarded.address)) == ["public/x", "team/x"]


def test_logins_are_checked(guarded: Running) -> None:
    with RegistryClient(patient()) as client:
        assert client.login(guarded.address, Credentials("ann", "a")).username == "ann"
        with pytest.raises(Unauthorized) as caught:
            client.login(guarded.address, Credentials("ann", "wr0ng"))
    assert "wr0ng" not in str(caught.value) + repr(caught.value.facts)


def test_a_mount_needs_the_right_to_pull_from_the_source(guarded: Running, store: Store) -> None:
    config, layers = make_image(store, 1000)
    with as_user("ann", "a") as ann, as_user("bob", "b") as bob, store.lease():
        push(Reference.parse(f"{guarded.address}/secret/x:1"), config, layers, store, ignore, client=ann)
        manifest = ann.repository(Reference.parse(f"{guarded.address}/secret/x")).manifest("1")
        assert isinstance(manifest, Manifest)
        digest = manifest.config.digest
        team = bob.repository(Reference.parse(f"{guarded.address}/team/x"))
        url = f"/v2/team/x/blobs/uploads/?mount={digest}"
        for source in ("", "&from=secret/x"):
            team.transport.request("POST", url + source, team.pushing, accept=(202,))
        assert not team.has_blob(digest)


def test_tokens_run_out_and_are_good_for_one_registry(start: Start, htpasswd: Path, tmp_path: Path) -> None:
    auth = {"htpasswd": str(htpasswd), "mode": "token", "token-seconds": -60}
    expired, other = start(auth=auth), start(auth=auth | {"token-seconds": 60})
    with closing(Raw(expired.address)) as raw, closing(Raw(other.address)) as fresh:
        user = "Basic YW5uOmE="
        scope = "/token?scope=repository:a:push"
        old = json.loads(raw("GET", scope, Authorization=user).body)["token"]
        new = json.loads(fresh("GET", scope, Authorization=user).body)["token"]
        answer = raw("POST", "/v2/a/blobs/uploads/", b"", Authorization=f"Bearer {old}")
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
        assert 'scope="repository:a:pull,push"' in raw("POST", "/v2/a/blobs/uploads/", b"").headers["WWW-Authenticate"]
        assert raw("POST", "/v2/a/blobs/uploads/", b"", Authorization=f"Bearer {new}").status == 401
        assert fresh("POST", "/v2/a/blobs/uploads/", b"", Authorization=f"Bearer {new}").status == 202
        assert fresh("POST", "/v2/b/blobs/uploads/", b"", Authorization=f"Bearer {new}").status == 401
        assert fresh("GET", "/token", Authorization="Basic YW5uOng=").status == 401
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.endswith(',scope="repository:a:pull,push",error="invalid_token"')
        refused = fresh("GET", "/v2/b/tags/list", Authorization=f"Bearer {new}").headers["WWW-Authenticate"]
        assert refused.endswith(',scope="repository:b:pull",error="insufficient_scope"')


def test_who_looks_for_a_blob_is_offered_the_right_to_send_it(start: Start, htpasswd: Path) -> None:
    """Some clients send with the token they looked with."""
    with closing(Raw(start(auth={"htpasswd": str(htpasswd), "mode": "token"}).address)) as raw:
        challenge = raw("HEAD", f"/v2/a/blobs/{Digest.of(b'')}").headers["WWW-Authenticate"]
        assert challenge.endswith(',scope="repository:a:pull,push"')
        challenge = raw("GET", f"/v2/a/blobs/{Digest.of(b'')}").headers["WWW-Authenticate"]
        assert challenge.endswith(',scope="repository:a:pull"')


def test_passwords_can_change_while_it_runs(start: Start, htpasswd: Path) -> None:
    with closing(Raw(start(auth={"htpasswd": str(htpasswd)}).address)) as raw:
        assert raw("GET", "/v2/", Authorization="Basic YW5uOmE=").status == 200
        htpasswd.write_text(f"zoe:{bcrypt.hashpw(b'z', bcrypt.gensalt(4)).decode()}\n")
        assert raw("GET", "/v2/", Authorization="Basic YW5uOmE=").status == 401
        assert raw("GET", "/v2/", Authorization="Basic em9lOno=").status == 200
        assert raw("GET", "/v2/").headers["WWW-Authenticate"].startswith("Basic ")


def test_tls_with_a_private_ca(start: Start, store: Store, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    running = start(tls={"certificate": str(certificate), "key": str(key)})
    config, layers = make_image(store, 500_000)
    reference = Reference.parse(f"{running.address}/a:1")
    trusted = tmp_path / "certs.d" / running.address
    trusted.mkdir(parents=True)
    (trusted / "ca.crt").write_bytes(certificate.read_bytes())
    with RegistryClient(patient(certificates=(tmp_path / "certs.d",))) as client, store.lease():
        pushed = push(reference, config, layers, store, ignore, client=client)
        assert client.repository(reference).manifest("1").digest == pushed.digest
        assert client.registry(running.address).endpoint.base.startswith("https:")


def test_the_catalog_shows_what_a_user_may_see_page_by_page(start: Start, htpasswd: Path) -> None:
    running = start(auth={"htpasswd": str(htpasswd), "grants": GRANTS})
    ann, bob = ({"Authorization": "Basic " + b64encode(pair).decode()} for pair in (b"ann:a", b"bob:b"))
    with closing(Raw(running.address)) as raw:
        for name in ("aaa", "other/a", "team/a", "team/b", "team/c", "zzz"):
            raw.push_blob(name, b"x", **ann)
        seen, path = [], "/v2/_catalog?n=1"
        while path:
            page = raw("GET", path, **bob)
            seen.append(json.loads(page.body)["repositories"])
            path = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert seen == [["team/a"], ["team/b"], ["team/c"]]


@pytest.mark.parametrize("mode", ["basic", "token"])
def test_metrics_are_for_whom_the_settings_say(start: Start, htpasswd: Path, mode: str) -> None:
    ann = {"Authorization": "Basic YW5uOmE="}

    def statuses(**settings: str) -> tuple[int, int]:
        running = start(auth={"htpasswd": str(htpasswd), "mode": mode}, **settings)
        with closing(Raw(running.address)) as raw:
            known = ann
            if mode == "token":
                known = {"Authorization": f"Bearer {json.loads(raw('GET', '/token', **ann).body)['token']}"}
            return raw("GET", "/metrics").status, raw("GET", "/metrics", **known).status

    assert statuses() == statuses(metrics="anyone") == (200, 200)
    assert statuses(metrics="users") == (401, 200)
    assert statuses(metrics="nobody") == (404, 404)
    with pytest.raises(InvalidInput, match="there are no users without it"):
        start(metrics="users")
