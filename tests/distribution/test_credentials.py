"""Credentials as Docker's clients keep them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from lamina.credentials import CredentialFile, Credentials
from lamina.errors import InvalidInput, Unavailable

HELPER = """#!/usr/bin/env python3
import json, pathlib, sys
store = pathlib.Path(__file__).with_name("kept.json")
kept = json.loads(store.read_text()) if store.exists() else {}
given = sys.stdin.read()
if sys.argv[1] == "store":
    entry = json.loads(given)
    kept[entry["ServerURL"]] = entry
elif sys.argv[1] == "list":
    print(json.dumps({key: entry["Username"] for key, entry in kept.items()}))
elif given.strip() not in kept:
    print("credentials not found in native keychain")
    sys.exit(1)
elif sys.argv[1] == "get":
    print(json.dumps(kept[given.strip()]))
else:
    del kept[given.strip()]
store.write_text(json.dumps(kept))
"""


def helper(folder: Path, name: str, script: str) -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_only_the_helper_concerned_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, "good", """read key; echo '{"ServerURL":"'$key'","Username":"u","Secret":"'$key'"}'""")
    helper(tmp_path, "bad", f"touch {tmp_path}/called; exit 1")
    helper(tmp_path, "empty", "echo 'credentials not found in native keychain'; exit 1")
    helper(tmp_path, "token", """echo '{"Username":"<token>","Secret":"refresh"}'""")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    config = tmp_path / "config.json"
    helpers = {"good.example": "good", "empty.example": "empty", "token.example": "token"}
    config.write_text(json.dumps({"credHelpers": helpers, "credsStore": "bad"}))
    file = CredentialFile(config)
    assert file.get("good.example") == Credentials("u", "good.example")
    assert file.get("empty.example") is None
    assert file.get("token.example") == Credentials(identity_token="refresh")
    assert not (tmp_path / "called").exists()
    with pytest.raises(Unavailable):
        file.get("other.example")
    assert (tmp_path / "called").exists()


def test_logins_are_kept_found_and_forgotten(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "new" / "config.json")
    assert file.get("registry.example") is None
    file.store("registry.example", Credentials("me", "pass:word"))
    file.store("docker.io", Credentials("hub", "x"))
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.get("https://registry.example/v1/") == Credentials("me", "pass:word")
    assert "https://index.docker.io/v1/" in json.loads(file.path.read_text())["auths"]
    assert file.get("registry-1.docker.io") == Credentials("hub", "x")
    assert file.erase("registry.example")
    assert not file.erase("registry.example")
    assert file.get("registry.example") is None


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"config\.json"):
        CredentialFile(tmp_path / "config.json").get("x")


@pytest.mark.parametrize("entry", [{"auth": "!!!"}, {"auth": "bm9jb2xvbg=="}, 5])
def test_a_damaged_entry_is_named(tmp_path: Path, entry: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"reg.example": entry}}))
    with pytest.raises(InvalidInput, match=r"kept for reg\.example"):
        CredentialFile(tmp_path / "config.json").get("reg.example")


def test_all_that_is_known_comes_from_file_and_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(
        tmp_path,
        "all",
        """case $1 in list) echo '{"b.example": "u"}' ;; *) echo '{"Username":"u","Secret":"s"}' ;; esac""",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    pair = base64.b64encode(b"ada:pa:ss").decode()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {"https://a.example/v1/": {"auth": pair}}}))
    assert CredentialFile(config).all() == {"https://a.example/v1/": Credentials("ada", "pa:ss")}
    config.write_text(json.dumps({"auths": {}, "credsStore": "all"}))
    assert CredentialFile(config).all() == {"b.example": Credentials("u", "s")}


def test_what_is_not_understood_in_the_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.json"
    target.write_text('{"x": 1}')
    (tmp_path / "config.json").symlink_to(target)
    CredentialFile(tmp_path / "config.json").store("reg.example", Credentials("me", identity_token="T"))
    assert json.loads(target.read_text())["x"] == 1
    assert CredentialFile(target).get("reg.example") == Credentials("me", identity_token="T")


def test_helpers_that_fail_are_quoted_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, "locked", "echo 'the keychain is locked'; exit 1")
    helper(tmp_path, "leaky", "cat; exit 1")
    helper(tmp_path, "odd", "echo []")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = CredentialFile(tmp_path / "config.json")
    for name, words in (
        ("locked", "keychain is locked"),
        ("leaky", "status 1"),
        ("odd", "not understood"),
        ("none", "not installed"),
    ):
        file.path.write_text(json.dumps({"credsStore": name}))
        attempt = file.all if name == "odd" else lambda: file.store("reg.example", Credentials("me", "hunter2"))
        with pytest.raises(Unavailable, match=words) as raised:
            attempt()
        assert "hunter2" not in str(raised.value)


def test_a_helper_keeps_and_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = CredentialFile(tmp_path / "config.json")
    file.path.write_text('{"credHelpers": {"reg.example.com": "test"}, "credsStore": "nosuch"}')
    assert file.get("reg.example.com") is None
    assert file.store("reg.example.com", Credentials("ada", "secret")) == "test"
    assert file.get("reg.example.com") == Credentials("ada", "secret")
    assert "secret" not in file.path.read_text()
    assert file.erase("reg.example.com")
    assert not file.erase("reg.example.com")
    with pytest.raises(Unavailable, match="docker-credential-nosuch"):
        file.get("other.example.com")
