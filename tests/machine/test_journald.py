"""The log driver journald, read back by journalctl."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Engine

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]


def entries(engine: Engine, name: str) -> list[dict[str, Any]]:
    lines = engine.guest.run("journalctl", "-o", "json", "--all", f"CONTAINER_NAME={name}").output.splitlines()
    return [json.loads(line) for line in lines]


def test_messages_come_with_the_fields_of_the_container(engine: Engine) -> None:
    options = ("--log-driver", "journald", "--log-opt", "tag=shop", "--log-opt", "labels=tier", "--label", "tier=web")
    script = "echo err >&2; echo out; printf 'a\\001b\\n'; head -c 20000 /dev/zero | tr '\\0' x; echo"
    id = engine.start("--name", "talking", *options, script=script)
    engine("wait", "talking")
    engine.guest.run("journalctl", "--sync")

    err, out, binary, first, rest = sorted(entries(engine, "talking"), key=lambda entry: entry["PRIORITY"])
    assert (err["MESSAGE"], err["PRIORITY"]) == ("err", "3")
    assert (out["MESSAGE"], out["PRIORITY"]) == ("out", "6")
    assert bytes(binary["MESSAGE"]) == b"a\x01b"  # journalctl shows what is not text as numbers
    assert len(first["MESSAGE"]) == 16384
    assert len(rest["MESSAGE"]) == 20000 - 16384
    assert first["CONTAINER_PARTIAL_MESSAGE"] == "true"
    for entry in (out, err, binary, first, rest):
        assert entry["CONTAINER_ID_FULL"] == id
        assert entry["CONTAINER_ID"] == id[:12]
        assert entry["CONTAINER_TAG"] == entry["SYSLOG_IDENTIFIER"] == "shop"
        assert entry["TIER"] == "web"
    assert {"out", "err"} <= set(engine.text("logs", "talking").splitlines())
    engine("rm", "talking")


def test_messages_go_on_after_the_journal_was_restarted(engine: Engine) -> None:
    script = "echo before; until [ -e /data/go ]; do usleep 20000; done; echo after"
    engine.start("--name", "patient", "--log-driver", "journald", "-v", "patient:/data", script=script)
    engine.guest.run("systemctl", "restart", "systemd-journald")
    # An exec would be killed when the container ends by what it does.
    volume = engine.text("volume", "inspect", "-f", "{{.Mountpoint}}", "patient")
    engine.guest.run("touch", f"{volume}/go")
    engine("wait", "patient")
    engine.guest.run("journalctl", "--sync")
    assert [entry["MESSAGE"] for entry in entries(engine, "patient")] == ["before", "after"]
    engine("rm", "-v", "patient")
    engine("volume", "rm", "patient")
