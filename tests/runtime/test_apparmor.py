"""AppArmor on hosts that have it and on those that do not: a directory stands for the host's root."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lamina.errors import InvalidInput, Unavailable
from lamina.runtime.apparmor import AppArmor
from lamina.runtime.runtime import Runtime
from support.programs import need

from .conftest import NAME, container


def host(root: Path, *profiles: str, enabled: str = "Y") -> Path:
    switch = root / "sys/module/apparmor/parameters/enabled"
    switch.parent.mkdir(parents=True)
    switch.write_text(f"{enabled}\n")
    listing = root / "sys/kernel/security/apparmor/profiles"
    listing.parent.mkdir(parents=True)
    listing.write_text("".join(f"{name} (enforce)\n" for name in profiles))
    return root


def parser(root: Path, *, code: int = 0) -> str:
    """A parser that keeps what it reads, and lists the profile as the kernel would."""
    program = root / "apparmor_parser"
    listing = root / "sys/kernel/security/apparmor/profiles"
    lines = ("#!/bin/sh", f"echo x >> {root}/calls", f"cat > {root}/read", "echo broken >&2")
    loads = f"echo 'docker-default (enforce)' >> {listing}"
    program.write_text("\n".join((*lines, loads if code == 0 else "", f"exit {code}\n")))
    program.chmod(0o755)
    return str(program)


def test_without_apparmor_only_what_asks_for_none_is_taken(tmp_path: Path) -> None:
    for root in (tmp_path / "none", host(tmp_path / "off", enabled="N")):
        absent = AppArmor(root, parser(tmp_path))
        assert (absent.enabled, absent.in_force) == (False, False)
        assert [absent.resolve(name) for name in ("", "unconfined")] == ["", ""]
        for name in ("docker-default", "mine"):
            with pytest.raises(InvalidInput, match=f"apparmor={name} cannot be applied: this host has no AppArmor"):
                absent.resolve(name)
    assert not (tmp_path / "calls").exists()


def test_the_default_profile_is_loaded_once(tmp_path: Path) -> None:
    apparmor = AppArmor(host(tmp_path), parser(tmp_path))
    assert apparmor.in_force
    assert [apparmor.resolve(name) for name in ("", "docker-default")] == ["docker-default"] * 2
    assert (tmp_path / "calls").read_text() == "x\n"
    assert (tmp_path / "read").read_text() == apparmor.text()


def test_other_profiles_must_be_loaded(tmp_path: Path) -> None:
    apparmor = AppArmor(host(tmp_path, "mine", "a name (of old)"), parser(tmp_path))
    assert [apparmor.resolve(name) for name in ("mine", "a name (of old)", "unconfined")] == [
        "mine",
        "a name (of old)",
        "unconfined",
    ]
    with pytest.raises(InvalidInput, match="no such profile is loaded"):
        apparmor.check("yours")
    assert not (tmp_path / "calls").exists()


def test_without_a_parser_the_default_holds_only_where_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    bare, ready = AppArmor(host(tmp_path / "a")), AppArmor(host(tmp_path / "b", "docker-default"))
    assert (bare.in_force, bare.resolve("")) == (False, "")
    with pytest.raises(InvalidInput, match="no such profile is loaded"):
        bare.resolve("docker-default")
    assert (ready.in_force, ready.resolve("")) == (True, "docker-default")


def test_a_profile_that_cannot_be_loaded_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="could not be loaded: broken"):
        AppArmor(host(tmp_path), parser(tmp_path, code=1)).resolve("")


def test_the_profile_includes_what_the_host_has(tmp_path: Path) -> None:
    root = host(tmp_path)
    plain = AppArmor(root).text()
    assert plain.startswith("@{PROC}=/proc/\n")
    assert 'peer="unconfined"' in plain
    assert "include" not in plain
    for name in ("abi/3.0", "tunables/global", "abstractions/base"):
        (root / "etc/apparmor.d" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "etc/apparmor.d" / name).touch()
    (root / "proc/self/attr").mkdir(parents=True)
    (root / "proc/self/attr/current").write_text("engine (enforce)\n")
    rich = AppArmor(root).text()
    assert rich.startswith("abi <abi/3.0>,\ninclude <tunables/global>\n")
    assert "  include <abstractions/base>\n" in rich
    assert 'peer="engine"' in rich


@pytest.mark.peer
def test_the_parser_compiles_the_profile() -> None:
    features = "/usr/share/apparmor-features/features"
    command = [need("apparmor_parser"), "--skip-kernel-load", "--skip-cache", "--kernel-features", features]
    done = subprocess.run(command, input=AppArmor().text().encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.root
@pytest.mark.parametrize(
    ("profile", "expected"), [("", "docker-default"), ("unconfined", "unconfined"), ("mine", "mine")]
)
def test_the_runtime_program_is_told_the_profile(
    runtime: Runtime, busybox_tree: Path, tmp_path: Path, profile: str, expected: str
) -> None:
    runtime.apparmor = AppArmor(host(tmp_path / "host", "mine", "docker-default"))
    task = runtime.create(NAME, container("true", apparmor=profile), busybox_tree)
    try:
        document = json.loads((runtime.exec_root / NAME / "config.json").read_bytes())
    finally:
        task.delete()
    assert document["process"]["apparmorProfile"] == expected
