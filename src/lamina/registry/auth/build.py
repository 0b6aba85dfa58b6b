"""The gate that a configuration asks for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lamina.errors import InvalidInput
from lamina.registry.auth.basic import BasicGate
from lamina.registry.auth.gate import Gate, OpenGate
from lamina.registry.auth.grants import Grants
from lamina.registry.auth.htpasswd import Htpasswd
from lamina.registry.auth.tokens import Signer, TokenEndpoint, TokenGate, signing_key
from lamina.registry.config import Config


class Doors(NamedTuple):
    """The gate, and the token endpoint where tokens are asked for."""

    gate: Gate
    tokens: TokenEndpoint | None


def build(config: Config) -> Doors:
    """Raises InvalidInput for settings that do not hold together."""
    auth = config.auth
    if auth.htpasswd is None:
        if auth.grants or auth.mode == "token":
            raise InvalidInput("auth needs an htpasswd file")
        return Doors(OpenGate(), None)
    users, grants = Htpasswd(auth.htpasswd), Grants(auth.grants)
    if auth.mode == "basic":
        return Doors(BasicGate(users, grants, auth.service), None)
    key_path = auth.signing_key or (Path(config.root) / "token-key.pem" if config.root else None)
    if key_path is None:
        raise InvalidInput("auth.mode token needs a signing-key that all replicas share")
    signer = Signer(signing_key(key_path), auth.service, auth.token_seconds)
    return Doors(TokenGate(signer, grants, auth.realm), TokenEndpoint(users, grants, signer))
