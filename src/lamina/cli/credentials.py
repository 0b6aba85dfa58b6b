"""Credentials of registries as Docker's clients keep them: `credHelpers`, then `credsStore`, then `auths`."""

from __future__ import annotations

import base64
import json
from typing import Any

from lamina.cli.config import ConfigFile
from lamina.errors import InvalidInput, NotFound, Unavailable

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
NOT_FOUND = "credentials not found"  # what the helper protocol says, on stdout, where it has none
TOKEN_USER = "<token>"

Auth = dict[str, str]


def registry_of(reference: str) -> str:
    """The registry a reference names: what stands before the first slash, where it looks like a host."""
    first, slash, _ = reference.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    host = first if is_host else HUB
    return HUB if host == "index.docker.io" else host


def key_of(registry: str) -> str:
    """The name under which credentials are kept: Hub's is a URL, of others the host."""
    host = registry.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return HUB_KEY if host in (HUB, "index.docker.io", "registry-1.docker.io", "") else host


class Credentials:
    """Reads and keeps credentials for one configuration file."""

    def __init__(self, config: ConfigFile) -> None:
        self._config = config

    def get(self, registry: str) -> Auth | None:
        """What is known for a registry: username and password, or identitytoken; None where nothing is."""
        key = key_of(registry)
        helper = self._helper(key)
        return _ask_helper(helper, key) if helper else self._from_file(key)

    def all(self) -> dict[str, Auth]:
        """Everything that is known, by key, for a build that may pull from any registry."""
        keys = set(self._config.mapping("auths")) | set(self._config.mapping("credHelpers"))
        store = self._config.text("credsStore")
        if store:
            keys |= set(json.loads(_run_helper(store, "list", "") or "{}"))
        return {key: auth for key in sorted(keys) if (auth := self.get(key)) is not None}

    def store(self, registry: str, auth: Auth) -> None:
        """Keep credentials. Raises Unavailable where a helper fails."""
        key = key_of(registry)
        helper = self._helper(key)
        auths = self._config.document.setdefault("auths", {})
        if helper:
            token = auth.get("identitytoken")
            secret = {"ServerURL": key, "Username": TOKEN_USER if token else auth.get("username", "")}
            _run_helper(helper, "store", json.dumps({**secret, "Secret": token or auth.get("password", "")}))
            auths[key] = {}
        elif auth.get("identitytoken"):
            user = base64.b64encode(f"{auth.get('username', '')}:".encode()).decode()
            auths[key] = {"auth": user, "identitytoken": auth["identitytoken"]}
        else:
            pair = f"{auth.get('username', '')}:{auth.get('password', '')}"
            auths[key] = {"auth": base64.b64encode(pair.encode()).decode()}
        self._config.save()

    def erase(self, registry: str) -> bool:
        """Forget credentials; whether there were any."""
        key = key_of(registry)
        known = self.get(registry) is not None
        helper = self._helper(key)
        if helper and known:
            _run_helper(helper, "erase", key)
        if self._config.document.get("auths", {}).pop(key, None) is not None:
            self._config.save()
            known = True
        return known

    def _helper(self, key: str) -> str:
        return str(self._config.mapping("credHelpers").get(key) or self._config.text("credsStore"))

    def _from_file(self, key: str) -> Auth | None:
        entry = self._entry(key)
        if not entry:
            return None
        try:
            user, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
        except ValueError as error:
            raise InvalidInput(f"the credentials for {key} in {self._config.path} are damaged") from error
        found = {"username": user or entry.get("username", ""), "password": password.rstrip("\0")}
        if entry.get("identitytoken"):
            found["identitytoken"] = entry["identitytoken"]
        return {**{name: value for name, value in found.items() if value}, "serveraddress": key}

    def _entry(self, key: str) -> dict[str, Any]:
        auths = self._config.mapping("auths")
        if key in auths:
            return dict(auths[key] or {})
        return next((dict(value or {}) for name, value in auths.items() if key_of(name) == key), {})


def _ask_helper(helper: str, key: str) -> Auth | None:
    try:
        answer = json.loads(_run_helper(helper, "get", key))
    except NotFound:
        return None
    user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    if user == TOKEN_USER:
        return {"identitytoken": secret, "serveraddress": key}
    return {"username": user, "password": secret, "serveraddress": key}


def _run_helper(helper: str, verb: str, given: str) -> str:
    """The protocol of docker-credential-helpers: a verb as argument, text on stdin, JSON or a message on stdout."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, verb], input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        message = f"the credential helper {program} is not installed"
        raise Unavailable(message, advice="Install it, or take it out of config.json") from error
    if done.returncode == 0:
        return done.stdout
    said = done.stdout.strip() or done.stderr.strip()
    if said.startswith(NOT_FOUND):
        raise NotFound(f"{program} knows no credentials for {given}")
    raise Unavailable(f"{program} failed: {said}")
