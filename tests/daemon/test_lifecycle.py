"""Starting and stopping: side by side, after a crash, over TCP with and without TLS."""

from __future__ import annotations

import datetime
import resource
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.api import Http
from support.daemons import Daemon, lamina_daemon
from support.programs import CLIENT_20, need

pytestmark = pytest.mark.root


def _machine() -> set[str]:
    """What a daemon leaves on a machine when it does not clean up: tables of rules and interfaces."""
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    links = subprocess.run([need("ip"), "-o", "link"], check=True, capture_output=True, text=True).stdout
    return {line for line in tables.splitlines() if "lamina" in line} | {
        line.split(":")[1].strip() for line in links.splitlines() if " lam" in line
    }


def test_two_daemons_know_nothing_of_each_other() -> None:
    with lamina_daemon() as first, lamina_daemon() as second:
        first.text("volume", "create", "only-here")

        assert first.text("volume", "ls", "-q") == "only-here"
        assert second.text("volume", "ls", "-q") == ""


def test_debug_logs_a_line_for_each_request() -> None:
    with lamina_daemon("--debug") as daemon:
        ask = Http(str(daemon.socket))
        assert ask("GET", "/v1.41/info?hidden=in-the-query").status == 200
        assert ask("GET", "/v1.41/volumes/nosuch").status == 404

        lines = [line.partition(" DEBUG lamina.daemon: ")[2] for line in daemon.log.splitlines()]
        assert lines.count("GET /v1.41/info") == 1
        assert lines.count("GET /v1.41/volumes/nosuch") == 1
        assert "GET /v1.41/volumes/nosuch: get nosuch: no such volume" in lines
        assert "in-the-query" not in daemon.log


def test_a_graceful_stop_leaves_nothing_but_data() -> None:
    with lamina_daemon() as daemon:
        daemon.text("network", "inspect", "bridge")
        during = _machine()
        daemon.stop()

        assert not daemon.socket.exists()
        assert not (daemon.folder / "p").exists()
        assert len(_machine()) < len(during)
        daemon.start()
        assert daemon.text("network", "ls", "--format", "{{.Name}}").split() == ["bridge", "host", "none"]


def test_the_daemon_may_open_more_than_its_containers(busybox_tar: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (700, hard))
    try:
        with lamina_daemon() as daemon:
            assert daemon.process is not None
            assert resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
            daemon.text("import", str(busybox_tar), "base")
            script = ("sh", "-c", "ulimit -Sn; ulimit -Hn")
            assert daemon.text("run", "--rm", "--net", "none", "base", *script) == f"700\n{hard}"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_always_to_run_comes_back_with_the_daemon(busybox_tar: Path) -> None:
    """They start while the engine opens its containers, and in networks, which it opens for them."""
    with lamina_daemon() as daemon:
        daemon.text("import", str(busybox_tar), "base")
        for name, policy in (("one", "always"), ("two", "always"), ("rest", "unless-stopped")):
            daemon.text("run", "-d", "--restart", policy, "--name", name, "base", "sleep", "1000")
        daemon.text("stop", "-t", "0", "one", "two", "rest")
        daemon.stop()

        daemon.start()

        running = daemon.text("ps", "--format", "{{.Names}}").split()
        assert sorted(running) == ["one", "two"]


def test_a_killed_daemon_starts_again_with_all_it_had() -> None:
    with lamina_daemon() as daemon:
        daemon.text("volume", "create", "kept")
        daemon.text("network", "create", "kept")
        daemon.kill()

        daemon.start()

        assert daemon.text("volume", "ls", "-q") == "kept"
        assert "kept" in daemon.text("network", "ls", "--format", "{{.Name}}").split()


def test_a_data_root_belongs_to_one_daemon() -> None:
    with lamina_daemon() as daemon:
        command = [sys.executable, "-m", "lamina", "daemon", "--host", f"unix://{daemon.folder}/other"]
        command += ["--data-root", f"{daemon.folder}/d", "--exec-root", f"{daemon.folder}/e2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert done.returncode != 0
        assert "is in use by process" in done.stderr
        assert "Traceback" not in done.stderr


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _over(daemon: Daemon, host: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [need(CLIENT_20), "-H", host, *flags, "version", "--format", "{{.Server.Version}}"]
    environment = {"DOCKER_CONFIG": str(daemon.folder), "HOME": str(daemon.folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.mark.peer
def test_plain_tcp() -> None:
    port = _free_port()
    with lamina_daemon("--host", f"tcp://127.0.0.1:{port}", "--tls=false") as daemon:
        assert _over(daemon, f"tcp://127.0.0.1:{port}").stdout.strip() == "0.1.0"


@dataclass(frozen=True)
class Certificates:
    """A CA and what it vouches for, as files."""

    folder: Path

    def flags(self, who: str) -> list[str]:
        return [
            f"--tlscacert={self.folder}/ca.pem",
            f"--tlscert={self.folder}/{who}.pem",
            f"--tlskey={self.folder}/{who}.key",
        ]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    now = datetime.datetime.now(datetime.UTC)
    authority = ec.generate_private_key(ec.SECP256R1())

    def issue(name: str) -> None:
        key = authority if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(authority, hashes.SHA256())
        )
        (tmp_path / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (tmp_path / f"{name}.key").write_bytes(private)

    for name in ("ca", "server", "client"):
        issue(name)
    return Certificates(tmp_path)


@pytest.mark.peer
def test_tls_asks_for_a_certificate(certificates: Certificates) -> None:
    port = _free_port()
    serving = ["--host", f"tcp://127.0.0.1:{port}", "--tlsverify", *certificates.flags("server")]
    with lamina_daemon(*serving) as daemon:
        host = f"tcp://localhost:{port}"
        known = _over(daemon, host, "--tlsverify", *certificates.flags("client"))
        assert known.stdout.strip() == "0.1.0", known.stderr
        unknown = _over(daemon, host, "--tlsverify", f"--tlscacert={certificates.folder}/ca.pem")
        assert unknown.returncode != 0


def test_sigterm_ends_it_although_clients_wait() -> None:
    with lamina_daemon() as daemon:
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(daemon.socket))
            waiting.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
            assert waiting.recv(10)
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(10) == 0
