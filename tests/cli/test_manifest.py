"""`lamina manifest`: lists of images for several platforms, beside `docker manifest`, which shares its files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.formats.descriptor import DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from support.engines import LAMINA, Cli
from support.programs import CLIENT_20, need
from support.registries import Raw

AMD64, ARM64 = "app/one:amd64", "app/two:arm64"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry with an image in each of two repositories."""
    root = tmp_path_factory.mktemp("registry")
    command = [*LAMINA, "registry", "serve", "--root", str(root), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            address = process.stderr.readline().decode().split()[-1]
            raw = Raw(address)
            for name in (AMD64, ARM64):
                push_image(raw, *name.split(":"))
            raw.close()
            yield address
        finally:
            process.terminate()


def push_image(raw: Raw, repository: str, tag: str) -> None:
    """Of Docker's type and form, the only ones that its old clients know, and for amd64."""
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    parts = [json.dumps(config).encode(), tag.encode() * 5000]
    for part in parts:
        raw.push_blob(repository, part)
    types = DOCKER_CONFIG, DOCKER_LAYER_GZIP
    listed = [
        {"mediaType": kind, "size": len(part), "digest": str(Digest.of(part))}
        for kind, part in zip(types, parts, strict=True)
    ]
    document = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": listed[0], "layers": listed[1:]}
    raw.push_manifest(repository, tag, Manifest.parse(json.dumps(document, indent=3).encode()))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Without any daemon."""
    return Cli("unix:///nowhere", tmp_path)


def create(cli: Cli, registry: str, target: str) -> None:
    told = cli.text("manifest", "create", target, f"{registry}/{AMD64}", f"{registry}/{ARM64}")
    assert told == f"Created manifest list {target}\n"
    cli("manifest", "annotate", "--arch", "arm64", "--variant=v8", target, f"{registry}/{ARM64}")


def platforms(shown: str) -> list[dict[str, str]]:
    return [entry["platform"] for entry in json.loads(shown)["manifests"]]


PLATFORMS = [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux", "variant": "v8"}]


def test_a_list_is_made_annotated_pushed_and_shown(cli: Cli, registry: str) -> None:
    target = f"{registry}/app/one:1"
    create(cli, registry, target)
    assert platforms(cli.text("manifest", "inspect", target)) == PLATFORMS
    pushed = cli.text("manifest", "push", "--purge", target).strip()
    assert "No such manifest" in cli.fails("manifest", "push", target, code=1)
    assert platforms(cli.text("manifest", "inspect", target)) == PLATFORMS
    assert platforms(cli.text("manifest", "inspect", f"{registry}/app/one@{pushed}")) == PLATFORMS
    detailed = json.loads(cli.text("manifest", "inspect", "-v", target))
    assert [entry["Descriptor"]["platform"] for entry in detailed] == PLATFORMS
    assert all(entry["SchemaV2Manifest"]["layers"] for entry in detailed)
    one = json.loads(cli.text("manifest", "inspect", detailed[1]["Ref"]))
    assert one == detailed[1]["SchemaV2Manifest"]


@pytest.mark.peer
def test_dockers_client_and_ours_go_on_with_each_others_lists(cli: Cli, registry: str) -> None:
    environment = {**os.environ, "DOCKER_CONFIG": str(cli.config)}

    def docker(*arguments: str) -> str:
        command = [need(CLIENT_20), "manifest", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout

    ours, theirs = f"{registry}/app/one:ours", f"{registry}/app/one:theirs"
    create(cli, registry, ours)
    assert platforms(docker("inspect", ours)) == PLATFORMS
    docker("annotate", "--os-version", "7", ours, f"{registry}/{AMD64}")
    assert "sha256:" in docker("push", "--insecure", ours)
    assert platforms(cli.text("manifest", "inspect", ours))[0]["os.version"] == "7"
    docker("create", "--insecure", theirs, f"{registry}/{AMD64}", f"{registry}/{ARM64}")
    cli("manifest", "annotate", "--arch", "arm64", "--variant", "v8", theirs, f"{registry}/{ARM64}")
    cli("manifest", "push", "-p", theirs)
    assert platforms(docker("inspect", "--insecure", theirs)) == PLATFORMS


def test_what_cannot_be_is_told(cli: Cli, registry: str) -> None:
    target, image = f"{registry}/app/one:never", f"{registry}/{AMD64}"
    assert "No such manifest" in cli.fails("manifest", "annotate", "--os", "linux", target, image, code=1)
    assert "has no manifest none" in cli.fails("manifest", "create", target, f"{registry}/app/one:none", code=1)
    assert "No such manifest" in cli.fails("manifest", "rm", target, code=1)
    create(cli, registry, target)
    assert "--amend" in cli.fails("manifest", "create", target, image, code=1)
    cli("manifest", "create", "-a", target, image)
    assert "has no image" in cli.fails("manifest", "annotate", "--os", "linux", target, f"{registry}/x", code=1)
    for file in (cli.config / "manifests").glob("*/*"):
        file.write_text("{}")
    assert "damaged" in cli.fails("manifest", "inspect", target, code=1)
    cli("manifest", "rm", target)
    pushed = f"{registry}/app/one:list"
    create(cli, registry, pushed)
    cli("manifest", "push", "-p", pushed)
    assert "is a list itself" in cli.fails("manifest", "create", target, pushed, code=1)
