"""daemon.json and flags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamina.daemon.config import load
from lamina.errors import InvalidInput


def _write(folder: Path, document: Any) -> Path:
    path = folder / "daemon.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_the_file_and_the_flags_come_together(tmp_path: Path) -> None:
    document = {
        "registry-mirrors": ["https://mirror.example"],
        "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}],
        "log-opts": {"max-size": "10m"},
        "builder": {
            "gc": {"enabled": True, "defaultKeepStorage": "20GB"},
            "Entitlements": {"network-host": False, "security-insecure": True},
        },
        "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}},
        "runtimes": {"mine": {"path": "/usr/bin/crun"}},
        "features": {"buildkit": True, "containerd-snapshotter": False},
    }

    options = load({"bip": "10.1.0.1/24", "debug": True}, _write(tmp_path, document))

    assert options.bip == "10.1.0.1/24"
    assert options.debug
    assert options.registry_mirrors == ("https://mirror.example",)
    assert options.default_address_pools[0].size == 24
    assert options.builder.gc.default_keep_storage == "20GB"
    assert options.builder.entitlements.names == {"device", "security.insecure"}, "devices need only --allow by default"
    assert options.default_ulimits["nofile"].hard == 64000
    assert options.runtimes["mine"].path == "/usr/bin/crun"
    assert options.live_restore


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="both as a flag and in the configuration file: bip"):
        load({"bip": "10.1.0.1/24"}, _write(tmp_path, {"bip": "10.2.0.1/24"}))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "no JSON object"),
        ("[]", "no JSON object"),
        ({"colour": "red"}, "colour"),
        ({"features": {"buildkit": False}}, "buildkit cannot be false"),
        ({"features": {"time-travel": True}}, "time-travel cannot be true"),
        ({"live-restore": "maybe"}, "live-restore"),
        ({"max-concurrent-downloads": "many"}, "max-concurrent-downloads"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        load({}, _write(tmp_path, document))


def test_a_missing_file_is_an_error_only_where_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        load({}, tmp_path / "none.json")


@pytest.mark.parametrize("key", ["default-cgroupns-mode", "default-ipc-mode"])
def test_a_default_mode_that_is_none_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="container:x"):
        load({key: "container:x"}, _write(tmp_path, {}))
