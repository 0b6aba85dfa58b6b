"""Docker's, podman's, skopeo's and oras' clients push to and pull from lamina's registry, without and with TLS of a
private CA, without and with each kind of authentication; lamina does to its own and to Debian's docker-registry.

Digests never change.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, running, short_folder
from support.programs import CLIENT_20, CLIENT_NEWEST
from support.registry_kinds import (
    BARE,
    GUARDED,
    INSECURE,
    NAME,
    OURS,
    PASSWORD,
    PORTS,
    USER,
    Place,
    host,
    registries,
)

pytestmark = [pytest.mark.root, pytest.mark.peer]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CLIENTS = [CLIENT_20, CLIENT_NEWEST]
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


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with short_folder("reg-") as folder, registries(folder) as found:
        yield found


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


@pytest.mark.parametrize("kind", OURS)
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


@pytest.mark.parametrize("kind", OURS)
def test_podman(place: Place, kind: str, busybox_tar: Path, short: Path) -> None:
    (short / "containers.conf").write_text("[containers]\ndefault_ulimits = []\n")
    environment = {**os.environ, "CONTAINERS_CONF": f"{short}/containers.conf"}
    name = f"{host(kind)}/by/podman"
    verify = [f"--tls-verify={str(kind not in BARE).lower()}"]
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


@pytest.mark.parametrize("source", OURS)
def test_skopeo_between_all_kinds(place: Place, docker: Daemon, source: str) -> None:
    """From one registry to the next, and back by digest."""
    target = OURS[(OURS.index(source) + 1) % len(OURS)]

    def access(kind: str, side: str) -> list[str]:
        flags = [f"--{side}tls-verify={str(kind not in BARE).lower()}"]
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


@pytest.mark.parametrize("kind", OURS)
def test_oras(place: Place, kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(200_000))
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": f"{place.folder}/server.crt", "HOME": str(tmp_path)}
    script = [sys.executable, "-c", ORAS, host(kind), kind, str(tmp_path)]
    assert DIGEST.fullmatch(place.inside.run(*script, env=environment).splitlines()[-1])


@pytest.fixture(scope="module")
def lamina(place: Place, busybox_tar: Path) -> Iterator[Daemon]:
    """lamina's daemon inside, with the image "base"."""
    with short_folder("lam-") as folder:
        roots = ["--data-root", f"{folder}/d", "--exec-root", f"{folder}/e", "--pidfile", f"{folder}/p"]
        flags = [f"--insecure-registry={name}" for name in INSECURE]
        start = [sys.executable, "-m", "lamina", "daemon", "--host", f"unix://{folder}/s", *roots, *flags]
        with running(Daemon(folder, folder / "s", place.inside.inside(*start))) as daemon:
            daemon.docker("import", str(busybox_tar), "base")
            yield daemon


@pytest.mark.parametrize("kind", PORTS)
def test_lamina(lamina: Daemon, place: Place, kind: str, tmp_path: Path) -> None:
    """The command line through its daemon, and `registry copy`, which asks registries itself."""
    environment = {**os.environ, "LAMINA_HOST": lamina.host, "DOCKER_CONFIG": str(tmp_path)}
    name, copied = f"{host(kind)}/by/lamina", f"{host('plain')}/copied/{kind}:1"

    def call(*arguments: str, stdin: str = "") -> str:
        return place.inside.run(sys.executable, "-m", "lamina", *arguments, env=environment, stdin=stdin)

    if kind in GUARDED:
        call("login", "-u", USER, "--password-stdin", host(kind), stdin=PASSWORD)
    lamina.docker("tag", "base", f"{name}:1")
    pushed = DIGEST.findall(call("push", f"{name}:1"))[-1]
    insecure = [f"--insecure={host(one)}" for one in {kind, "plain"} & BARE]
    assert call("registry", "copy", *insecure, f"{name}:1", copied) == pushed
    image = lamina.text("inspect", "-f", "{{.Id}}", "base")
    lamina.docker("rmi", f"{name}:1")
    call("pull", f"{name}@{pushed}")
    assert lamina.text("inspect", "-f", "{{.Id}}", f"{name}@{pushed}") == image
    if kind in GUARDED:
        call("logout", host(kind))
        assert lamina.docker("pull", f"{name}:1", check=False).returncode != 0


NOBODY = f"{NAME}:1"
WRONG = {
    "wrong password": (
        "login -u ann -p wrong {basic}",
        "login to {basic} was refused",
        "Check the name and the password",
    ),
    "wrong password for a token": ("login -u ann -p wrong {token}", "status 401", "Check the name and the password"),
    "no password": ("login -u ann --password-stdin {basic}", "no password on stdin", ""),
    "no login, pull": ("pull {basic}/x", "Pull access denied for {basic}/x", "a login to {basic} that may pull there"),
    "no login, push": (
        "push {token}/x:1",
        "Push access denied for {token}/x",
        "a login to {token} that may push there",
    ),
    "no such image": (
        "pull {plain}/never",
        "Manifest for {plain}/never:latest not found",
        "Check the name and the tag",
    ),
    "plain HTTP": ("pull {plain@}/x", "{plain@} does not speak TLS", "insecure registry"),
    "nobody there": ("pull {nobody}/x", "{nobody} cannot be reached", "Check the address"),
    "unknown CA": ("pull {tls@}/x", "{tls@} was not trusted: self-signed certificate", "certs.d/{tls@}/ca.crt"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_told_with_advice(lamina: Daemon, place: Place, case: str, tmp_path: Path) -> None:
    names = {kind: host(kind) for kind in PORTS} | {f"{kind}@": host(kind, NAME) for kind in PORTS}
    command, words, advice = (text.format(**names, nobody=NOBODY) for text in WRONG[case])
    if command.startswith("push"):
        lamina.docker("tag", "base", command.split()[-1])
    environment = {**os.environ, "LAMINA_HOST": lamina.host, "DOCKER_CONFIG": str(tmp_path)}
    told = place.inside.fails(sys.executable, "-m", "lamina", *command.split(), env=environment)
    assert words in told
    assert advice in told
    assert "wrong" not in told.replace("is wrong", "")
    assert len([line for line in told.splitlines() if not line.startswith("WARNING")]) <= 2
