"""erofs-utils, the oracle: from PATH where new enough, else unpacked from Debian 13 into a temporary directory."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from layers.index.utils import Tool
from support.programs import need


def _knows_tar(program: str) -> bool:
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    return "--tar" in text.stdout + text.stderr


@pytest.fixture(scope="session")
def erofs_tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """The programs of erofs-utils 1.7 or newer."""
    found = shutil.which("mkfs.erofs")
    prefix: list[str] = []
    directory = Path(found).parent if found else Path()
    if not found or not _knows_tar(found):
        root = tmp_path_factory.mktemp("erofs-utils") / "root"
        options = ["--quiet", "--variant=extract", "--include=erofs-utils"]
        subprocess.run([need("mmdebstrap"), *options, "trixie", str(root)], check=True)
        libraries = root / "usr/lib" / f"{platform.machine()}-linux-gnu"
        loader = next((root / "usr").glob("lib*/ld-linux-*.so.*"), None) or next(libraries.glob("ld-linux-*.so.*"))
        prefix = [str(loader), "--library-path", str(libraries)]
        directory = root / "usr/bin"

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*prefix, str(directory / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def debian_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of a small Debian, fresh from its packages."""
    tar = tmp_path_factory.mktemp("debian") / "debian.tar"
    subprocess.run([need("mmdebstrap"), "--quiet", "--variant=minbase", "bookworm", str(tar)], check=True)
    return tar
