"""Docker's `config.json`: which credentials belong to a registry. Only the helper concerned is called.

Order, as Docker's: `credHelpers` for this registry, then `credsStore`, then `auths`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lamina.distribution.client.auth import Credentials
from lamina.distribution.client.settings import HUB_KEY
from lamina.errors import InvalidInput, Unavailable
from lamina.formats.document import decode_object
from lamina.formats.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

HELPER_SECONDS = 60.0
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"


def registry_key(server: str) -> str:
    """The key under which credentials for `server` (a domain or URL) are kept."""
    host = urlsplit(server if "://" in server else f"//{server}").netloc or server
    return HUB_KEY if host in (DEFAULT_DOMAIN, LEGACY_DOMAIN, "registry-1.docker.io") else host


class CredentialFile:
    """One `config.json`. Reads it anew for each question, so a login elsewhere counts at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, server: str) -> Credentials | None:
        """The credentials for a registry, or None. Raises InvalidInput for a broken file, Unavailable for a helper."""
        document, key = self._read(), registry_key(server)
        if helper := self._helper(document, key):
            return helper_get(helper, key)
        auths = document.get("auths") or {}
        entry = auths.get(key) or next((auths[k] for k in auths if registry_key(k) == key), None)
        return _from_entry(entry, key) if isinstance(entry, Mapping) else None

    def store(self, server: str, credentials: Credentials) -> str | None:
        """Keep credentials; gives the helper's name, or None where they went into the file itself, hardly hidden."""
        document, key = self._read(), registry_key(server)
        helper = self._helper(document, key)
        if helper:
            helper_store(helper, key, credentials)
        auths = document.setdefault("auths", {})
        auths[key] = {} if helper else _to_entry(credentials)
        self._write(document)
        return helper

    def erase(self, server: str) -> bool:
        """Forget the credentials for a registry; False where there were none."""
        document, key = self._read(), registry_key(server)
        if helper := self._helper(document, key):
            helper_erase(helper, key)
        found = [k for k in document.get("auths") or {} if registry_key(k) == key]
        for name in found:
            del document["auths"][name]
        if found:
            self._write(document)
        return bool(found)

    def _read(self) -> dict[str, Any]:
        try:
            return decode_object(self.path.read_bytes(), f"file {self.path}")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be read: {error.strerror}") from error

    def _write(self, document: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file, indent="\t")
            file.write("\n")
        temporary.replace(self.path)

    def _helper(self, document: Mapping[str, Any], key: str) -> str | None:
        helpers = document.get("credHelpers") or {}
        named = helpers.get(key) or (helpers.get(DEFAULT_DOMAIN) if key == HUB_KEY else None)
        return named or document.get("credsStore") or None


def helper_get(helper: str, key: str) -> Credentials | None:
    """What `docker-credential-<helper> get` knows of `key`."""
    try:
        document = json.loads(_call(helper, "get", key))
        username, secret = str(document["Username"]), str(document["Secret"])
    except _HelperSaysNo:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"docker-credential-{helper} gave an answer that is not understood") from error
    return Credentials(identity_token=secret) if username == _TOKEN_USER else Credentials(username, secret)


def helper_store(helper: str, key: str, credentials: Credentials) -> None:
    """Hand credentials to `docker-credential-<helper> store`."""
    username = _TOKEN_USER if credentials.identity_token else credentials.username
    secret = credentials.identity_token or credentials.password
    _call(helper, "store", json.dumps({"ServerURL": key, "Username": username, "Secret": secret}))


def helper_erase(helper: str, key: str) -> None:
    """Make `docker-credential-<helper>` forget `key`; fine where it knew nothing."""
    try:
        _call(helper, "erase", key)
    except _HelperSaysNo:
        return


class _HelperSaysNo(Exception):
    """The helper works, and has nothing under this key."""


def _call(helper: str, action: str, text: str) -> str:
    program = f"docker-credential-{helper}"
    if not helper or "/" in helper:
        raise InvalidInput(f"{helper!r} is not the name of a credential helper")
    try:
        done = subprocess.run([program, action], input=text, text=True, capture_output=True, timeout=HELPER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "did not answer" if isinstance(error, subprocess.TimeoutExpired) else "cannot be run"
        raise Unavailable(f"The credential helper {program} {reason}", advice="Is it installed and in PATH?") from error
    if done.returncode == 0:
        return done.stdout
    if _NOT_FOUND in done.stdout + done.stderr:  # the one message that the helpers' protocol fixes
        raise _HelperSaysNo
    raise Unavailable(f"The credential helper {program} failed with status {done.returncode}")


def _from_entry(entry: Mapping[str, Any], key: str) -> Credentials | None:
    identity, registry = str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            pair = base64.b64decode(str(entry["auth"])).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidInput(f"The credentials kept for {key} are damaged", advice="Log in again.") from error
        username, _, password = pair.partition(":")
        password = password.rstrip("\0")
    found = Credentials(username, password, identity, registry)
    return None if found == Credentials() else found


def _to_entry(credentials: Credentials) -> dict[str, str]:
    pair = f"{credentials.username}:{credentials.password}".encode()
    entry = {"auth": base64.b64encode(pair).decode()}
    return entry | ({"identitytoken": credentials.identity_token} if credentials.identity_token else {})
