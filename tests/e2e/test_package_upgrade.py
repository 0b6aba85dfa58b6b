"""Two builds of one Dockerfile, of which the second installs a newer package: the diff names it, and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import lamina_daemon
from support.engines import Cli
from support.programs import need

pytestmark = pytest.mark.root

DOCKERFILE = """\
FROM base
RUN mkdir -p /var/lib/dpkg/info && : > /var/lib/dpkg/status
RUN --network=none --mount=type=bind,target=/repository dpkg -i /repository/*.deb && rm -f /var/lib/dpkg/status.udeb.bak
"""


def make_package(repository: Path, name: str, version: str) -> None:
    """Write a package with a program, a text, and a link that is the same in each version."""
    root = repository.parent / f"{name}-{version}"
    for path, content in (
        ("DEBIAN/control", f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a\nDescription: b\n"),
        (f"usr/bin/{name}", f"#!/bin/sh\necho {version}\n"),
        (f"usr/share/{name}/unchanged", "the same in each version\n"),
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    subprocess.run(
        [need("dpkg-deb"), "--root-owner-group", "-Zgzip", "--build", str(root), str(repository)],
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def lamina(busybox_tar: Path) -> Iterator[Cli]:
    with lamina_daemon() as daemon:
        cli = Cli(daemon.host, daemon.folder)
        cli("import", str(busybox_tar), "base")
        yield cli


def test_an_upgrade_of_one_package_is_named_with_its_files(lamina: Cli, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Dockerfile").write_text(DOCKERFILE)
    make_package(repository, "stays", "3.0")
    for build, version in (("old", "1.0-1"), ("new", "1.0-2")):
        for archive in repository.glob("tool_*"):
            archive.unlink()
        make_package(repository, "tool", version)
        lamina("build", "-t", f"app:{build}", str(repository), SOURCE_DATE_EPOCH="1700000000")
    difference = json.loads(lamina.text("image", "diff", "--json", "app:old", "app:new"))
    (package,) = difference["Packages"]
    assert (package["Kind"], package["Name"], package["Before"], package["After"]) == ("deb", "tool", "1.0-1", "1.0-2")
    assert package["Files"] == ["/usr/bin/tool"]
    assert difference["Config"] == []
    database = "/var/lib/dpkg/"
    others = [file["Path"] for file in difference["Files"] if not file["Path"].startswith(database)]
    assert others == ["/usr/bin/tool"]
    lines = lamina.text("image", "diff", "app:old", "app:new").splitlines()
    assert "~ deb tool (all) 1.0-1 -> 1.0-2, 1 files" in lines
    assert "    -echo 1.0-1" in lines
    assert lamina("image", "diff", "--exit-code", "app:old", "app:new", check=False).returncode == 1
    assert lamina("image", "diff", "--exit-code", "app:new", "app:new").returncode == 0
