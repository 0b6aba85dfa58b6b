"""Compose 5 and buildx, which drive builds over the gateway, work unmodified."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import lamina
from lamina.formats.descriptor import OCI_INDEX
from lamina.linux.layout_folder import LayoutFolder
from support.buildx_projects import add_busybox, daemon, project, read, run
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA
from support.programs import BUILDX
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["daemon", "project", "registry", "start"]

pytestmark = [pytest.mark.root, pytest.mark.peer]

COMPOSE = str(Path(sys.executable).with_name("docker-compose"))


def test_compose_builds_with_secrets_and_additional_contexts(daemon: Daemon, project: Path) -> None:
    run(daemon, project, COMPOSE, "--progress", "plain", "build")
    assert read(daemon, "compose-two", "/all") == "ada\nword\nhere"

    again = run(daemon, project, COMPOSE, "--progress", "plain", "build")
    assert "CACHED" in again.stdout + again.stderr


def test_compose_names_the_step_that_failed(daemon: Daemon, project: Path) -> None:
    (project / "compose.yaml").write_text("services: {bad: {build: {context: ., dockerfile: Bad}}}\n")
    (project / "Bad").write_text("FROM busybox\nRUN exit 9\n")
    done = run(daemon, project, COMPOSE, "--progress", "plain", "build", check=False)

    assert done.returncode != 0
    assert 'process "/bin/sh -c exit 9" did not complete successfully: exit code: 9' in done.stdout + done.stderr


def test_buildx_builds_loads_and_gives_out(daemon: Daemon, project: Path, tmp_path: Path) -> None:
    meta = tmp_path / "meta"
    run(daemon, project, BUILDX, "build", "--load", "-t", "by-buildx", "--metadata-file", str(meta), ".")
    assert read(daemon, "by-buildx", "/made") == "made"
    assert daemon.text("images", "-q", "--no-trunc", "by-buildx") in meta.read_text()

    run(daemon, project, BUILDX, "build", "-o", str(tmp_path / "out"), ".")
    assert (tmp_path / "out/here").read_text() == "here\n"
    assert "Completed" in run(daemon, project, BUILDX, "history", "ls").stdout


def test_buildx_takes_its_cache_to_another_daemon(
    daemon: Daemon, project: Path, registry: Running, busybox_tar: Path
) -> None:
    cache, image = f"type=registry,ref={registry.address}/cache:1", f"{registry.address}/app:1"
    build = (BUILDX, "build", "--progress", "plain", "--provenance=false", "-t", image)
    run(daemon, project, *build, "--push", "--cache-to", f"{cache},mode=max", "--cache-to", "type=inline", ".")
    for source in (cache, image):
        with lamina_daemon() as other:
            add_busybox(other, busybox_tar)
            done = run(other, project, *build, "--load", "--cache-from", source, ".")
            assert done.stderr.count("CACHED") == 2, done.stderr
            layers = [each.text("inspect", "--format", "{{json .RootFS.Layers}}", image) for each in (daemon, other)]
            assert layers[0] == layers[1]

    done = run(daemon, project, *build, "--cache-from", f"{registry.address}/missing", ".")
    assert f"importing cache manifest from {registry.address}/missing:latest" in done.stderr
    assert f"The cache {registry.address}/missing:latest is not used: " in done.stderr

    done = run(daemon, project, BUILDX, "build", "--cache-to", "type=azblob,name=x", ".", check=False)
    assert done.returncode != 0
    assert "a cache of the type 'azblob' is not supported" in done.stderr


@pytest.mark.parametrize(
    "options", ["", ",mode=max,compression=zstd", ",image-manifest=false,compression=uncompressed"]
)
def test_buildx_keeps_a_cache_in_a_folder(daemon: Daemon, project: Path, busybox_tar: Path, options: str) -> None:
    (project / "Dockerfile").write_text(
        "FROM busybox AS tools\nRUN echo hammer > /tool\n"
        "FROM busybox\nCOPY --from=tools /tool /copied\nRUN echo made > /made\n"
    )
    build = (BUILDX, "build", "--progress", "plain", "--provenance=false", "--load", "-t", "app")
    run(daemon, project, *build, "--cache-to", f"type=local,dest=kept,tag=main{options}", ".")
    layout = LayoutFolder(project / "kept")
    manifest = layout.tagged("main")
    assert manifest is not None
    assert (manifest.media_type == OCI_INDEX) is ("image-manifest=false" in options)
    with lamina_daemon() as other:
        add_busybox(other, busybox_tar)
        done = run(other, project, *build, "--cache-from", "type=local,src=kept,tag=main", ".")
        assert done.stderr.count("CACHED") == (3 if "mode=max" in options else 2), done.stderr
        layers = [each.text("inspect", "--format", "{{json .RootFS.Layers}}", "app") for each in (daemon, other)]
        assert layers[0] == layers[1]
    run(daemon, project, *build, "--cache-to", f"type=local,dest=kept,tag=main{options}", ".")
    assert layout.tagged("main") == manifest, "the same steps give the same cache"


def test_buildx_checks_and_describes_a_dockerfile(daemon: Daemon, project: Path) -> None:
    (project / "Dockerfile").write_text("# Top is all\nFROM busybox AS Top\n# WHO is greeted\nARG WHO=ada\nCMD echo\n")
    done = run(daemon, project, BUILDX, "build", "--check", ".", check=False)
    assert (done.returncode, "2 warnings have been found" in done.stdout) == (1, True)
    found = json.loads(run(daemon, project, BUILDX, "build", "--call=check,format=json", ".", check=False).stdout)
    assert [warning["ruleName"] for warning in found["warnings"]] == ["StageNameCasing", "JSONArgsRecommended"]
    assert "is greeted" in run(daemon, project, BUILDX, "build", "--call=outline", ".").stdout
    assert "top (default)" in run(daemon, project, BUILDX, "build", "--call=targets", ".").stdout


def test_buildx_shows_warnings_and_the_lines_of_an_error(daemon: Daemon, project: Path) -> None:
    (project / "Dockerfile").write_text("FROM busybox AS Top\nRUN echo told; \\\n  exit 3\n")
    done = run(daemon, project, BUILDX, "build", "--progress", "plain", ".", check=False)
    assert "1 warning found" in done.stderr
    assert "StageNameCasing: Stage name 'Top' should be lowercase (line 1)" in done.stderr
    assert "Dockerfile:2\n" in done.stderr
    assert "   2 | >>> RUN echo told; \\\n   3 | >>>   exit 3\n" in done.stderr

    (project / "Dockerfile").write_text("# check=error=true\nFROM busybox AS Top\n")
    done = run(daemon, project, BUILDX, "build", "--progress", "plain", ".", check=False)
    assert done.returncode != 0
    assert "lint violation found for rules: StageNameCasing" in done.stderr


def test_buildx_bakes_targets_that_are_linked(daemon: Daemon, project: Path) -> None:
    run(daemon, project, BUILDX, "bake")
    assert read(daemon, "bake-top", "/all") == "low\nhere"


def test_buildx_takes_a_context_from_standard_input(daemon: Daemon, project: Path) -> None:
    run(
        daemon,
        project,
        BUILDX,
        "build",
        "--load",
        "-t",
        "streamed",
        "-",
        stdin="FROM busybox\nRUN echo streamed > /s\n",
    )
    assert read(daemon, "streamed", "/s") == "streamed"


def test_compose_builds_for_several_platforms(daemon: Daemon, project: Path) -> None:
    service = "{image: compose-many, build: {context: ., dockerfile: Many, platforms: [linux/amd64, linux/arm64]}}"
    (project / "compose.yaml").write_text(f"services: {{many: {service}}}\n")
    (project / "Many").write_text("FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\nCOPY here /here\n")
    run(daemon, project, COMPOSE, "--progress", "plain", "build")
    command = [*LAMINA, "--host", daemon.host, "image", "inspect", "--platform", "linux/arm64", "compose-many"]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]
    assert (shown["Architecture"], shown["Config"]["Labels"]["for"]) == ("arm64", "arm64")


def test_buildx_gives_out_several_platforms(daemon: Daemon, project: Path, tmp_path: Path) -> None:
    (project / "Dockerfile").write_text("FROM scratch\nCOPY here /here\n")
    both = ("--platform", "linux/amd64,linux/arm64", "--provenance=false")
    archive = f"type=oci,dest={tmp_path}/two.tar"
    run(daemon, project, BUILDX, "build", *both, "-t", "two", "-o", str(tmp_path / "out"), "-o", archive, ".")
    assert (tmp_path / "out/linux_arm64/here").read_text() == "here\n"
    shown = run(daemon, project, "skopeo", "inspect", "--raw", f"oci-archive:{tmp_path}/two.tar").stdout
    platforms = [entry["platform"]["architecture"] for entry in json.loads(shown)["manifests"]]
    assert platforms == ["amd64", "arm64"]


def test_compose_attests_what_it_builds(daemon: Daemon, project: Path) -> None:
    build = "{context: ., dockerfile: Attested, provenance: mode=max, sbom: true}"
    (project / "compose.yaml").write_text(f"services: {{said: {{image: compose-said, build: {build}}}}}\n")
    (project / "Attested").write_text("FROM busybox\nCOPY status /var/lib/dpkg/\n")
    (project / "status").write_text("Package: zlib1g\nVersion: 1.3\n")
    run(daemon, project, COMPOSE, "--progress", "plain", "build")
    with lamina.connect(daemon.host) as client:
        told = client.images.attestations("compose-said")
        (packages,) = client.images.attestations("compose-said", types=["https://spdx.dev/Document"], statements=True)
    assert {each.predicate_type for each in told} == {"https://slsa.dev/provenance/v1", "https://spdx.dev/Document"}
    assert not any(each.statement for each in told)
    assert '"versionInfo": "1.3"' in json.dumps(packages.statement)


def test_buildx_reads_the_attestations_of_what_it_pushed(daemon: Daemon, project: Path, registry: Running) -> None:
    name = f"{registry.address}/said"
    both = ("--platform", "linux/amd64,linux/arm64", "--provenance", "mode=max", "--sbom=true")
    (project / "Dockerfile").write_text("FROM scratch\nCOPY here /here\n")
    run(daemon, project, BUILDX, "build", *both, "-t", name, "--push", ".")
    told = [
        json.loads(
            run(daemon, project, BUILDX, "imagetools", "inspect", name, "--format", f"{{{{json .{part}}}}}").stdout
        )
        for part in ("Provenance", "SBOM")
    ]
    assert told[0]["linux/arm64"]["SLSA"]["buildDefinition"]["buildType"].startswith("https://")
    assert told[1]["linux/amd64"]["SPDX"]["spdxVersion"] == "SPDX-2.3"


def test_a_named_context_may_be_nothing(daemon: Daemon, project: Path) -> None:
    (project / "Dockerfile").write_text("FROM base\nCOPY here /\n")
    nothing = "base=docker-image://scratch"
    run(daemon, project, BUILDX, "build", "--build-context", nothing, "--load", "-t", "on-nothing", ".")
    assert daemon.text("image", "inspect", "-f", "{{len .RootFS.Layers}}", "on-nothing") == "1"


def test_a_named_context_may_be_an_oci_layout(daemon: Daemon, project: Path) -> None:
    (project / "Dockerfile").write_text("FROM busybox\nCOPY here /from-layout\n")
    run(daemon, project, BUILDX, "build", "-o", "type=oci,dest=layout.tar", ".")
    layout = project / "layout"
    with tarfile.open(project / "layout.tar") as archive:
        archive.extractall(layout, filter="data")
    (manifest,) = json.loads((layout / "index.json").read_text())["manifests"]
    (project / "Dockerfile").write_text("FROM other\nRUN test -e /from-layout\n")
    named = f"other=oci-layout://{layout}@{manifest['digest']}"
    run(daemon, project, BUILDX, "build", "--build-context", named, ".")
    (layout / "blobs/sha256" / manifest["digest"].partition(":")[2]).unlink()
    failed = run(daemon, project, BUILDX, "build", "--no-cache", "--build-context", named, ".", check=False)
    assert "not found" in failed.stderr
