"""Registries of each kind in one enclave: lamina's and Debian's docker-registry, without and with TLS of a private CA,
without and with each kind of authentication."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import bcrypt
from cryptography.hazmat.primitives.asymmetric import ec

from lamina.registry.auth.tokens import signing_key
from support.enclave import ADDRESS, Enclave, enclave
from support.programs import need
from support.registries import certify, make_certificate

USER, PASSWORD = "ann", "secret"
OURS = ["plain", "tls", "basic", "token"]
THEIRS = ["theirs-plain", "theirs-tls", "theirs-basic", "theirs-token"]
PORTS = {kind: 5001 + at for at, kind in enumerate(OURS + THEIRS)}
GUARDED = {"basic", "token", "theirs-basic", "theirs-token"}
NAME = "registry.test"  # the same address, which no engine was told to trust
BARE = {"plain", "theirs-plain", "theirs-basic"}  # without TLS


class Place(NamedTuple):
    """The enclave with all registries, and a folder with `server.crt` for all who speak TLS."""

    inside: Enclave
    folder: Path


def host(kind: str, name: str = ADDRESS) -> str:
    return f"{name}:{PORTS[kind]}"


INSECURE = [host(kind) for kind in sorted(BARE)]


@contextmanager
def registries(folder: Path) -> Iterator[Place]:
    """All of them, up; the enclave trusts their certificate. `folder` as for `enclave`."""
    with enclave(folder) as inside:
        (inside.etc / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
        certificate, _ = make_certificate(folder, ADDRESS)
        for kind in PORTS.keys() - BARE:
            trusted = inside.etc / "docker/certs.d" / host(kind)
            trusted.mkdir(parents=True)
            shutil.copy(certificate, trusted / "ca.crt")
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        (folder / "token").mkdir()
        write_roots(signing_key(folder / "token/token-key.pem"), folder / "roots.crt")
        commands = [ours(folder, kind) for kind in OURS] + [theirs(folder, kind) for kind in THEIRS]
        with inside.running(commands, folder / "registries.log"):
            _await_all(inside)
            yield Place(inside, folder)


def ours(folder: Path, kind: str) -> list[str]:
    """lamina's registry: the command, and its settings in a file."""
    lines = [f'listen = "{host(kind)}"', f'root = "{folder}/{kind}"']
    if kind not in BARE:
        lines += [f'tls = {{certificate = "{folder}/server.crt", key = "{folder}/server.key"}}']
    if kind in GUARDED:
        lines += [f'auth = {{htpasswd = "{folder}/htpasswd", mode = "{kind}"}}']
    (folder / f"{kind}.toml").write_text("\n".join(lines))
    return [sys.executable, "-m", "lamina", "registry", "serve", "--config", f"{folder}/{kind}.toml"]


def theirs(folder: Path, kind: str) -> list[str]:
    """Debian's registry: the command, and its settings in a file."""
    http: dict[str, object] = {"addr": host(kind)}
    if kind not in BARE:
        http["tls"] = {"certificate": f"{folder}/server.crt", "key": f"{folder}/server.key"}
    settings = settings_of_theirs(folder / kind, http)
    if kind == "theirs-basic":
        settings["auth"] = {"htpasswd": {"realm": "x", "path": f"{folder}/htpasswd"}}
    if kind == "theirs-token":
        settings["auth"] = {"token": trust_in(f"https://{host('token')}", folder / "roots.crt")}
    (folder / f"{kind}.yml").write_text(json.dumps(settings))
    return [need("docker-registry"), "serve", f"{folder}/{kind}.yml"]


def settings_of_theirs(root: Path, http: dict[str, object]) -> dict[str, object]:
    """Settings of Debian's registry, with little to log."""
    return {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
        "http": http,
        "log": {"level": "error", "accesslog": {"disabled": True}},
    }


def trust_in(issuer: str, roots: Path) -> dict[str, str]:
    """`auth.token` of Debian's registry: tokens of lamina's at the URL `issuer` are good."""
    service = "lamina-registry"
    return {"realm": f"{issuer}/token", "service": service, "issuer": service, "rootcertbundle": str(roots)}


def write_roots(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    """A certificate of the key of tokens, by which another registry knows them."""
    path.write_bytes(certify(key, "tokens", []))


def _await_all(inside: Enclave) -> None:
    """Return when all registries listen."""
    script = "import socket, sys, time\nend = time.monotonic() + 30\nfor port in sys.argv[2:]:\n"
    script += " while socket.socket().connect_ex((sys.argv[1], int(port))):\n"
    script += "  assert time.monotonic() < end, port\n  time.sleep(0.05)"
    inside.run(sys.executable, "-c", script, ADDRESS, *map(str, PORTS.values()))
