"""Output is never lost: a reader that comes back goes on behind what it had, whatever happens to the daemon.

`LAMINA_TEST_LINES` is how many lines the container writes (10000000 for the whole promise).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

import lamina
from lamina.api.containers import Config, HostConfig, LogConfig
from lamina.errors import LaminaError
from support.daemons import Daemon, lamina_daemon

LINES = int(os.environ.get("LAMINA_TEST_LINES", "60000"))
RESTARTS = 5
# A line takes about 80 bytes. They are rotated and compressed, and never so much that the oldest is dropped
FILES = {"max-size": str(max(1 << 20, LINES * 150 // 40)), "max-file": "100", "compress": "true"}

pytestmark = [pytest.mark.root, pytest.mark.timeout(300 + LINES // 5000)]


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_a_follower_loses_nothing_and_gets_nothing_twice(busybox_tar: Path, driver: str) -> None:
    script = f"seq 1 {LINES}; echo end"
    with lamina_daemon() as daemon:
        daemon.text("import", str(busybox_tar), "base")
        host = HostConfig(network_mode="none", log_config=LogConfig(driver, FILES))
        with lamina.connect(daemon.host) as client:
            id = client.containers.create("writer", Config(image="base", cmd=("sh", "-c", script)), host).id
            client.containers.start(id)
        numbers, restarts = _followed(daemon, id)
        assert restarts == RESTARTS
        assert numbers == LINES


def _followed(daemon: Daemon, id: str) -> tuple[int, int]:
    """Follow the log to its end; kill the daemon several times. Return the last number in order, and how often."""
    last, offset, restarts = 0, "", 0
    while True:
        with suppress(LaminaError, OSError), lamina.connect(daemon.host) as client:
            for record in client.containers.logs(id, follow=True, offset=offset):
                offset = record.time
                if record.data == b"end\n":
                    return last, restarts
                assert int(record.data) == last + 1, "a line is lost, or comes twice"
                last += 1
                if restarts < RESTARTS and last >= LINES * (restarts + 1) // (RESTARTS + 1):
                    break
            else:
                assert restarts == RESTARTS, "the log has ended without its last line"
        daemon.kill()
        daemon.start()
        restarts += 1
