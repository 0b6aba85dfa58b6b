"""The machine loses its power while containers run, and boots again with the same disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.waiting import eventually

from .conftest import Engine

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]

COUNTING = "i=0; while :; do i=$((i+1)); echo line $i; echo $i > /data/count; usleep 50000; done"
POLICIES = {  # container → its restart policy, and its state after the boot
    "always": ("always", "running"),
    "unless": ("unless-stopped", "running"),
    "stopped": ("unless-stopped", "exited"),
    "never": ("no", "exited"),
}
FLUSHED, FRESH = "written:flushed", "written:fresh"


@dataclass
class Before:
    """What was there when the power went: the log of `always`, with its path, and the digest of a file in images."""

    log: list[str]
    path: str
    digest: str


@pytest.fixture(scope="module")
def before(engine: Engine) -> Iterator[Before]:
    """Containers of every policy and two images, one on the disk for sure; then a power cut and a boot."""
    for name, (policy, _) in POLICIES.items():
        engine.start("--name", name, "--restart", policy, "-v", f"{name}:/data", script=COUNTING)
    engine("stop", "-t", "0", "stopped")
    engine.start("--name", "writer", script="yes content | head -c 3000000 > /file; sha256sum /file")
    engine("wait", "writer")
    digest = engine.text("logs", "writer")
    engine("commit", "writer", FLUSHED)
    path = engine.text("inspect", "-f", "{{.LogPath}}", "always")
    log = lines(engine, path)
    engine.guest.run("sync")  # so all of that is on the disk
    engine("commit", "writer", FRESH)
    engine("rm", "writer")

    engine.cut_power_and_boot()
    yield Before(log, path, digest)
    engine("rm", "-f", *POLICIES)


def lines(engine: Engine, path: str) -> list[str]:
    return [json.loads(line)["log"] for line in engine.guest.run("cat", path).output.splitlines()]


def states(engine: Engine) -> dict[str, str]:
    shown = engine.text("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    return {name: state for name, state in map(str.split, shown) if name in POLICIES}


def test_restart_policies_apply(engine: Engine, before: Before) -> None:
    eventually(lambda: states(engine) == {name: state for name, (_, state) in POLICIES.items()}, 60)
    assert engine.text("inspect", "-f", "{{.State.ExitCode}}", "never") == "255"  # nobody saw it end; dockerd's number
    groups = engine.guest.run("find", "/sys/fs/cgroup/lamina", "-mindepth", "1", "-type", "d").output.splitlines()
    assert len(groups) == 2


def test_logs_are_whole_and_go_on(engine: Engine, before: Before) -> None:
    after = eventually(lambda: (log := lines(engine, before.path)).count("line 1\n") == 2 and log, 60)
    assert after[: len(before.log)] == before.log
    first = after[: after.index("line 1\n", 1)]
    assert first == [f"line {number}\n" for number in range(1, len(first) + 1)]


def test_volumes_keep_what_was_written(engine: Engine, before: Before) -> None:
    assert int(engine.output("-v", "never:/data", script="cat /data/count")) > 0


@pytest.mark.parametrize("image", [FLUSHED, FRESH])
def test_an_image_is_whole_or_not_there(engine: Engine, before: Before, image: str) -> None:
    """docs/adr/store-durability.md: a power cut may take the last second of work, and leaves nothing that lies."""
    there = image in engine.text("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert there or image == FRESH
    if there:
        assert engine.text("run", "--rm", "--network", "none", image, "sha256sum", "/file") == before.digest
