"""Secrets that were left behind are found in files of every layer, in variables and in instructions."""

from __future__ import annotations

import time

import pytest

from lamina.explorer.explorer import Explorer
from lamina.explorer.secret_rules import CONTENT_RULES, FILE_RULES, assignments, is_secret_variable
from lamina.formats.config import History, ImageConfig, RunConfig
from support.gallery import Gallery

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n" * 3
HEX = b"0123456789abcdefghijABCDEFGHIJ012345"

FILES = [
    ("root/.ssh/id_ed25519", KEY, "private-key"),
    ("etc/ssl/key.pem", KEY.replace(b"OPENSSH ", b""), "private-key"),
    ("srv/app.json", b'{"k": "AKIAABCDEFGHIJKLMNOP"}', "aws-access-key"),
    ("root/.aws/credentials", b"[default]\naws_secret_access_key = abc\n", "aws-credentials"),
    ("root/.netrc", b"machine a login b password c\n", "netrc"),
    ("root/.git-credentials", b"https://me:pass@example.com\n", "git-credentials"),
    ("root/.npmrc", b"//registry.npmjs.org/:_authToken=abc\n", "npmrc"),
    ("root/.pypirc", b"[pypi]\nusername = a\npassword = b\n", "pypirc"),
    ("root/.docker/config.json", b'{"auths": {"x": {"auth": "abc"}}}', "docker-config"),
    ("root/.kube/config", b"users:\n- user:\n    client-key-data: abc\n", "kube-config"),
    ("root/.pgpass", b"host:5432:db:me:pass\n", "pgpass"),
    ("srv/.env", b"A=1\nDB_PASSWORD=abc\n", "dotenv"),
    ("etc/shadow", b"root:$6$salt$hash:1::::::\n", "shadow"),
    ("srv/ci.yml", b"token: ghp_" + HEX, "github-token"),
    ("srv/npm.txt", b"npm_" + HEX, "npm-token"),
    ("srv/pypi.txt", b"pypi-AgEIcHlwaS5vcmc" + b"A" * 60, "pypi-token"),
]
HARMLESS = [
    ("root/.npmrc", b"//registry.npmjs.org/:_authToken=${NPM_TOKEN}\nregistry=https://x\n"),
    ("root/.docker/config.json", b'{"auths": {"x": {}}, "credsStore": "pass"}'),
    ("etc/shadow", b"root:*:1::::::\ndaemon:!:1::::::\n"),
    ("usr/lib/libcrypto.so", b"\0-----BEGIN RSA PRIVATE KEY-----\0-----END RSA PRIVATE KEY-----\0"),
    ("etc/ssl/cert.pem", b"-----BEGIN CERTIFICATE-----\n" + b"A" * 64),
    ("srv/.env", b"TOKEN=\nPASSWORD=$OTHER\nNAME=x\n"),
    ("root/.aws/config", b"[default]\nregion = eu\n"),
]


@pytest.mark.parametrize(("path", "content", "rule"), FILES, ids=[path for path, _, _ in FILES])
def test_a_file_with_a_secret_is_told_with_its_layer(
    gallery: Gallery, explorer: Explorer, path: str, content: bytes, rule: str
) -> None:
    gallery.image({"a": b"1"}, {path: content}, names=["x"])
    (secret,) = explorer.secrets("x")
    assert (secret.where, secret.name, secret.rule, secret.layer) == ("file", f"/{path}", rule, 1)
    assert (secret.created_by, secret.hidden_by) == ("STEP 1", None)
    assert secret.reason.startswith("the file holds ")


@pytest.mark.parametrize(("path", "content"), HARMLESS, ids=[path for path, _ in HARMLESS])
def test_a_file_without_a_secret_is_not_told(gallery: Gallery, explorer: Explorer, path: str, content: bytes) -> None:
    gallery.image({path: content}, names=["x"])
    assert explorer.secrets("x") == ()


def test_a_removed_secret_is_in_the_image_all_the_same(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"root/.netrc": b"#\n\nmachine a password b\n"}, {"b": b""}, {"root/.wh..netrc": b""}, names=["x"])
    (secret,) = explorer.secrets("x")
    assert (secret.layer, secret.hidden_by, secret.line) == (0, 2, 3)


def test_variables_and_instructions_are_searched_and_values_never_told(gallery: Gallery, explorer: Explorer) -> None:
    token = f"ghp_{HEX.decode()}"
    steps = (
        History("2024-05-06T07:08:09Z", f"RUN |1 KEY={token} /bin/sh -c make"),
        History("2024-05-06T07:08:09Z", "ENV DB_PASSWORD=hunter2", empty_layer=True),
    )
    with gallery.store.lease():
        layer = gallery.layer({"a": b"1"})
        run = RunConfig(env=("PATH=/bin", "DB_PASSWORD=hunter2", "GPG_KEY=ABC", "TOKEN_FILE=/run/secrets/t"))
        image = gallery.images.create(ImageConfig.build(config=run, diff_ids=[layer.diff_id], history=steps))
    secrets = explorer.secrets(str(image.id))
    assert [(secret.where, secret.name, secret.layer) for secret in secrets] == [
        ("env", "DB_PASSWORD", None),
        ("history", "KEY", 0),
        ("history", "DB_PASSWORD", None),
    ]
    assert all(token not in s.reason and "hunter2" not in s.reason + s.name for s in secrets)


def test_names_of_variables() -> None:
    assert is_secret_variable("AWS_SECRET_ACCESS_KEY", "x")
    assert is_secret_variable("npm_token", "x")
    assert not is_secret_variable("MONKEY", "x")
    assert not is_secret_variable("TOKEN", "$OTHER")
    assert not is_secret_variable("PASSWORD_FILE", "x")
    assert list(assignments("ARG A=1 B=\"two words\" && C='x' export D=")) == [
        ("A", "1"),
        ("B", '"two words"'),
        ("C", "'x'"),
    ]


def test_hostile_texts_take_linear_time() -> None:
    """Each rule meets texts that make patterns go back; twice the text may not take four times as long."""
    pieces = [
        b"\n",
        b" ",
        b"PASSWORD",
        b"a:",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"password ",
        b'"token"',
        b"A_",
        b"=",
        b"_auth ",
    ]

    def steps(text: bytes) -> float:
        started = time.process_time()
        for rule in (*CONTENT_RULES, *FILE_RULES):
            rule.pattern.search(text)
        return time.process_time() - started

    for piece in pieces:
        assert steps(piece * (200_000 // len(piece))) < 20, piece
