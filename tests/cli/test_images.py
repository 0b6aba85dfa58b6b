"""Building, naming, keeping and moving images from the command line."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from support.engines import Cli

pytestmark = pytest.mark.root

BUILD = ("build", "--network", "none")


@pytest.fixture(autouse=True)
def only_base_is_left(lamina: Cli) -> Iterator[None]:
    yield
    names = [
        name for name in lamina.text("images", "--format", "{{.Repository}}:{{.Tag}}").split() if "base" not in name
    ]
    lamina("rmi", "-f", *(name for name in names if "<none>" not in name), "base:none", check=False)
    lamina("image", "prune", "-f")


def context(folder: Path, dockerfile: str, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_build_prints_steps_and_uses_its_cache(lamina: Cli, tmp_path: Path) -> None:
    folder = context(tmp_path / "c", 'FROM base\nRUN echo hi > /hi\nCOPY a.txt /a\nCMD ["cat", "/hi"]\n', a_txt="A")
    first = lamina.text(*BUILD, "-t", "app", "--iidfile", str(tmp_path / "iid"), str(folder))
    assert "Step 1/4 : FROM base" in first
    assert "Successfully tagged app:latest" in first
    assert (tmp_path / "iid").read_text() == lamina.text("images", "-q", "--no-trunc", "app").strip()
    assert lamina.text(*BUILD, str(folder)).count(" ---> Using cache") == 3
    assert lamina.text("run", "--rm", "--network", "none", "app") == "hi\n"
    assert lamina.text(*BUILD, "-q", str(folder)).strip() == (tmp_path / "iid").read_text()


def test_build_leaves_out_what_dockerignore_says(lamina: Cli, tmp_path: Path) -> None:
    folder = context(tmp_path / "c", "FROM base\nCOPY . /x\nRUN ls -A /x\n", a_txt="A", b_md="B", c_md="C")
    (folder / ".dockerignore").write_text("*.md\n!c.md\nDockerfile\n")
    shown = lamina.text(*BUILD, "--no-cache", str(folder))
    assert "c.md" in shown
    assert "b.md" not in shown
    (folder / "Dockerfile.dockerignore").write_text("*.txt\n")
    shown = lamina.text(*BUILD, "--no-cache", str(folder))
    assert "a.txt" not in shown
    assert "b.md" in shown


def test_build_takes_its_dockerfile_from_anywhere(lamina: Cli, tmp_path: Path) -> None:
    folder = context(tmp_path / "c", "FROM base\n", a_txt="A")
    (tmp_path / "Other").write_text("FROM base\nCOPY . /x\nRUN ls -A /x; echo other\n")
    shown = lamina.text(*BUILD, "-f", str(tmp_path / "Other"), str(folder))
    assert "\nother\n" in shown
    assert ".dockerfile." not in shown.partition("Running in")[2]
    done = lamina(*BUILD, "-f", "-", str(folder), stdin=b"FROM base\nCOPY a.txt /\nRUN cat /a.txt\n")
    assert b"\nA" in done.stdout
    assert b"piped" in lamina(*BUILD, "-", stdin=b"FROM base\nRUN echo piped\n").stdout
    context(tmp_path / "lower", "", b_txt="B").joinpath("Dockerfile").rename(tmp_path / "lower/dockerfile")
    (tmp_path / "lower/dockerfile").write_text("FROM base\nCOPY b.txt /\n")
    assert "Successfully built" in lamina.text(*BUILD, str(tmp_path / "lower"))
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, ".")
    assert b"Successfully built" in lamina(*BUILD, "-", stdin=packed.getvalue()).stdout


def test_build_arguments_labels_and_targets(lamina: Cli, tmp_path: Path) -> None:
    dockerfile = "FROM base AS one\nARG V\nARG H\nRUN echo v=$V h=$H\nFROM base AS two\nRUN echo never\n"
    folder = context(tmp_path / "c", dockerfile)
    flags = ("--build-arg", "V=1", "--build-arg", "H", "--label", "team=web", "--target", "one", "-t", "labelled")
    done = lamina(*BUILD, *flags, str(folder), H="host")
    assert b"v=1 h=host" in done.stdout
    assert b"never" not in done.stdout
    assert lamina.text("inspect", "-f", "{{.Config.Labels.team}}", "labelled") == "web\n"


def test_a_build_that_fails_has_the_commands_code(lamina: Cli, tmp_path: Path) -> None:
    folder = context(tmp_path / "c", "FROM base\nRUN exit 3\n")
    assert "returned a non-zero code: 3" in lamina.fails(*BUILD, str(folder), code=3)
    assert "Dockerfile" in lamina.fails(*BUILD, "-f", "nosuch", str(folder), code=1)
    assert "not a directory" in lamina.fails(*BUILD, str(tmp_path / "nowhere"), code=1)
    assert "invalid build argument '=1'" in lamina.fails(*BUILD, "--build-arg", "=1", str(folder), code=1)
    assert "Unsupported isolation" in lamina.fails(*BUILD, "--isolation", "hyperv", str(folder), code=1)
    context(folder, "FROM base\nNONSENSE here\n")
    assert "NONSENSE" in lamina.fails(*BUILD, str(folder), code=1)


def test_tags_come_and_go(lamina: Cli) -> None:
    lamina("tag", "base", "registry.example.com:5000/team/app:1")
    shown = lamina.text("images", "--format", "{{.Repository}} {{.Tag}}", "registry.example.com:5000/team/app")
    assert shown == "registry.example.com:5000/team/app 1\n"
    assert lamina.text("rmi", "registry.example.com:5000/team/app:1") == (
        "Untagged: registry.example.com:5000/team/app:1\n"
    )
    assert "nosuch" in lamina.fails("rmi", "nosuch", code=1)
    assert lamina("rmi", "-f", "nosuch", check=False).returncode == 0
    assert "lower" in lamina.fails("tag", "base", "UPPER", code=1)
    assert "invalid reference format: 'x:y:z'" in lamina.fails("tag", "base", "x:y:z", code=1)


def test_an_image_in_use_stays(lamina: Cli) -> None:
    lamina("create", "--network", "none", "--name", "holder", "base")
    identifier = lamina.text("inspect", "-f", "{{.Id}}", "holder")[:12]
    assert identifier in lamina.fails("rmi", "base", code=1)


def test_archives_go_out_and_in(lamina: Cli, tmp_path: Path) -> None:
    lamina("tag", "base", "kept:1")
    archive = tmp_path / "kept.tar"
    lamina("save", "-o", str(archive), "kept:1")
    assert not list(tmp_path.glob("*.partial"))
    with tarfile.open(archive) as tar:
        member = tar.extractfile("manifest.json")
        assert member is not None
        manifest = json.load(member)
    assert manifest[0]["RepoTags"] == ["kept:1"]
    lamina("rmi", "kept:1")
    assert "Loaded image: kept:1" in lamina("load", stdin=gzip.compress(archive.read_bytes())).stdout.decode()
    assert "Loaded image: kept:1" in lamina.text("load", "-i", str(archive))
    assert lamina("save", "kept:1").stdout[257:262] == b"ustar"
    assert "nosuch" in lamina.fails("save", "-o", str(tmp_path / "no.tar"), "nosuch", code=1)
    assert not (tmp_path / "no.tar").exists()


def test_commit_and_import_apply_changes(lamina: Cli, tmp_path: Path) -> None:
    lamina("run", "--network", "none", "--name", "edited", "base", "sh", "-c", "echo new > /new")
    made = lamina.text(
        "commit", "-m", "why", "-a", "Ada", "-c", "ENV A=b", "-c", 'CMD ["cat", "/new"]', "edited", "c:1"
    )
    assert made.startswith("sha256:")
    assert lamina.text("run", "--rm", "--network", "none", "c:1") == "new\n"
    assert lamina.text("inspect", "-f", "{{.Author}} {{.Config.Env}}", "c:1").startswith("Ada [")
    lamina("export", "-o", str(tmp_path / "x.tar"), "edited")
    imported = lamina.text("import", "-m", "flat", "-c", "LABEL x=y", str(tmp_path / "x.tar"), "flat:2")
    assert imported.startswith("sha256:")
    assert lamina.text("history", "--format", "{{.Comment}}", "flat:2") == "flat\n"
    assert lamina.text("inspect", "-f", "{{.Config.Labels.x}}", "flat:2") == "y\n"


def test_prune_asks_first(lamina: Cli, tmp_path: Path) -> None:
    folder = context(tmp_path / "c", "FROM base\nLABEL one=1\n")
    identifier = lamina.text(*BUILD, "-q", str(folder)).strip()
    assert b"[y/N]" in lamina("image", "prune", stdin=b"n\n").stdout
    assert identifier in lamina.text("images", "-q", "--no-trunc")
    assert identifier in lamina("image", "prune", stdin=b"y\n").stdout.decode()
    assert identifier not in lamina.text("images", "-q", "--no-trunc")


def test_json_is_one_object_a_line(lamina: Cli) -> None:
    lamina("tag", "base", "again:1")
    rows = [json.loads(line) for line in lamina.text("images", "--format", "json").splitlines()]
    assert {"base", "again"} <= {row["Repository"] for row in rows}
    assert json.loads(lamina.text("inspect", "--format", "json", "base"))[0]["RepoTags"]
    usage = json.loads(lamina.text("system", "df", "-v", "--format", "json"))
    assert list(usage) == ["Images", "Containers", "Volumes", "BuildCache"]
    assert "again" in {row["Repository"] for row in usage["Images"]}
    form = "{{range .Images}}{{.Repository}}:{{.Tag}} {{.Containers}};{{end}}"
    assert "again:1 0;" in lamina.text("system", "df", "-v", "--format", form)


def test_events_tell_what_happened(lamina: Cli) -> None:
    lamina("tag", "base", "eventful:1")
    shown = lamina.text("events", "--since", "10s", "--until", "0s", "--filter", "event=tag")
    assert "image tag sha256:" in shown
    assert "eventful:1" in shown
    form = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"
    assert "image tag eventful:1\n" in lamina.text("events", "--since", "10s", "--until", "0s", "--format", form)
