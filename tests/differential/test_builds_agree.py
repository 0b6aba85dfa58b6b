"""The same builds by real dockerd (classic builder) and by lamina give the same config and the same files.

What may differ is listed in `TOLERATED`, each with its reason; everything else must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.build_cases import CASES, Case
from support.context import write_context
from support.daemons import Daemon, dockerd, lamina_daemon
from support.flatten import SavedImage, read_saved
from support.programs import CLIENT_20

pytestmark = [pytest.mark.root, pytest.mark.peer]

# Keys of the image config that may differ, and why.
TOLERATED = {
    "created": "a time",
    "container": "the id of the container that made the last step: lamina's digest does not depend on ids",
    "container_config": "Docker repeats the last step's container here; no tool reads it, OCI does not have it",
    "parent": "squashed images alone carry their parent's ID, a local fact",
    "docker_version": "the builder's version: lamina's digest does not depend on it",
}
# Keys of `config` that may differ, and why.
TOLERATED_CONFIG = {
    "Image": "the parent's ID: a local fact, which lamina keeps beside the image rather than in its digest",
    "Hostname": "an id of a build container",
}


@pytest.fixture(scope="module")
def engines(busybox_tar: Path) -> Iterator[tuple[Daemon, Daemon]]:
    tar = busybox_tar.read_bytes()
    with dockerd("--experimental") as reference, lamina_daemon() as lamina:
        for engine in (reference, lamina):
            engine.docker("import", "-c", "ENV PATH=/bin:/sbin", "-", "base", stdin=tar)
        yield reference, lamina


def build(engine: Daemon, case: Case, folder: Path) -> bool:
    for name, text in case.bases.items():
        (folder / "Dockerfile").write_text(text)
        engine.docker("build", "--network", "none", "-t", name, str(folder))
    (folder / "Dockerfile").write_text(case.dockerfile)
    tag = f"case-{case.name}"
    done = engine.docker(
        "build", "--network", "none", "-t", tag, *case.flags, str(folder), client=CLIENT_20, check=False
    )
    if done.returncode and not case.fails:
        pytest.fail(f"{engine.command[0]} could not build:\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.returncode == 0


def comparable_config(image: SavedImage) -> dict[str, Any]:
    document = {
        k: v for k, v in image.config.items() if k not in TOLERATED and k not in ("config", "history", "rootfs")
    }
    document["config"] = {
        # Docker writes empty values where OCI leaves the key out; both mean the same.
        k: v
        for k, v in image.config.get("config", {}).items()
        if k not in TOLERATED_CONFIG and v not in (None, "", [], {}, False)
    }
    history = [
        # A squash names the IDs it merged, which hold times and so differ.
        (h.get("created_by", ""), h.get("empty_layer", False), re.sub("[0-9a-f]{64}", "ID", h.get("comment", "")))
        for h in image.config["history"]
    ]
    return {**document, "history": history, "layers": len(image.config["rootfs"]["diff_ids"])}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_image(engines: tuple[Daemon, Daemon], case: Case, tmp_path: Path) -> None:
    write_context(tmp_path, case.files)
    reference, lamina = engines
    built = [build(engine, case, tmp_path) for engine in engines]
    assert built == [not case.fails] * 2, "(real, lamina) disagree on whether this builds"
    if case.fails:
        return
    expected, got = (read_saved(e.docker("save", f"case-{case.name}").stdout) for e in (reference, lamina))
    assert comparable_config(got) == comparable_config(expected)
    differing = {path for path in got.tree.keys() | expected.tree if got.tree.get(path) != expected.tree.get(path)}
    assert differing == case.better


def test_sizes_agree(engines: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    """Of what is imported, and of what steps add: links and files named twice among them."""
    (tmp_path / "Dockerfile").write_text(
        "FROM base\nRUN ln -s /a/long/way /link && echo text > /a && ln /a /b\nCOPY . /c\n"
    )
    (tmp_path / "to").symlink_to("/nowhere/at/all")
    (tmp_path / "file").write_bytes(bytes(5000))
    shown = []
    for engine in engines:
        engine.docker("build", "--network", "none", "-t", "sized", str(tmp_path))
        history = engine.text("history", "--human=false", "--format", "{{.Size}}", "sized").split()
        shown.append((engine.text("images", "--format", "{{.Size}}", "base"), history))
    assert shown[0] == shown[1]
    assert int(shown[1][1][0]) > 5000
