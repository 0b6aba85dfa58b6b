"""`lamina dashboard`: a link of the daemon's dashboard, or one of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from lamina.client import Client
from support.browser import Browser, own_dashboard
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA, Cli

pytestmark = pytest.mark.root


def test_it_prints_the_daemons_link(cli: Cli) -> None:
    link = cli.text("dashboard").strip()
    assert link.startswith("http://lamina.localhost:")
    assert urlopen(link.replace("lamina.localhost", "localhost")).status == 200


def test_it_serves_one_of_its_own(daemon: Daemon, client: Client, window: Browser) -> None:
    with own_dashboard(window, daemon.host):
        window.press("Images")
        window.one("tbody th", "base:latest")
        window.check_accessibility()
        assert window.console() == []


def test_a_daemon_without_a_unix_socket_serves_none(tmp_path: Path) -> None:
    flags = ["--tls=false", "--dashboard", "127.0.0.1:0", "--host", "tcp://127.0.0.1:0"]
    roots = ["--data-root", str(tmp_path / "data"), "--exec-root", str(tmp_path / "exec")]
    done = subprocess.run([*LAMINA, "daemon", *flags, *roots], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "by a Unix socket" in done.stderr


def test_a_daemon_without_a_dashboard_says_so(tmp_path: Path) -> None:
    with lamina_daemon() as daemon:
        answer = subprocess.run(
            ["curl", "-s", "-X", "POST", "--unix-socket", str(daemon.socket), "http://x/dashboard/links"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert "the daemon serves no dashboard" in answer.stdout
