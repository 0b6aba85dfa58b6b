"""The daemon as a service of systemd: it reports to the service manager, and what it starts does not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.daemons import lamina_daemon, short_folder

pytestmark = pytest.mark.root


def test_no_container_is_waited_for_until_it_reports_to_the_service_manager(
    busybox_tar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with short_folder("notify-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "s"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "s"))
        with lamina_daemon() as daemon:
            assert manager.recv(64) == b"READY=1"
            daemon.text("import", str(busybox_tar), "base")
            seen = daemon.text("run", "--network", "none", "base", "sh", "-c", "echo ended; env")
            assert seen.startswith("ended")
            assert "NOTIFY_SOCKET" not in seen
