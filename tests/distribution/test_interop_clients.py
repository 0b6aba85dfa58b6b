"""Docker's, podman's, skopeo's and oras' clients push to and pull from lamina's registry, without and with TLS of a
private CA, without and with each kind of authentication.

Digests never change.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import bcrypt
import pytest

from support.daemons import CLIENT_20, CLIENT_28, Daemon, running, short_folder
from support.enclave import ADDRESS, Enclave, enclave
from support.registries import make_certificate

pytestmark = [pytest.mark.root, pytest.mark.peer]
USER, PASSWORD = "ann", "secret"
PORTS = {"plain": 5001, "tls": 5002, "basic": 5003, "token": 5004, "theirs": 5005, "theirs-basic": 5006}
KINDS = ["plain", "tls", "basic", "token"]
GUARDED = {"basic", "token", "theirs-basic"}
INSECURE = [f"{ADDRESS}:{PORTS[kind]}" for kind in ("plain", "theirs", "theirs-basic")]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CLIENTS = [path for path in (CLIENT_20, CLIENT_28) if Path(path).exists()]
ORAS = """
import sys
from pathlib import Path
from oras.client import OrasClient
host, kind, folder = sys.argv[1:]
client = OrasClient(host, insecure=kind == "plain", auth_backend="basic" if kind == "basic" else "token")
if kind in ("basic", "token"):
    client.login("ann", "secret", hostname=host, config_path=f"{folder}/config.json")
pushed = client.push(f"{host}/by/oras:1", files=[f"{folder}/file"], disable_path_validation=True, quiet=True)
(got,) = client.pull(f"{host}/by/oras:1", outdir=f"{folder}/out")
assert Path(got).read_bytes() == Path(folder, "file").read_bytes()
print(pushed.headers["Docker-Content-Digest"])
"""


class Place(NamedTuple):
    """The enclave with all registries, and a folder for the module."""

    inside: Enclave
    folder: Path


def host(kind: str) -> str:
    return f"{ADDRESS}:{PORTS[kind]}"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Four of lamina's registries and two of Debian's, up."""
    with short_folder("reg-") as folder, ExitStack() as parts:
        inside = parts.enter_context(enclave(folder))
        certificate, _ = make_certificate(folder, ADDRESS)
        for kind in KINDS[1:]:
            trusted = inside.etc / "docker/certs.d" / host(kind)
            trusted.mkdir(parents=True)
            shutil.copy(certificate, trusted / "ca.crt")
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        commands = [ours(folder, kind) for kind in KINDS] + [
            theirs(folder, kind) for kind in ("theirs", "theirs-basic")
        ]
        parts.enter_context(inside.running(commands, folder / "registries.log"))
        await_all(inside)
        yield Place(inside, folder)


def ours(folder: Path, kind: str) -> list[str]:
    """lamina's registry: the command, and its settings in a file."""
    lines = [f'listen = "{host(kind)}"', f'root = "{folder}/{kind}"']
    if kind != "plain":
        lines += [f'tls = {{certificate = "{folder}/server.crt", key = "{folder}/server.key"}}']
    if kind in GUARDED:
        lines += [f'auth = {{htpasswd = "{folder}/htpasswd", mode = "{kind}"}}']
    (folder / f"{kind}.toml").write_text("\n".join(lines))
    return [sys.executable, "-m", "lamina", "registry", "serve", "--config", f"{folder}/{kind}.toml"]


def theirs(folder: Path, kind: str) -> list[str]:
    """Debian's registry: the command, and its settings in a file."""
    settings: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": f"{folder}/{kind}"}},
        "http": {"addr": host(kind)},
    }
    if kind in GUARDED:
        settings["auth"] = {"htpasswd": {"realm": "x", "path": f"{folder}/htpasswd"}}
    (folder / f"{kind}.yml").write_text(json.dumps(settings))
    return ["docker-registry", "serve", f"{folder}/{kind}.yml"]


def await_all(inside: Enclave) -> None:
    """Return when all registries listen."""
    script = "import socket, sys, time\nend = time.monotonic() + 30\nfor port in sys.argv[2:]:\n"
    script += " while socket.socket().connect_ex((sys.argv[1], int(port))):\n"
    script += "  assert time.monotonic() < end, port\n  time.sleep(0.05)"
    inside.run(sys.executable, "-c", script, ADDRESS, *map(str, PORTS.values()))


@pytest.fixture(scope="module")
def docker(place: Place, busybox_tar: Path) -> Iterator[Daemon]:
    """Debian's dockerd inside, with the image "base"."""
    flags = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]
    flags += [f"--insecure-registry={name}" for name in INSECURE]
    with short_folder("dkr-") as folder:
        roots = ["--data-root", f"{folder}/d", "--exec-root", f"{folder}/e", "--pidfile", f"{folder}/p"]
        command = place.inside.inside("dockerd", "-H", f"unix://{folder}/s", *roots, *flags)
        environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        with running(Daemon(folder, folder / "s", command, environment)) as daemon:
            daemon.docker("import", str(busybox_tar), "base")
            yield daemon


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", CLIENTS)
def test_docker(docker: Daemon, kind: str, client: str) -> None:
    name = f"{host(kind)}/by/docker{CLIENTS.index(client)}"
    if kind in GUARDED:
        docker.text("login", "-u", USER, "-p", PASSWORD, host(kind), client=client)
    docker.text("tag", "base", f"{name}:1", client=client)
    pushed = DIGEST.findall(docker.text("push", f"{name}:1", client=client))[-1]
    image = docker.text("inspect", "-f", "{{.Id}}", "base", client=client)
    docker.text("rmi", f"{name}:1", client=client)
    docker.text("pull", f"{name}:1", client=client)
    assert docker.text("inspect", "-f", "{{.Id}}", f"{name}@{pushed}") == image
    if kind in GUARDED:
        docker.text("logout", host(kind), client=client)
        assert docker.docker("pull", f"{name}:1", client=client, check=False).returncode != 0


@pytest.fixture
def short() -> Iterator[Path]:
    """podman takes no long paths."""
    with short_folder("pod-") as folder:
        yield folder


@pytest.mark.parametrize("kind", KINDS)
def test_podman(place: Place, kind: str, busybox_tar: Path, short: Path) -> None:
    (short / "containers.conf").write_text("[containers]\ndefault_ulimits = []\n")
    environment = {**os.environ, "CONTAINERS_CONF": f"{short}/containers.conf"}
    name = f"{host(kind)}/by/podman"
    verify = [f"--tls-verify={str(kind != 'plain').lower()}"]
    verify += ["--creds", f"{USER}:{PASSWORD}"] if kind in GUARDED else []

    def podman(*arguments: str) -> str:
        roots = ["--root", f"{short}/r", "--runroot", f"{short}/rr", "--storage-driver", "vfs"]
        return place.inside.run("podman", *roots, *arguments, env=environment)

    podman("import", "-q", str(busybox_tar), f"{name}:1")
    image = podman("images", "-q", "--no-trunc").removeprefix("sha256:")
    podman("push", "-q", *verify, "--digestfile", f"{short}/digest", f"{name}:1")
    podman("rmi", "-f", f"{name}:1")
    digest = (short / "digest").read_text()
    podman("pull", "-q", *verify, f"{name}@{digest}")
    assert podman("images", "--no-trunc", "--format", "{{.Id}} {{.Digest}}") == f"{image} {digest}"


@pytest.mark.parametrize("source", KINDS)
def test_skopeo_between_all_kinds(place: Place, docker: Daemon, source: str) -> None:
    """From one registry to the next, and back by digest."""
    target = KINDS[(KINDS.index(source) + 1) % len(KINDS)]

    def access(kind: str, side: str) -> list[str]:
        flags = [f"--{side}tls-verify={str(kind != 'plain').lower()}"]
        return flags + ([f"--{side}creds", f"{USER}:{PASSWORD}"] if kind in GUARDED else [])

    def digest(kind: str, name: str) -> str:
        wanted = f"docker://{host(kind)}/{name}"
        return place.inside.run("skopeo", "inspect", *access(kind, ""), "--format", "{{.Digest}}", wanted)

    def copy(one: tuple[str, str], other: tuple[str, str]) -> None:
        flags = [*access(one[0], "src-"), *access(other[0], "dest-")]
        ends = [f"docker://{host(kind)}/{name}" for kind, name in (one, other)]
        place.inside.run("skopeo", "copy", "-q", "--preserve-digests", *flags, *ends)

    there = "docker-daemon:base:latest", f"docker://{host(source)}/by/skopeo:1"
    daemon = ["--src-daemon-host", docker.host, *access(source, "dest-")]
    place.inside.run("skopeo", "copy", "-q", *daemon, *there)
    first = digest(source, "by/skopeo:1")
    copy((source, "by/skopeo:1"), (target, "copied:1"))
    copy((target, f"copied@{first}"), (source, "back:1"))
    assert digest(target, "copied:1") == digest(source, "back:1") == first


@pytest.mark.parametrize("kind", ["plain", "tls", "basic"])
def test_oras(place: Place, kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(200_000))
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": f"{place.folder}/server.crt", "HOME": str(tmp_path)}
    script = [sys.executable, "-c", ORAS, host(kind), kind, str(tmp_path)]
    assert DIGEST.fullmatch(place.inside.run(*script, env=environment).splitlines()[-1])
