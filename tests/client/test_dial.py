"""TCP with TLS and connections through ssh, with real servers at the other end."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lamina.client import Tls, connect
from lamina.errors import InvalidInput, LaminaError, Unavailable
from support.daemons import Daemon
from support.engines import Cli

PONG = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"


class Identity(NamedTuple):
    """A certificate and its key, as files and as values."""

    certificate: Path
    key: Path
    values: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def identity(folder: Path, name: str, issuer: Identity | None = None) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.values[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    certificate = builder.sign(issuer.values[1] if issuer else key, hashes.SHA256())
    files = folder / f"{name}.pem", folder / f"{name}-key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(key.private_bytes(*plain))
    return Identity(*files, (certificate, key))


class Site(NamedTuple):
    host: str
    ca: Identity
    client: Identity


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A TLS server that answers every request with a pong, to clients that its CA knows."""
    folder = tmp_path_factory.mktemp("tls")
    ca = identity(folder, "ca")
    server, client = identity(folder, "server", ca), identity(folder, "client", ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(ca.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, context))
    thread.start()
    yield Site(f"tcp://127.0.0.1:{listener.getsockname()[1]}", ca, client)
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection = listener.accept()[0]
        except OSError:
            return
        with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            while secure.recv(65536):
                secure.sendall(PONG)


def test_tls_proves_both_sides(site: Site) -> None:
    tls = Tls(str(site.ca.certificate), str(site.client.certificate), str(site.client.key))
    with connect(site.host, tls=tls) as client:
        assert client.ping()["api-version"] == "1.41"
        assert client.api_version == "1.41"


def test_tls_without_proof_fails(site: Site, tmp_path: Path) -> None:
    stranger = identity(tmp_path, "stranger")
    for tls in (
        Tls(str(stranger.certificate), str(site.client.certificate), str(site.client.key)),
        Tls(str(site.ca.certificate)),
        Tls(str(site.ca.certificate), str(stranger.certificate), str(stranger.key)),
    ):
        with connect(site.host, tls=tls) as client, pytest.raises(Unavailable):
            client.ping()
    unchecked = Tls("", str(site.client.certificate), str(site.client.key), verify=False)
    with connect(site.host, tls=unchecked) as client:
        assert client.ping()
    with connect(site.host, tls=Tls(str(tmp_path / "none"))) as client, pytest.raises(InvalidInput, match="none"):
        client.ping()


def test_plain_and_tls_do_not_mix(site: Site) -> None:
    with connect(site.host) as client, pytest.raises(LaminaError):
        client.ping()


@pytest.mark.root
def test_a_daemon_is_reached_through_ssh(engine: Daemon, tmp_path: Path) -> None:
    """The far end is this machine: a stand-in for ssh runs what it is told in a shell."""
    (tmp_path / "ssh").write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/said\nwhile [ "$1" != -- ]; do shift; done\nshift 2\n'
        f'export LAMINA_HOST={engine.host}\nexec sh -c "$*"\n'
    )
    (tmp_path / "lamina").write_text(f'#!/bin/sh\nexec {sys.executable} -m lamina "$@"\n')
    for name in ("ssh", "lamina"):
        (tmp_path / name).chmod(0o755)
    cli = Cli("ssh://ada@far.example.com:2222", tmp_path)
    done = cli("images", "-q", "base", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert len(done.stdout.split()) == 1
    command = ("run", "--rm", "-i", "--network", "none", "base", "sh", "-c", "cat; echo end")
    assert cli(*command, stdin=b"sent ", PATH=f"{tmp_path}:{os.environ['PATH']}").stdout == b"sent end\n"
    assert (tmp_path / "said").read_text().startswith("-l ada -p 2222 -T -- far.example.com ")
