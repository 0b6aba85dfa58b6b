"""A directory named to lamina's daemon builds what the same directory sent as a tar builds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.client import Client, connect
from lamina.client.context import BuildContext, in_place_context
from lamina.client.context_tar import directory_context
from lamina.errors import LaminaError
from lamina.progress import ignore
from support.daemons import Daemon
from support.engines import Cli, engine_with_base

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with engine_with_base("lamina", busybox_tar) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def local(daemon: Daemon) -> Iterator[Client]:
    with connect(daemon.host) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY . /all\nCOPY sub/*.md /\n")
    for name in ("a.txt", "b.key", "sub/c.md", "sub/deep/d.key", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("a.txt")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o750)
    return tmp_path


def built(client: Client, context: BuildContext) -> str:
    return client.builds.send(context, BuildRequest(no_cache=True), credentials={}, report=ignore).image


@pytest.mark.parametrize("ignored", ["", "*.key\n", "**/*.key\n!sub/deep/*.key\nDockerfile\n.dockerignore\n"])
@pytest.mark.parametrize("dockerfile", ["", "outside", "content"])
def test_both_give_one_image(
    local: Client, folder: Path, tmp_path_factory: pytest.TempPathFactory, ignored: str, dockerfile: str
) -> None:
    assert local.reads_in_place
    if ignored:
        (folder / ".dockerignore").write_text(ignored)
    if dockerfile and ignored == "*.key\n":
        ignored += ".dockerignore\n"  # it travels with a line more
        (folder / ".dockerignore").write_text(ignored)
    name, content = "", None
    if dockerfile == "outside":
        other = tmp_path_factory.mktemp("outside") / "Other"
        other.write_text("FROM base\nCOPY --chown=7 . /all\n")
        name = str(other)
    elif dockerfile == "content":
        content = b"FROM base\nCOPY sub /sub\n"
    sent = built(local, directory_context(str(folder), name, content))
    assert built(local, in_place_context(str(folder), name, content)) == sent


def test_what_is_missing_is_said_either_way(local: Client, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM base\nCOPY b.key /\n")
    (folder / ".dockerignore").write_text("*.key\n")
    for make in (directory_context, in_place_context):
        with pytest.raises(LaminaError, match=r"b\.key"):
            built(local, make(str(folder)))


def test_a_build_explains_itself_to_programs_and_people(
    local: Client, daemon: Daemon, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cli = Cli(daemon.host, tmp_path_factory.mktemp("config"))
    build = ("build", "--network", "none", "-q", "--explain")
    steps = local.builds.build(folder, BuildRequest(explain=True)).steps
    assert [step.instruction for step in steps] == ["FROM base", "COPY . /all", "COPY sub/*.md /"]

    (folder / "sub/c.md").write_text("other")
    shown = cli(*build, str(folder)).stderr.decode()
    assert "file /all/sub/c.md was sha256:" in shown
    explained = json.loads(cli.text(*build, "--explain-format", "json", str(folder)))
    assert [step["Outcome"] for step in explained] == ["cached", "cached", "cached"]
    assert local.builds.build(folder).steps == ()
