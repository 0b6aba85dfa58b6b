"""Who one is at registries: credentials as values, and Docker's `config.json`, in which clients keep them.

Order, as Docker's: `credHelpers` for the registry, then `credsStore`, then `auths`. Only the helper concerned is asked.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field

from lamina.errors import InvalidInput, Unavailable
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

HUB_KEY = "https://index.docker.io/v1/"  # under which Docker's clients keep the credentials for docker.io
HELPER_SECONDS = 60.0
_HUB = ("", "docker.io", "index.docker.io", "registry-1.docker.io")
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"
_LONGEST_QUOTE = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks: a name and password, or an identity (refresh) token, or a ready registry token. Never shown by repr."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


def registry_key(server: str) -> str:
    """Return the key of the credentials for `server`, which is a domain or URL. "" means Docker Hub."""
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return HUB_KEY if host in _HUB else host


class CredentialFile:
    """One `config.json`. Reads it anew for each question, so a login elsewhere counts at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, server: str) -> Credentials | None:
        """Return the credentials for a registry, or None. Raise InvalidInput (damaged file) or Unavailable (helper)."""
        return self._get(self._read(), registry_key(server))

    def all(self) -> dict[str, Credentials]:
        """Return all credentials by their registries, for a build, which may pull from any registry."""
        document = self._read()
        names = {*_member(document, "auths"), *_member(document, "credHelpers")}
        if store := document.get("credsStore"):
            names |= _parsed(store, _call(store, "list", "") or "{}").keys()
        by_name = {name: self._get(document, registry_key(name)) for name in sorted(names)}
        return {name: credentials for name, credentials in by_name.items() if credentials is not None}

    def store(self, server: str, credentials: Credentials) -> str | None:
        """Store credentials. Return the helper's name, or None if they went unencrypted into the file itself."""
        document, key = self._read(), registry_key(server)
        helper = _helper(document, key)
        if helper:
            helper_store(helper, key, credentials)
        document["auths"] = {**_member(document, "auths"), key: {} if helper else _to_entry(credentials)}
        self._write(document)
        return helper

    def erase(self, server: str) -> bool:
        """Delete the credentials for a registry. Return False if there were none."""
        document, key = self._read(), registry_key(server)
        was_known = False
        if helper := _helper(document, key):
            was_known = helper_get(helper, key) is not None
            if was_known:
                helper_erase(helper, key)
        auths = _member(document, "auths")
        remaining = {name: entry for name, entry in auths.items() if registry_key(name) != key}
        if len(remaining) < len(auths):
            document["auths"] = remaining
            self._write(document)
        return was_known or len(remaining) < len(auths)

    def _get(self, document: Mapping[str, Any], key: str) -> Credentials | None:
        if helper := _helper(document, key):
            return helper_get(helper, key)
        auths = _member(document, "auths")
        entry = auths.get(key) or next((auths[name] for name in auths if registry_key(name) == key), None)
        return _from_entry(entry, key) if entry else None

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{self.path} is not valid JSON: {error}") from error
        if not isinstance(document, dict):
            raise InvalidInput(f"{self.path} holds no JSON object")
        return document

    def _write(self, document: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file, indent="\t")
            file.write("\n")
        temporary.replace(self.path.resolve())


def helper_get(helper: str, key: str) -> Credentials | None:
    """Return the credentials that `docker-credential-<helper> get` knows for `key`, or None."""
    try:
        document = _parsed(helper, _call(helper, "get", key))
        username, secret = str(document["Username"]), str(document["Secret"])
    except _HelperSaysNo:
        return None
    except KeyError as error:
        raise _misunderstood(helper) from error
    return Credentials(identity_token=secret) if username == _TOKEN_USER else Credentials(username, secret)


def helper_store(helper: str, key: str, credentials: Credentials) -> None:
    """Hand credentials to `docker-credential-<helper> store`."""
    username = _TOKEN_USER if credentials.identity_token else credentials.username
    secret = credentials.identity_token or credentials.password
    _call(helper, "store", json.dumps({"ServerURL": key, "Username": username, "Secret": secret}), secret)


def helper_erase(helper: str, key: str) -> None:
    """Make `docker-credential-<helper>` forget `key`. Ignore a helper that does not know it."""
    try:
        _call(helper, "erase", key)
    except _HelperSaysNo:
        return


class _HelperSaysNo(Exception):
    """The helper works, and has nothing under this key."""


def _call(helper: str, action: str, text: str, secret: str = "") -> str:
    import subprocess  # milliseconds that only those with a helper have to spend

    program = f"docker-credential-{helper}"
    if not helper or "/" in helper:
        raise InvalidInput(f"{helper!r} is not the name of a credential helper")
    advice = "Install it, or take it out of config.json."
    try:
        done = subprocess.run([program, action], input=text, text=True, capture_output=True, timeout=HELPER_SECONDS)
    except FileNotFoundError as error:
        raise Unavailable(f"The credential helper {program} is not installed", advice=advice) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"The credential helper {program} did not answer") from error
    except OSError as error:
        raise Unavailable(f"The credential helper {program} cannot be run: {error.strerror}", advice=advice) from error
    if done.returncode == 0:
        return done.stdout
    if _NOT_FOUND in done.stdout + done.stderr:  # the one message that the helpers' protocol fixes
        raise _HelperSaysNo
    complaint = _quotable(done.stdout.strip() or done.stderr.strip(), secret)
    raise Unavailable(f"The credential helper {program} failed: {complaint or f'status {done.returncode}'}")


def _quotable(output: str, secret: str) -> str:
    """Return the first line of a helper's output, or "" if it may contain a secret."""
    line = output.partition("\n")[0][:_LONGEST_QUOTE]
    return "" if '"Secret"' in line or (secret and secret in line) else line


def _parsed(helper: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _misunderstood(helper) from error
    if not isinstance(document, dict):
        raise _misunderstood(helper)
    return document


def _misunderstood(helper: str) -> Unavailable:
    return Unavailable(f"The credential helper docker-credential-{helper} gave an answer that is not understood")


def _member(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _helper(document: Mapping[str, Any], key: str) -> str | None:
    helpers = _member(document, "credHelpers")
    named = helpers.get(key) or (helpers.get("docker.io") if key == HUB_KEY else None)
    name = named or document.get("credsStore")
    return str(name) if name else None


def _from_entry(entry: object, key: str) -> Credentials | None:
    damaged = InvalidInput(f"The credentials kept for {key} are damaged", advice="Log in again.")
    if not isinstance(entry, dict):
        raise damaged
    texts = {name: str(entry.get(name) or "") for name in ("username", "password", "identitytoken", "registrytoken")}
    if entry.get("auth"):
        try:
            pair = base64.b64decode("".join(str(entry["auth"]).split()), validate=True).decode()
        except ValueError as error:
            raise damaged from error
        texts["username"], colon, password = pair.partition(":")
        texts["password"] = password.rstrip("\0")
        if not colon:
            raise damaged
    credentials = Credentials(*texts.values())
    return None if credentials == Credentials() else credentials


def _to_entry(credentials: Credentials) -> dict[str, str]:
    pair = f"{credentials.username}:{credentials.password}".encode()
    entry = {"auth": base64.b64encode(pair).decode()}
    return entry | ({"identitytoken": credentials.identity_token} if credentials.identity_token else {})
