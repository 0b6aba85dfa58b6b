"""Other engines push to and pull from lamina's registry, and lamina to and from another registry."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import NamedTuple

import bcrypt
import pytest

from lamina.distribution import Credentials, RegistryClient, Settings, pull, push
from lamina.distribution.copy import copy
from lamina.errors import Unauthorized
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.registry.auth.tokens import signing_key
from lamina.store.store import Store
from support.daemons import dockerd
from support.programs import need
from support.registries import Running, Start, make_certificate, make_image, parts_asked_for, patient
from support.registry_kinds import PASSWORD, USER, settings_of_theirs, trust_in, write_roots


class Theirs(NamedTuple):
    """A docker-registry: where it is, whether one must say who one is, and settings that trust it."""

    address: str
    guarded: bool
    settings: Settings


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()}\n")
    return path


@pytest.fixture(params=["basic", "token"])
def guarded(request: pytest.FixtureRequest, start: Start, htpasswd: Path, tmp_path: Path) -> Running:
    """lamina's registry with TLS and each kind of authentication."""
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    tls = {"certificate": str(certificate), "key": str(key)}
    return start(tls=tls, auth={"htpasswd": str(htpasswd), "mode": request.param})


@pytest.fixture(params=["plain", "tls", "basic", "token"])
def theirs(request: pytest.FixtureRequest, start: Start, htpasswd: Path, tmp_path: Path) -> Iterator[Theirs]:
    """Debian's docker-registry of each kind; lamina's registry gives the tokens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    http: dict[str, object] = {"addr": address}
    trusted = tmp_path / "certs.d" / address
    trusted.mkdir(parents=True)
    if request.param == "tls":
        certificate, key = make_certificate(tmp_path, "127.0.0.1")
        shutil.copy(certificate, trusted / "ca.crt")
        http["tls"] = {"certificate": str(certificate), "key": str(key)}
    settings = settings_of_theirs(tmp_path / "docker-registry", http)
    if request.param == "basic":
        settings["auth"] = {"htpasswd": {"realm": "x", "path": str(htpasswd)}}
    if request.param == "token":
        key = tmp_path / "key.pem"
        write_roots(signing_key(key), tmp_path / "roots.crt")
        issuer = start(auth={"htpasswd": str(htpasswd), "mode": "token", "signing-key": str(key)})
        settings["auth"] = {"token": trust_in(f"http://{issuer.address}", tmp_path / "roots.crt")}
    with _running(settings, tmp_path / "config.yml", address):
        yield Theirs(address, "auth" in settings, patient(certificates=(tmp_path / "certs.d",)))


@contextmanager
def _running(settings: dict[str, object], file: Path, address: str) -> Iterator[None]:
    file.write_text(json.dumps(settings))
    process = subprocess.Popen([need("docker-registry"), "serve", str(file)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", int(address.split(":")[1]))):
            assert time.monotonic() < deadline
            time.sleep(0.02)  # there is no event for "listens now"
        yield
    finally:
        process.terminate()
        process.wait()


def known(settings: Settings | None = None) -> RegistryClient:
    return RegistryClient(settings or patient(), lambda key: Credentials(USER, PASSWORD))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.peer
def test_skopeo_takes_and_gives_what_lamina_does(guarded: Running, store: Store, tmp_path: Path) -> None:
    skopeo = need("skopeo")
    config, layers = make_image(store, 200_000, 10)
    reference = Reference.parse(f"{guarded.address}/a/b:1")
    with known() as client, store.lease():
        pushed = push(reference, config, layers, store, ignore, client=client)
        login = ("--src-creds", f"{USER}:{PASSWORD}", "--src-tls-verify=false")
        goal = ("--dest-creds", f"{USER}:{PASSWORD}", "--dest-tls-verify=false")
        place = f"docker://{guarded.address}/a"
        run(skopeo, "copy", *login, f"{place}/b:1", f"dir:{tmp_path}/out")
        run(skopeo, "copy", *goal, f"dir:{tmp_path}/out", f"{place}/c:1")
        run(skopeo, "copy", *login, *goal, f"{place}/c:1", f"{place}/d:1")
        for name in ("c", "d"):
            there = client.repository(Reference.parse(f"{guarded.address}/a/{name}"))
            assert there.manifest("1").digest == pushed.digest
    refused = subprocess.run([skopeo, "inspect", "--tls-verify=false", f"{place}/b:1"], capture_output=True, text=True)
    assert "unauthorized" in refused.stderr


@pytest.mark.peer
def test_dockers_registry_takes_and_gives_what_lamina_does(
    theirs: Theirs, registry: Running, store: Store, other_store: Store
) -> None:
    config, layers = make_image(store, 3 << 20, 10)
    there, here = (Reference.parse(f"{address}/a/b:1") for address in (theirs.address, registry.address))
    with known(theirs.settings) as client, store.lease(), other_store.lease():
        pushed = push(there, config, layers, store, ignore, client=client)
        assert pull(there, None, other_store, ignore, client=client).manifest.digest == pushed.digest
        assert copy(there, here, ignore, client=client).digest == pushed.digest
        again = Reference.parse(f"{theirs.address}/back:2")
        assert copy(here, again, ignore, client=client).digest == pushed.digest
        assert list(client.repository(again).tags()) == ["2"]
    if theirs.guarded:
        with RegistryClient(theirs.settings) as nobody, other_store.lease(), pytest.raises(Unauthorized):
            pull(there, None, other_store, ignore, client=nobody)


@pytest.mark.peer
def test_a_large_layer_comes_from_dockers_registry_in_parts(theirs: Theirs, store: Store, other_store: Store) -> None:
    config, layers = make_image(store, 3 << 20)
    there = Reference.parse(f"{theirs.address}/a/b:1")
    settings = replace(theirs.settings, download_part=64 << 10, fast_line=inf)
    with known(settings) as client, store.lease(), other_store.lease(), parts_asked_for() as lengths:
        push(there, config, layers, store, ignore, client=client)
        pulled = pull(there, None, other_store, ignore, client=client)
    assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in layers]
    assert sum(lengths) == pulled.manifest.layers[0].size
    assert max(lengths) == 64 << 10


@pytest.mark.peer
@pytest.mark.root
@pytest.mark.parametrize("guarded", ["token"], indirect=True)
def test_docker_pushes_and_pulls(guarded: Running, store: Store, other_store: Store, busybox_tree: Path) -> None:
    with dockerd() as docker:
        tar = shutil.make_archive(str(docker.folder / "base"), "tar", busybox_tree)
        name = f"{guarded.address}/from/docker:1"
        docker.text("login", "-u", USER, "-p", PASSWORD, guarded.address)
        docker.text("import", tar, name)
        docker.text("push", name)
        with known() as client, other_store.lease():
            pulled = pull(Reference.parse(name), None, other_store, ignore, client=client)
            back = Reference.parse(f"{guarded.address}/from/lamina:1")
            parts = (back, pulled.config, pulled.layers, other_store, ignore)
            assert push(*parts, client=client, manifest=pulled.manifest).digest == pulled.manifest.digest
        image = docker.text("inspect", "-f", "{{.Id}}", name).strip()
        docker.text("rmi", "-f", image)
        docker.text("pull", str(back))
        assert docker.text("inspect", "-f", "{{.Id}}", str(back)).strip() == image
