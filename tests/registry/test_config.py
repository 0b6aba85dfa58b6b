"""The registry's settings: what is misspelt is named, and every key has an effect that a test shows."""

from __future__ import annotations

import ast
import json
import ssl
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import get_args

import bcrypt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lamina.errors import InvalidInput
from lamina.registry.auth.tokens import key_id
from lamina.registry.config import Config, Struct, load, parse
from lamina.registry.proxy_cache import upstream_settings
from support.registries import Raw, Start, make_certificate
from support.spawned import Spawned
from support.waiting import eventually

ANN = {"Authorization": "Basic YW5uOmE="}

EFFECTS = {
    "listen": "test_config.py::test_where_it_listens",
    "root": "test_collect.py::test_verify_finds_what_is_damaged",
    "storage": "test_redirects.py::test_images_come_through_redirects",
    "database": "test_replicas.py::test_an_upload_goes_on_where_another_replica_ended",
    "tls.certificate": "test_access.py::test_tls_with_a_private_ca",
    "tls.key": "test_access.py::test_tls_with_a_private_ca",
    "tls.client-ca": "test_config.py::test_clients_show_a_certificate",
    "auth.htpasswd": "test_access.py::test_passwords_can_change_while_it_runs",
    "auth.mode": "test_access.py::test_tokens_run_out_and_are_good_for_one_registry",
    "auth.realm": "test_config.py::test_tokens_are_made_as_the_settings_say",
    "auth.service": "test_config.py::test_tokens_are_made_as_the_settings_say",
    "auth.signing-key": "test_config.py::test_tokens_are_made_as_the_settings_say",
    "auth.token-seconds": "test_access.py::test_tokens_run_out_and_are_good_for_one_registry",
    "auth.grants.users": "test_access.py::test_each_user_may_do_what_is_granted",
    "auth.grants.repositories": "test_access.py::test_each_user_may_do_what_is_granted",
    "auth.grants.actions": "test_access.py::test_each_user_may_do_what_is_granted",
    "upstreams.domain": "test_proxy_cache.py::test_a_cache_fetches_once_and_serves_when_upstream_is_gone",
    "upstreams.prefix": "test_proxy_cache.py::test_a_cache_fetches_once_and_serves_when_upstream_is_gone",
    "upstreams.username": "test_proxy_cache.py::test_a_cache_fetches_once_and_serves_when_upstream_is_gone",
    "upstreams.password-file": "test_proxy_cache.py::test_a_cache_fetches_once_and_serves_when_upstream_is_gone",
    "upstreams.fresh-seconds": "test_config.py::test_a_fresh_tag_is_not_asked_for_again",
    "upstreams.insecure": "test_config.py::test_an_upstream_without_tls_must_be_named_so",
    "retention.repositories": "test_config.py::test_retention_is_applied_to_the_repositories_it_names",
    "retention.keep-tags": "test_collect.py::test_retention_rules",
    "retention.keep-newest": "test_collect.py::test_retention_rules",
    "retention.keep-pulled-days": "test_collect.py::test_retention_counts_days_from_the_last_pull",
    "retention.keep-pushed-days": "test_collect.py::test_retention_rules",
    "retention.untagged": "test_collect.py::test_retention_rules",
    "hooks.url": "test_proxy_cache.py::test_hooks_hear_of_pushes_pulls_and_deletes_in_order",
    "hooks.events": "test_proxy_cache.py::test_hooks_hear_of_pushes_pulls_and_deletes_in_order",
    "hooks.secret-file": "test_proxy_cache.py::test_hooks_hear_of_pushes_pulls_and_deletes_in_order",
    "immutable-tags": "test_immutable_tags.py::test_deleting_the_manifest_does_not_free_the_tag",
    "quotas": "test_quotas.py::test_unfinished_uploads_count",
    "read-only": "test_config.py::test_nothing_is_written_where_only_reading_is_allowed",
    "redirect": "test_redirects.py::test_what_the_object_store_serves_is_named_by_a_url_that_needs_no_credentials",
    "sparse": "test_server.py::test_what_may_be_missing_is_a_setting",
    "manifest-limit": "test_config.py::test_the_largest_manifest",
    "grace": "test_config.py::test_it_collects_by_itself",
    "upload-seconds": "test_quotas.py::test_what_expires_gives_its_room_back",
    "collect-every": "test_config.py::test_it_collects_by_itself",
    "head-timeout": "test_limits.py::test_a_request_that_does_not_go_on_is_refused_in_time",
    "body-timeout": "test_limits.py::test_a_body_that_only_drips_is_refused",
    "access-log": "test_server.py::test_the_access_log_is_json_without_secrets",
    "allowed-hosts": "../hostile/test_browsers.py::test_a_registry_is_called_by_its_names",
    "allowed-origins": "test_config.py::test_a_web_page_may_be_allowed",
    "metrics": "test_access.py::test_metrics_are_for_whom_the_settings_say",
}


def keys(kind: type[Struct] = Config, path: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        inner = [
            part for part in (field.type, *get_args(field.type)) if isinstance(part, type) and issubclass(part, Struct)
        ]
        if inner:
            yield from keys(inner[0], f"{path}{field.encode_name}.")
        else:
            yield f"{path}{field.encode_name}"


def test_every_key_has_a_test_of_its_effect() -> None:
    assert set(keys()) == set(EFFECTS)
    for place in set(EFFECTS.values()):
        file, _, name = place.partition("::")
        tree = ast.parse((Path(__file__).parent / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("roots = 'x'", r"there is no key 'roots'\. Did you mean root\? The keys are access-log, allowed-hosts, "),
        ("xyzzy = 1", r"there is no key 'xyzzy'\. The keys are access-log, .* and upstreams\."),
        ("[auth]\nhtpaswd = 'x'", r"registry.toml, auth: there is no key 'htpaswd'\. Did you mean htpasswd\?"),
        (
            "[[auth.grants]]\nuser = ['x']",
            r"auth\.grants: .* 'user'\. Did you mean users\? .* repositories and users\.",
        ),
        ("[[retention]]\nkeep-tag = ['x']", r"retention: .* Did you mean keep-tags\?"),
        ("[tls]\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'x'", r"tls: .* Did you mean client-ca\?"),
        ("metrics = 'all'", "metrics must be anyone, users or nobody, not 'all'"),
        ("sparse = 'some'", "sparse must be all, children or none, not 'some'"),
        ("quotas = 7", "quotas"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "registry.toml").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        load(tmp_path / "registry.toml")


def test_where_it_listens(start: Start) -> None:
    assert start(listen="127.0.0.2:0").address.startswith("127.0.0.2:")


def test_clients_show_a_certificate(start: Start, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    tls = {"certificate": str(certificate), "key": str(key), "client-ca": str(certificate)}
    host, _, port = start(tls=tls).address.rpartition(":")

    def status(shown: bool) -> int:
        context = ssl.create_default_context(cafile=certificate)
        if shown:
            context.load_cert_chain(certificate, key)
        with closing(HTTPSConnection(host, int(port), context=context, timeout=30)) as connection:
            connection.request("GET", "/v2/")
            return connection.getresponse().status

    assert status(True) == 200
    with pytest.raises(OSError):  # TLS 1.3 tells of it only when something is read
        status(False)


def test_tokens_are_made_as_the_settings_say(start: Start, tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{bcrypt.hashpw(b'a', bcrypt.gensalt(4)).decode()}\n")
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    auth = {"htpasswd": str(tmp_path / "users"), "mode": "token", "signing-key": str(tmp_path / "key.pem")}
    named = {"realm": "https://auth.example/token", "service": "ours"}
    with closing(Raw(start(auth=auth | named).address)) as raw, closing(Raw(start(auth=auth).address)) as other:
        challenge = raw("GET", "/v2/").headers["WWW-Authenticate"]
        assert challenge == 'Bearer realm="https://auth.example/token",service="ours"'
        token = json.loads(raw("GET", "/token", **ANN).body)["token"]
        assert raw("GET", "/v2/", Authorization=f"Bearer {token}").status == 200
        assert other("GET", "/v2/", Authorization=f"Bearer {token}").status == 401  # another service, the same key
        header = json.loads(urlsafe_b64decode(token.split(".")[0] + "=="))
        assert header["kid"] == key_id(key.public_key())


def test_a_fresh_tag_is_not_asked_for_again(start: Start) -> None:
    origin = start()
    caches = [
        start(upstreams=[{"domain": origin.address, "prefix": "up", "fresh-seconds": fresh}]) for fresh in (3600.0, 0.0)
    ]
    with closing(Raw(origin.address)) as there:
        first = there.push_image("a", "v1", "first")
        with closing(Raw(caches[0].address)) as patient, closing(Raw(caches[1].address)) as eager:
            for here in (patient, eager):
                assert here("GET", "/v2/up/a/manifests/v1").body == first.raw
            second = there.push_image("a", "v1", "second")
            assert patient("GET", "/v2/up/a/manifests/v1").body == first.raw
            assert eager("GET", "/v2/up/a/manifests/v1").body == second.raw


def test_an_upstream_without_tls_must_be_named_so() -> None:
    def insecure(**more: object) -> bool:
        document = {"upstreams": [{"domain": "plain.example"} | more]}
        return upstream_settings(parse(document, "the test").upstreams[0]).is_insecure("plain.example")

    assert not insecure()
    assert insecure(insecure=True)


def test_a_web_page_may_be_allowed(start: Start) -> None:
    with closing(Raw(start(allowed_origins=["https://ui.example"]).address)) as raw:
        assert raw("GET", "/v2/", Origin="https://ui.example").status == 200
        assert raw("GET", "/v2/", Origin="https://other.example").status == 403


def test_nothing_is_written_where_only_reading_is_allowed(start: Start, tmp_path: Path) -> None:
    first = start(root=tmp_path / "root")
    with closing(Raw(first.address)) as raw:
        image = raw.push_image("a", "v1", "x")
    first.stop()
    with closing(Raw(start(root=tmp_path / "root", read_only=True).address)) as raw:
        assert raw("GET", "/v2/a/manifests/v1").body == image.raw
        writes = [
            ("PUT", "/v2/a/manifests/v2"),
            ("DELETE", "/v2/a/manifests/v1"),
            ("DELETE", f"/v2/a/blobs/{image.layers[0].digest}"),
            ("POST", "/v2/a/blobs/uploads/"),
        ]
        assert {raw(method, path, b"").status for method, path in writes} == {405}


def test_the_largest_manifest(start: Start) -> None:
    with closing(Raw(start(manifest_limit=400).address)) as raw:
        kind = "application/vnd.oci.image.index.v1+json"
        small, large = (b'{"schemaVersion":2,"manifests":[]' + b" " * size + b"}" for size in (0, 400))
        assert raw("PUT", "/v2/a/manifests/t", small, Content_Type=kind).status == 201
        assert raw("PUT", "/v2/a/manifests/t", large, Content_Type=kind).status == 413


def test_it_collects_by_itself(tmp_path: Path) -> None:
    with Spawned(tmp_path / "root", grace=0.0, collect_every=0.1) as running, closing(Raw(running.address)) as raw:
        kept, gone = raw.push_image("a", "kept", "k"), raw.push_image("a", "gone", "g")
        raw("DELETE", "/v2/a/manifests/gone")
        assert raw("DELETE", f"/v2/a/manifests/{gone.digest}").status == 202
        eventually(lambda: raw("HEAD", f"/v2/a/blobs/{gone.layers[0].digest}").status == 404)
        assert raw("HEAD", f"/v2/a/blobs/{kept.layers[0].digest}").status == 200


def test_retention_is_applied_to_the_repositories_it_names(tmp_path: Path) -> None:
    """Nobody has to call for it: a registry that runs applies its rules before it collects."""
    rules = [{"repositories": ["b"], "keep-tags": ["v*"]}]
    with Spawned(tmp_path / "root", retention=rules, collect_every=0.1) as running:
        with closing(Raw(running.address)) as raw:
            for repository in ("a", "b"):
                raw.push_image(repository, "v1", "kept")
                raw.push_image(repository, "nightly", "gone")
            eventually(lambda: raw("GET", "/v2/b/manifests/nightly").status == 404)
            assert raw("GET", "/v2/b/manifests/v1").status == 200
            assert raw("GET", "/v2/a/manifests/nightly").status == 200
