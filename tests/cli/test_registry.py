"""`lamina registry` and the commands that talk to one through an engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engines import LAMINA, Cli

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """lamina's own registry on a free port: its address and its root."""
    root = tmp_path_factory.mktemp("registry")
    command = [*LAMINA, "registry", "serve", "--root", str(root), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().decode().split()[-1], root
        finally:
            process.terminate()


def test_images_go_up_come_down_and_are_copied(lamina: Cli, registry: tuple[str, Path]) -> None:
    address, root = registry
    name = f"{address}/team/app:1"
    lamina("tag", "base", name)
    pushed = lamina.text("push", name)
    assert "digest: sha256:" in pushed
    assert "\x1b" not in pushed  # no bars in a pipe
    assert lamina.text("push", "-q", name).strip() == name
    lamina("rmi", name)
    assert lamina.text("pull", "-q", name).strip() == name
    lamina("rmi", name)
    assert lamina.text("run", "--rm", "--network", "none", name, "echo", "pulled") == "pulled\n"
    lamina("rmi", name)
    digest = lamina.text("registry", "copy", name, f"{address}/mirror/app:2").strip()
    assert digest in pushed
    listed = [line.split() for line in lamina.text("registry", "ls", "--root", str(root)).splitlines()]
    assert {("mirror/app", "1"), ("team/app", "1")} <= {(row[0], row[1]) for row in listed[1:]}
    assert digest in lamina.text("registry", "ls", "--root", str(root), "mirror/app")
    assert "none damaged" in lamina.text("registry", "verify", "--root", str(root))
    assert "space: 0B" in lamina.text("registry", "gc", "--root", str(root), "--dry-run")
    assert "nosuch" in lamina.fails("registry", "ls", "--root", str(root), "nosuch", code=1)
    assert "There is no registry in" in lamina.fails("registry", "ls", "--root", f"{root}/nosuch", code=1)
    assert not (root / "nosuch").exists()
    assert "no address to listen on" in lamina.fails("registry", "serve", "--root", str(root), "--listen=x:y", code=1)
    assert f"listen on {address}: Address already in use" in lamina.fails(
        "registry", "serve", "--root", str(root), "--listen", address, code=1
    )


@pytest.mark.root
def test_rules_delete_what_can_be_brought_back(lamina: Cli, registry: tuple[str, Path], tmp_path: Path) -> None:
    address, root = registry
    for tag in ("v1", "nightly"):
        lamina("tag", "base", f"{address}/kept/app:{tag}")
        lamina("push", "-q", f"{address}/kept/app:{tag}")
    assert "There are no retention rules" in lamina.fails("registry", "retain", "--root", str(root), code=1)
    rules = tmp_path / "registry.toml"
    rules.write_text(f'root = "{root}"\n[[retention]]\nrepositories = ["kept/*"]\nkeep-tags = ["v2"]\n')
    planned = lamina.text("registry", "retain", "--config", str(rules), "--dry-run").split()
    assert lamina.text("registry", "retain", "--config", str(rules)).split() == planned
    assert planned[:6] == ["REPOSITORY", "TAGS", "DIGEST", "kept/app", "nightly", "v1"]
    digest = planned[6]
    assert lamina.fails("pull", f"{address}/kept/app:v1", code=1)
    restored = lamina.text("registry", "undelete", "--root", str(root), "kept/app", digest).split()
    assert restored == [f"kept/app@{digest}", "kept/app:nightly", "kept/app:v1"]
    assert digest in lamina.text("pull", f"{address}/kept/app:v1")
    assert "has no deleted manifest" in lamina.fails(
        "registry", "undelete", "--root", str(root), "kept/app", digest, code=1
    )


def test_serving_without_a_place_tells_how_to_name_one(lamina: Cli, tmp_path: Path) -> None:
    told = lamina.fails("registry", "serve", code=1)
    assert "--root DIR" in told
    assert "--storage" not in told  # it is no flag
    (tmp_path / "typo.toml").write_text('root = "/x"\naccess_log = "-"\n')
    told = lamina.fails("registry", "serve", "--config", str(tmp_path / "typo.toml"), code=1)
    assert "there is no key 'access_log'\nDid you mean access-log? The keys are access-log, allowed-hosts, " in told


@pytest.mark.parametrize("engine", ["lamina"], indirect=True)  # Docker's has no such pull
def test_all_platforms_come_where_asked_for(lamina: Cli, registry: tuple[str, Path], busybox_tar: Path) -> None:
    address, _ = registry
    name = f"{address}/many/app"
    for architecture in ("arm64", "amd64"):
        lamina("import", "--platform", f"linux/{architecture}", str(busybox_tar), f"{name}:{architecture}")
        lamina("push", "-q", f"{name}:{architecture}")
        lamina("rmi", f"{name}:{architecture}")
    lamina("manifest", "create", "--insecure", f"{name}:1", f"{name}:arm64", f"{name}:amd64")
    lamina("manifest", "push", "--insecure", f"{name}:1")
    lamina("pull", "--all-platforms", f"{name}:1")
    mine = lamina.text("inspect", "-f", "{{.Architecture}}", f"{name}:1").strip()
    digests = lamina.text("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", name).split()
    others = [digest for digest in digests if digest.startswith("sha256:")]
    found = {lamina.text("inspect", "-f", "{{.Architecture}}", f"{name}@{digest}").strip() for digest in others}
    assert (mine, found) == ("amd64" if os.uname().machine == "x86_64" else "arm64", {"amd64", "arm64"})
    lamina("rmi", "-f", *lamina.text("images", "-q", name).split())


def test_what_is_not_there_is_said(lamina: Cli, registry: tuple[str, Path]) -> None:
    address, _ = registry
    assert lamina.fails("pull", f"{address}/team/none:1", code=1)
    assert "all-tags" in lamina.fails("pull", "-a", f"{address}/team/app:1", code=1)
    assert lamina.fails("push", f"{address}/team/never:1", code=1)


def test_credentials_are_tried_and_kept(lamina: Cli, registry: tuple[str, Path]) -> None:
    address, _ = registry
    done = lamina("login", "-u", "ada", "--password-stdin", address, stdin=b"secret\n")
    assert b"Login Succeeded" in done.stdout
    assert (lamina.config / "config.json").stat().st_mode & 0o777 == 0o600
    assert "Removing login credentials" in lamina.text("logout", address)
    assert "Not logged in" in lamina.text("logout", address)
    assert "terminal" in lamina.fails("login", address, code=1)
