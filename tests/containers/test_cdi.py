"""Devices by the Container Device Interface: what a spec on the host adds to a container."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamina.api.containers import Config, DeviceRequest, HostConfig
from lamina.containers.containers import Containers
from lamina.errors import InvalidInput, LaminaError
from lamina.sandbox.spec import Defaults

from .conftest import Rooms

pytestmark = pytest.mark.root

Run = Callable[..., str]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc", tmp_path / "run"


@pytest.fixture
def run(rooms: Rooms, folders: tuple[Path, Path]) -> Iterator[Run]:
    """Run a script in a container with devices, and return what it wrote."""
    containers = Containers(rooms, rooms.catalog, replace(Defaults(), cdi_folders=tuple(map(str, folders))))

    def begin(script: str, *names: str) -> str:
        host = HostConfig(network_mode="none", device_requests=(DeviceRequest("cdi", device_ids=names),))
        done = containers.run(Config(image="bb", cmd=("sh", "-c", script), env=("KEPT=1", "MODE=old")), host)
        return (done.stdout + done.stderr).decode()

    yield begin
    containers.close()


def _spec(folder: Path, *devices: dict[str, Any], name: str = "one.json", **whole: Any) -> None:
    folder.mkdir(exist_ok=True)
    document = {"cdiVersion": "0.6.0", "kind": "vendor.com/thing", "devices": devices, **whole}
    (folder / name).write_text(json.dumps(document))


def test_a_device_brings_nodes_mounts_variables_groups_and_hooks(
    run: Run, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library/so").write_text("of the vendor\n")
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat > {tmp_path}/state\necho $1 $HOOKED >> {tmp_path}/hooked\n")
    hook.chmod(0o755)
    edits = {
        "env": ["MODE=new", "ADDED=2"],
        "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/full", "fileMode": 0o640, "permissions": "r"}],
        "mounts": [
            {
                "hostPath": str(tmp_path / "library"),
                "containerPath": "/lib/vendor",
                "options": ["ro", "nosuid", "rbind"],
            }
        ],
        "hooks": [{"hookName": "createRuntime", "path": str(hook), "args": ["hook", "said"], "env": ["HOOKED=yes"]}],
        "additionalGids": [4321],
    }
    _spec(folders[0], {"name": "a", "containerEdits": edits}, containerEdits={"env": ["WHOLE=3"]})
    script = "echo $KEPT $MODE $ADDED $WHOLE; id -G; cat /lib/vendor/so; "
    script += "grep -o '/lib/vendor [a-z0-9]* [a-z,]*' /proc/mounts; "
    script += "head -c 1 /dev/thing | od -An -tx1; ls -l /dev/thing | cut -c1-10; echo x > /dev/thing || echo closed"
    said = run(script, "vendor.com/thing=a")
    assert "1 new 2 3\n" in said
    assert "4321" in said
    assert "of the vendor\n" in said
    assert "ro,nosuid" in said
    assert " 00\ncrw-r-----\n" in said
    assert "closed\n" in said
    assert (tmp_path / "hooked").read_text() == "said yes\n"
    assert json.loads((tmp_path / "state").read_text())["pid"] > 0


def test_a_later_folder_goes_first_and_several_devices_share_their_specs_edits(
    run: Run, folders: tuple[Path, Path]
) -> None:
    for folder, word in zip(folders, ("etc", "run"), strict=True):
        devices = ({"name": name, "containerEdits": {"env": [f"{name}={word}"]}} for name in "ab")
        _spec(folder, *devices, containerEdits={"additionalGids": [77]})
    assert run("echo $a $b; id -G", "vendor.com/thing=a", "vendor.com/thing=b").startswith("run run\n")


@pytest.mark.parametrize("name", ["vendor.com/thing=none", "vendor.com/other=a", "thing=a", "../x=a", ""])
def test_a_device_that_no_spec_has_is_told_at_the_start(run: Run, folders: tuple[Path, Path], name: str) -> None:
    _spec(folders[0], {"name": "a"})
    with pytest.raises(InvalidInput, match=f"CDI device injection failed: unresolvable CDI devices {name}"):
        run("true", name)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"env": "A=1"}, "one.json"),
        ({"netDevices": []}, "netDevices"),
        ({"hooks": [{"hookName": "poststop", "path": "/bin/true"}]}, "hooks of the kind poststop"),
        ({"deviceNodes": [{"path": "/dev/none-such"}]}, "/dev/none-such: No such file"),
        ({"mounts": [{"hostPath": "/none-such", "containerPath": "/x"}]}, "/none-such at /x"),
    ],
)
def test_what_a_spec_may_not_say_is_told(
    run: Run, folders: tuple[Path, Path], edits: dict[str, Any], message: str
) -> None:
    _spec(folders[0], {"name": "a", "containerEdits": edits})
    with pytest.raises(LaminaError, match=message):
        run("true", "vendor.com/thing=a")


def test_a_spec_may_be_yaml(run: Run, folders: tuple[Path, Path]) -> None:
    """As nvidia-ctk and others write theirs."""
    (folders[0] / "vendor.yaml").write_text(
        "---\n"
        "cdiVersion: 0.6.0\n"
        "kind: vendor.com/thing\n"
        "containerEdits:\n"
        "  env:\n"
        "  - SHARED=yes\n"
        "devices:\n"
        "- name: all\n"
        "  containerEdits:\n"
        "    deviceNodes:\n"
        "    - path: /dev/thing\n"
        "      hostPath: /dev/null\n"
    )
    assert run("echo $SHARED; test -c /dev/thing && echo there", "vendor.com/thing=all").split() == ["yes", "there"]


def test_what_is_no_yaml_is_named(run: Run, folders: tuple[Path, Path]) -> None:
    (folders[0] / "broken.yml").write_text("kind: [")
    with pytest.raises(InvalidInput, match=r"CDI device injection failed: .*broken\.yml"):
        run("true", "vendor.com/thing=a")
