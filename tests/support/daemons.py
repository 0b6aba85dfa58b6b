"""Real engines on private sockets and data roots, started and stopped by the tests."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.programs import CLIENT_20, CLIENT_NEWEST, DOCKERD_NEWEST, need

START_SECONDS = 40


@dataclass
class Daemon:
    """A running engine: its unix socket, its process, and a folder with its roots and log."""

    folder: Path
    socket: Path
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start the process and return when it answers `_ping`; AssertionError with its log when it does not."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, f"daemon ended at start:\n{self.log}"
            assert time.monotonic() < deadline, f"daemon does not answer:\n{self.log}"
            time.sleep(0.02)  # there is no event for "listens now"

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("localhost", timeout=5)
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.socket))
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """`kill -9`, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 60) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)

    def docker(
        self, *arguments: str, client: str = CLIENT_20, check: bool = True, stdin: bytes = b"", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the real `docker` client against this daemon, with the classic builder."""
        environment = {
            **os.environ,
            "DOCKER_BUILDKIT": "0",
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.folder),
        }
        done = subprocess.run(
            [need(client), *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            cwd=cwd,
            timeout=180,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout.decode()}{done.stderr.decode()}"
        return done

    def text(self, *arguments: str, client: str = CLIENT_20, cwd: Path | None = None) -> str:
        return self.docker(*arguments, client=client, cwd=cwd).stdout.decode().strip()


@contextlib.contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder with a path short enough for unix sockets (108 bytes, unix(7))."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def lamina_daemon(*flags: str, driver: str | None = None, descriptors: int = 0) -> Iterator[Daemon]:
    """lamina's daemon as a user would start it, with everything below one temporary folder.

    `descriptors` bounds how many it may have open; 0 leaves the machine's limit.
    """
    with short_folder("lam-") as folder:
        command = [
            *(("prlimit", f"--nofile={descriptors}") if descriptors else ()),
            sys.executable,
            "-m",
            "lamina",
            "daemon",
            "--host",
            f"unix://{folder}/s",
            "--data-root",
            f"{folder}/d",
        ]
        command += ["--exec-root", f"{folder}/e", "--pidfile", f"{folder}/p", *flags]
        if driver:
            command += ["--storage-driver", driver]
        with running(Daemon(folder, folder / "s", command)) as daemon:
            try:
                yield daemon
            finally:
                end_containers(daemon)


def end_containers(daemon: Daemon) -> None:
    """Containers outlive lamina's daemon: a test must not leave them behind. A daemon that is down is started again."""
    if not (daemon.folder / "d/containers").is_dir() or not any((daemon.folder / "d/containers").iterdir()):
        return
    if daemon.process is None or daemon.process.poll() is not None:
        daemon.start()
    left = daemon.text("ps", "-aq").split()
    if left:
        daemon.docker("rm", "-f", *left)


@contextlib.contextmanager
def dockerd(*flags: str, newest: bool = False) -> Iterator[Daemon]:
    """Debian's dockerd, without a bridge of its own: it would touch the machine's firewall.

    The `newest` one finds its containerd beside itself, and the runtime program of the machine.
    """
    with short_folder("dkr-") as folder:
        command = [
            need(DOCKERD_NEWEST if newest else "dockerd"),
            "-H",
            f"unix://{folder}/s",
            "--data-root",
            f"{folder}/d",
        ]
        command += [
            "--exec-root",
            f"{folder}/e",
            "--pidfile",
            f"{folder}/p",
            "--bridge",
            "none",
            "--iptables=false",
            "--ip6tables=false",
            *flags,
        ]
        beside = f"{Path(CLIENT_NEWEST).parent}:{Path(DOCKERD_NEWEST).parent}:" if newest else ""
        environment = {"PATH": f"{beside}{os.environ['PATH']}:/usr/sbin:/sbin"}
        with running(Daemon(folder, folder / "s", command, environment)) as daemon:
            yield daemon
