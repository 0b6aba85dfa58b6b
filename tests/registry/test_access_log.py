"""The access log through a rotation."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import closing
from pathlib import Path

from support.registries import Raw
from support.spawned import Spawned


def test_the_access_log_goes_on_in_a_new_file(tmp_path: Path) -> None:
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    with Spawned(tmp_path / "root", access_log=str(log)) as running, closing(Raw(running.address)) as raw:
        raw("GET", "/v2/")
        log.rename(old)
        os.kill(running.pid, signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not log.exists() and time.monotonic() < deadline:
            raw("GET", "/healthz")
        raw("GET", "/v2/_catalog")
    assert json.loads(old.read_text().splitlines()[0])["path"] == "/v2/"
    assert json.loads(log.read_text().splitlines()[-1])["path"] == "/v2/_catalog"
