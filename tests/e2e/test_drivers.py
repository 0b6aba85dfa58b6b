"""Drivers are exchangeable: one data root is served under each of them in turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.clients import CLIENTS, Client
from support.daemons import lamina_daemon

pytestmark = pytest.mark.root

DRIVERS = {"erofs": "overlay2", "overlay": "overlay2", "copy": "vfs"}  # and what Docker's clients are told
CHANGE = (
    "rm /etc/group && mkdir /etc/group && ln -s ../../app /etc/group/link && echo more >> /app/data && chmod 700 /app"
)
LOOK = "ls -ldn /etc/group /app | cut -c-10; cat /etc/group/link/data; touch /new /app/data && echo still writable"


@pytest.mark.parametrize("command", CLIENTS)
def test_row_17_drivers_are_exchangeable(command: tuple[str, ...], busybox_tar: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("data\n")
    (tmp_path / "Dockerfile").write_text(f'FROM busybox\nCOPY data /app/\nRUN {CHANGE}\nCMD ["sh", "-c", "{LOOK}"]\n')
    settings = tmp_path / "daemon.json"
    settings.write_text('{"storage-driver": "erofs"}')
    with lamina_daemon("--config-file", str(settings)) as daemon:
        client = Client(command, daemon.host, daemon.folder)
        client("import", str(busybox_tar), "busybox")
        seen: dict[str, Any] = {}
        for driver, told in DRIVERS.items():
            if seen:
                daemon.stop()
                settings.write_text(json.dumps({"storage-driver": driver}))
                daemon.start()
            info = json.loads(client.text("info", "--format", "{{json .}}"))
            assert (info["Driver"], info["DriverStatus"][0]) == (told, ["Snapshots", driver])
            seen[driver] = work(client, tmp_path)
    first = seen["erofs"]
    assert first[-1] == "drwx------\ndrwxr-xr-x\ndata\nmore\nstill writable"
    assert seen == dict.fromkeys(DRIVERS, first)


def work(client: Client, context: Path) -> tuple[str, ...]:
    """Builds, runs and looks; gives what must not depend on the driver."""
    if client.text("images", "-q", "app"):  # what was built under another driver runs under this one
        assert client.text("run", "--rm", "--network", "none", "app").endswith("still writable")
    client("build", "--no-cache", "--network", "none", "-t", "app", ".", cwd=context)
    said = client.text("run", "--name", "seen", "--network", "none", "app")
    changes = client.text("diff", "seen")
    client("rm", "seen")
    layers = json.loads(client.text("image", "inspect", "--format", "{{json .RootFS.Layers}}", "app"))
    return (*layers[:2], str(len(layers)), "\n".join(sorted(changes.splitlines())), said)
