"""Profiles where the kernel enforces them. SYS_ADMIN allows mounts, so only docker-default forbids them."""

from __future__ import annotations

import pytest

from .conftest import Engine

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]

CONFINEMENT = "cat /proc/self/attr/current"
MOUNT = "mount -t tmpfs none /tmp && echo mounted"


def test_the_engine_tells_that_it_confines(engine: Engine) -> None:
    assert "name=apparmor" in engine.text("info", "--format", "{{.SecurityOptions}}")


@pytest.mark.parametrize("program", ["crun", "runc"])
def test_the_default_profile_is_enforced_for_a_container_and_its_execs(engine: Engine, program: str) -> None:
    engine.start("--name", "confined", "--runtime", program, "--cap-add", "SYS_ADMIN", script="sleep 1000")
    try:
        for words in (["cat", "/proc/1/attr/current"], ["cat", "/proc/self/attr/current"]):
            assert engine.text("exec", "confined", *words) == "docker-default (enforce)"
        refused = engine("exec", "--privileged", "confined", "sh", "-c", MOUNT, check=False)
        assert "mounted" not in refused.output
        engine("stop", "-t", "5", "confined")
    finally:
        engine("rm", "-f", "confined")


def test_what_asks_for_none_is_not_confined(engine: Engine) -> None:
    script = f"{CONFINEMENT}; {MOUNT}"
    free = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")
    assert engine.output(*free, script=script).split() == ["unconfined", "mounted"]
    assert engine.output("--privileged", script=script).split() == ["unconfined", "mounted"]


def test_a_profile_of_ones_own_is_enforced(engine: Engine) -> None:
    profile = "profile mine flags=(attach_disconnected) { file, deny /etc/passwd r, }"
    engine.guest.run("apparmor_parser", "--replace", stdin=profile)
    script = f"{CONFINEMENT}; cat /etc/passwd 2>&1 || true"
    shown = engine.output("--security-opt", "apparmor=mine", script=script).splitlines()
    assert shown == ["mine (enforce)", "cat: can't open '/etc/passwd': Permission denied"]
    missing = engine("run", "--rm", "--security-opt", "apparmor=nosuch", "base", "true", check=False)
    assert missing.status != 0
    assert "nosuch" in missing.output
