"""`lamina build` with outputs: files, pushes, metadata, several platforms."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.cli.build_outputs import attestations, caches, outputs
from lamina.errors import InvalidInput
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]
BOTH = ("--platform", "linux/amd64,linux/arm64")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY a /for-$TARGETARCH\n")
    (folder / "a").write_text("1")
    return folder


def lamina(daemon: Daemon, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [*LAMINA, "--host", daemon.host, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def build(daemon: Daemon, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    done = lamina(daemon, "build", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.mark.root
def test_several_outputs_at_once(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    layout, meta = tmp_path / "two.tar", tmp_path / "meta"
    flags = ("-t", "kept", "-o", tmp_path / "out", "-o", f"type=oci,dest={layout}", "--load", "--metadata-file", meta)
    build(daemon, *BOTH, *flags, context)
    assert (tmp_path / "out/linux_arm64/for-arm64").read_text() == "1"
    with tarfile.open(layout) as archive:
        member = archive.extractfile("index.json")
        assert member is not None
        (entry,) = json.loads(member.read())["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/kept:latest"
    told = json.loads(meta.read_text())
    shown = json.loads(daemon.text("inspect", "kept"))[0]
    assert shown["RepoDigests"] == [f"kept@{told['containerimage.digest']}"]
    assert told["containerimage.descriptor"]["digest"] == told["containerimage.digest"]


@pytest.mark.root
def test_layouts_in_a_folder_stand_beside_each_other(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    for tag in ("1", "2"):
        build(daemon, "-t", f"app:{tag}", *BOTH, "-o", f"type=oci,tar=false,dest={folder}", context)
    entries = json.loads((folder / "index.json").read_text())["manifests"]
    names = [entry["annotations"]["io.containerd.image.name"] for entry in entries]
    assert names == ["docker.io/library/app:1", "docker.io/library/app:2"]
    index = json.loads((folder / "blobs/sha256" / entries[1]["digest"].partition(":")[2]).read_text())
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]
    done = lamina(daemon, "build", "-o", "type=oci,tar=false", context)
    assert done.returncode != 0
    assert b"dest=FOLDER" in done.stderr


@pytest.mark.root
def test_a_platform_leaves_an_image_for_several(daemon: Daemon, context: Path) -> None:
    build(daemon, *BOTH, "-t", "several", context)
    history = ("history", "--no-trunc", "--quiet", "several")
    of_amd, of_arm = (lamina(daemon, *history, "--platform", f"linux/{name}").stdout for name in ("amd64", "arm64"))
    assert of_amd != of_arm
    assert b"linux/riscv64" in lamina(daemon, "rmi", "--platform", "linux/riscv64", "several").stderr
    assert lamina(daemon, "rmi", "--platform", "linux/amd64", "several").stdout.startswith(b"Deleted: sha256:")
    assert lamina(daemon, *history).stdout == of_arm
    assert lamina(daemon, "rmi", "--platform", "linux/arm64", "several").stdout.startswith(b"Untagged: several:latest")


@pytest.mark.root
def test_an_output_to_the_standard_output_is_alone_there(daemon: Daemon, context: Path) -> None:
    done = build(daemon, "-o", "-", context)
    listed = subprocess.run(["tar", "tf", "-"], input=done.stdout, capture_output=True, check=True).stdout
    assert listed.decode().split() == [f"for-{_architecture(daemon)}"]
    assert b"Step 1/3" in done.stderr


def _architecture(daemon: Daemon) -> str:
    return daemon.text("version", "--format", "{{.Server.Arch}}")


@pytest.mark.root
def test_a_push_of_what_is_attested(daemon: Daemon, context: Path, registry: Running, tmp_path: Path) -> None:
    name, id = f"{registry.address}/app", tmp_path / "id"
    build(daemon, *BOTH, "-t", name, "--push", "--provenance", "mode=min", "--sbom", "true", "--iidfile", id, context)
    command = [*LAMINA, "manifest", "inspect", "--insecure", name]
    raw = subprocess.run(command, capture_output=True, check=True, env={**os.environ}).stdout
    platforms = [entry["platform"]["architecture"] for entry in json.loads(raw)["manifests"]]
    assert platforms == ["amd64", "arm64", "unknown", "unknown"]
    assert daemon.text("inspect", "--format", "{{.Architecture}}", id.read_text()) == _architecture(daemon)


def test_outputs_are_read_as_buildx_reads_them() -> None:
    read = outputs(
        ["out", "-", "type=oci", "type=image,name=x,push=true,annotation.A=b"],
        ["k=v", "index,manifest:i=j"],
        push=True,
        load=True,
    )
    notes = {"annotation.k": "v", "annotation-index.i": "j", "annotation-manifest.i": "j"}
    assert [(output.type, output.attrs) for output in read] == [
        ("local", {"dest": "out"}),
        ("tar", {"dest": "-"}),
        ("oci", {**notes, "dest": "-"}),
        ("image", {**notes, "name": "x", "push": "true", "annotation.A": "b"}),
        ("image", {**notes, "push": "true"}),
    ]
    assert [output.type for output in outputs([], [], push=False, load=True)] == ["docker"]
    assert outputs([], [], push=False, load=False) == ()


@pytest.mark.parametrize("text", ["dest=x,y=z", "type=oci,dest", "name=x,push"])
def test_wrong_outputs_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        outputs([text], [], push=False, load=False)


def test_caches_go_to_a_registry_and_come_from_it(
    daemon: Daemon, context: Path, registry: Running, tmp_path: Path
) -> None:
    name = f"{registry.address}/cache"
    build(daemon, "--cache-to", f"type=registry,ref={name},mode=max", "-t", "cached", context)
    with lamina_daemon() as other:
        done = build(other, "--cache-from", f"type=registry,ref={name}", "-t", "cached", context)
        assert b"Using cache" in done.stdout
        assert other.text("images", "-q", "cached") == daemon.text("images", "-q", "cached")


def test_caches_are_read_as_buildx_reads_them() -> None:
    read = caches(["host/app:cache", "type=registry,ref=host/app,mode=max"])
    assert [(option.type, option.attrs) for option in read] == [
        ("registry", {"ref": "host/app:cache"}),
        ("registry", {"ref": "host/app", "mode": "max"}),
    ]
    for wrong in ("ref=x", "type=registry,ref"):
        with pytest.raises(InvalidInput):
            caches([wrong])


def test_attestations_are_read_from_all_their_flags() -> None:
    assert attestations("mode=max", "", ["type=sbom,x=y"]) == {"provenance": "mode=max", "sbom": "x=y"}
    with pytest.raises(InvalidInput, match="needs one type"):
        attestations("", "", ["mode=max"])
