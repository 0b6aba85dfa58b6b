"""Bearer tokens of the registry's own making (the distribution project's token specification): ES256 JWTs."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lamina.errors import InvalidInput, Unauthorized
from lamina.formats.reference import is_path
from lamina.formats.times import format_time
from lamina.registry.auth.gates import Grants, read_basic
from lamina.registry.auth.htpasswd import Htpasswd
from lamina.registry.call import Identity

_ALGORITHM = "ES256"
_SCOPE = re.compile(r"repository(?:\([a-z0-9]+\))?:([^:]+):([a-z,*]*)")
_LEEWAY = 30  # seconds that clocks of replicas may differ


class Signer:
    """Make and read tokens with one EC key, which all replicas share.

    Docker's registry takes them too (`auth: token`, with a certificate of the key in its `rootcertbundle`).
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, service: str, lifetime: int) -> None:
        self._key = key
        self._public = key.public_key()
        self._headers = {"kid": key_id(self._public)}
        self.service = service
        self.lifetime = lifetime

    def issue(self, user: str, grants: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        """Return the answer of the token endpoint."""
        now = int(time.time())
        access = [{"type": "repository", "name": n, "actions": sorted(a)} for n, a in grants.items() if a]
        claims = {"iss": self.service, "aud": self.service, "sub": user, "iat": now, "nbf": now - _LEEWAY}
        claims |= {"exp": now + self.lifetime, "jti": uuid.uuid4().hex, "access": access}
        token = jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=self._headers)
        issued = format_time(int(now) * 10**9)
        return {"token": token, "access_token": token, "expires_in": self.lifetime, "issued_at": issued}

    def read(self, token: str) -> Identity:
        """Return whose token it is, and what it grants. Raise Unauthorized for an invalid token."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                audience=self.service,
                issuer=self.service,
                leeway=_LEEWAY,
                options={"require": ["exp", "nbf", "sub", "access"]},
            )
            grants = {str(a["name"]): frozenset(map(str, a["actions"])) for a in claims["access"]}
        except (jwt.InvalidTokenError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise Unauthorized("The token is not valid (any more)", problem="invalid_token") from error
        return Identity(str(claims["sub"]), grants)


class TokenGate:
    """Bearer tokens with each request."""

    def __init__(self, signer: Signer, grants: Grants, realm: str | None) -> None:
        self._signer = signer
        self._grants = grants
        self._realm = realm

    async def identify(self, headers: Mapping[str, str]) -> Identity:
        header = headers.get("Authorization")
        if not header:
            return Identity()
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("Only bearer tokens are taken here")
        return self._signer.read(token.strip())

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        return self._grants.allows(identity, repository, action)

    def challenge(self, scope: str | None, base: str, problem: str = "") -> str | None:
        asked_scope = f',scope="{scope}"' if scope else ""
        wrong = f',error="{problem}"' if problem else ""
        return f'Bearer realm="{self._realm or base + "/token"}",service="{self._signer.service}"{asked_scope}{wrong}'


class TokenEndpoint:
    """Issue tokens: to users who give their password, and to anonymous clients for what anyone may do."""

    def __init__(self, users: Htpasswd, grants: Grants, signer: Signer) -> None:
        self._users = users
        self._grants = grants
        self._signer = signer

    async def answer(
        self, headers: Mapping[str, str], scopes: Iterable[str], form: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return a token for the scopes, cut down to what the user may do. Raise Unauthorized, InvalidInput."""
        pair = read_basic(headers.get("Authorization"))
        if pair is None and form.get("grant_type") == "password":
            pair = (form.get("username", ""), form.get("password", ""))
        user = ""
        if pair is not None:
            if not await self._users.check(*pair):
                raise Unauthorized("The name or the password is wrong")
            user = pair[0]
        granted: dict[str, set[str]] = {}
        for name, actions in _read_scopes(scopes):
            allowed = self._grants.allowed(user, name)
            granted.setdefault(name, set()).update(allowed if "*" in actions else allowed & actions)
        return self._signer.issue(user, granted)


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """Return the name of a key as libtrust has it: base32 of 240 bits of SHA-256 of its DER form, in groups of four."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key in a PEM file, or make one. Raise InvalidInput for one that is not an EC key."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return _make_key(path)
    except OSError as error:
        raise InvalidInput(f"The signing key {path} cannot be read: {error.strerror}") from error
    try:
        key = serialization.load_pem_private_key(raw, None)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"The signing key {path} is not a PEM file without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInput(f"The signing key {path} is not an EC key", advice="Make one with the curve P-256.")
    return key


def _make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    try:
        os.link(temporary, path)  # another replica may have been first
    except FileExistsError:
        return signing_key(path)
    finally:
        temporary.unlink()
    return key


def _read_scopes(scopes: Iterable[str]) -> list[tuple[str, set[str]]]:
    requests = []
    for scope in " ".join(scopes).split():
        match = _SCOPE.fullmatch(scope)
        if match and is_path(match[1]):
            requests.append((match[1], set(match[2].split(","))))
    return requests
