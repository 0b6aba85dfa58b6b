"""`lamina explore` and `image diff` of an image that is only at its registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import lamina_daemon
from support.engines import Cli
from support.registries import Running
from support.registry_fixtures import registry, start
from support.tars import tar

__all__ = ["registry", "start"]
pytestmark = pytest.mark.root


@pytest.fixture
def lamina() -> Iterator[Cli]:
    with lamina_daemon() as daemon:
        yield Cli(daemon.host, daemon.folder)


def test_an_image_at_a_registry_is_shown_with_the_bytes_that_were_fetched(
    lamina: Cli, registry: Running, tmp_path: Path
) -> None:
    name = f"{registry.address}/team/app:1"
    (tmp_path / "app.tar").write_bytes(tar({"etc/conf": b"one\n", "usr/bin/tool": b"t" * 5000}))
    (tmp_path / "here.tar").write_bytes(tar({"etc/conf": b"two\n", "usr/bin/tool": b"t" * 5000}))
    lamina("import", str(tmp_path / "app.tar"), name)
    lamina("push", name)
    lamina("rmi", name)
    lamina("image", "prune", "--all", "--force")
    lamina("builder", "prune", "--all", "--force")
    first = lamina("explore", "--json", name)
    assert json.loads(first.stdout)["Size"] == 5004
    assert "read from: stream" in first.stderr.decode()
    again = lamina("explore", f"registry://{name}")
    assert "read from: index" in again.stderr.decode()
    assert lamina.text("images", "-q") == ""
    lamina("import", str(tmp_path / "here.tar"), "here")
    lines = lamina.text("image", "diff", f"registry://{name}", "here").splitlines()
    assert "C /etc/conf  (content)" in lines
    assert "    -one" in lines
    absent = lamina("explore", f"registry://{registry.address}/team/none:1", check=False)
    assert (absent.returncode, absent.stdout) == (1, b"")
    assert "Traceback" not in absent.stderr.decode()
