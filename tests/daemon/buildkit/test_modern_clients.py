"""Compose 5 and buildx, which drive builds over the gateway, work unmodified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import lamina
from lamina.formats.descriptor import OCI_INDEX
from lamina.formats.manifest import Manifest
from lamina.linux.layout_folder import LayoutFolder
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA
from support.programs import BUILDX, CLIENT_NEWEST, need
from support.registries import Running
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]

pytestmark = [pytest.mark.root, pytest.mark.peer]

COMPOSE = str(Path(sys.executable).with_name("docker-compose"))
PROJECT = """
services:
  one:
    image: compose-one
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        ARG WHO
        COPY --from=extra word /word
        COPY here /here
        RUN --mount=type=secret,id=token test $(cat /run/secrets/token) = s3cr3t && echo $$WHO > /who
      args: {WHO: ada}
      additional_contexts: {extra: ../extra}
      secrets: [token]
  two:
    image: compose-two
    build:
      context: .
      dockerfile_inline: |
        FROM one
        RUN cat /who /word /here > /all
      additional_contexts: {one: "service:one"}
secrets:
  token: {file: ../token}
"""
BAKE = """
group "default" { targets = ["base", "top"] }
target "base" {
  context = "."
  dockerfile-inline = "FROM busybox\\nRUN echo low > /low\\n"
  tags = ["bake-base"]
}
target "top" {
  context = "."
  dockerfile-inline = "FROM low\\nCOPY here /here\\nRUN cat /low /here > /all\\n"
  contexts = { low = "target:base" }
  tags = ["bake-top"]
}
"""


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        (daemon.folder / "cli-plugins").mkdir()
        (daemon.folder / "cli-plugins/docker-buildx").symlink_to(need(BUILDX))  # Compose builds with it
        add_busybox(daemon, busybox_tar)
        yield daemon


def add_busybox(daemon: Daemon, tar: Path) -> None:
    command = [*LAMINA, "--host", daemon.host, "import", "-c", 'CMD ["sh"]', str(tar), "busybox"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("s3cr3t")
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/word").write_text("word\n")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "here").write_text("here\n")
    (folder / "compose.yaml").write_text(PROJECT)
    (folder / "docker-bake.hcl").write_text(BAKE)
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY here /here\nRUN echo made > /made\n")
    return folder


def run(
    daemon: Daemon, folder: Path, *command: str, check: bool = True, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(daemon.folder)}
    done = subprocess.run(
        [need(command[0]), *command[1:]],
        env=environment,
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done


def read(daemon: Daemon, image: str, path: str) -> str:
    return daemon.text("run", "--rm", "--network", "none", image, "cat", path)


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


def test_buildx_makes_a_layout_in_a_folder(daemon: Daemon, project: Path) -> None:
    for name in ("first", "second"):
        build = ("build", "--provenance=false", "-t", f"layout:{name}", "-o", "type=oci,tar=false,dest=layout", ".")
        run(daemon, project, BUILDX, *build)
    layout = LayoutFolder(project / "layout")
    first, second = layout.tagged("first"), layout.tagged("second")
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
    with layout.open(first.digest) as file:
        manifest = Manifest.parse(file.read())
    assert [layout.size(blob.digest) for blob in manifest.layers] == [blob.size for blob in manifest.layers]
    (project / "Dockerfile").write_text("FROM layout\nRUN cat /here /made > /both\n")
    run(daemon, project, BUILDX, "build", "-t", "both", "--build-context", "layout=oci-layout://layout:first", ".")
    assert read(daemon, "both", "/both") == "here\nmade"


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


def test_docker_handles_one_platform_of_several(daemon: Daemon, project: Path) -> None:
    (project / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY here /$TARGETARCH\n")
    platforms = "linux/amd64,linux/arm64,linux/s390x"
    run(daemon, project, BUILDX, "build", "--platform", platforms, "--provenance=false", "-t", "three", "--load", ".")

    def docker(*arguments: str, check: bool = True) -> str:
        done = run(daemon, project, CLIENT_NEWEST, "image", *arguments, check=check)
        return done.stdout + done.stderr if done.returncode else done.stdout.strip()

    def inspect(architecture: str) -> str:
        platform = ("--platform", f"linux/{architecture}")
        return docker("inspect", *platform, "--format", "{{.Architecture}}", "three", check=False)

    docker("save", "--platform", "linux/arm64", "-o", "arm64.tar", "three")
    assert "Deleted: sha256:" in docker("rm", "--platform", "linux/arm64", "three")
    assert "not for linux/arm64" in inspect("arm64")
    assert [inspect(each) for each in ("amd64", "s390x")] == ["amd64", "s390x"]
    assert "not for linux/arm64" in docker("rm", "--platform", "linux/arm64", "three", check=False)
    docker("rm", "--platform", "linux/amd64", "--platform", "linux/s390x", "three")
    assert "No such image" in docker("inspect", "three", check=False)
    docker("load", "--platform", "linux/arm64", "-i", "arm64.tar")
    assert inspect("arm64") == "arm64"


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


def test_a_source_policy_denies_and_changes_images(
    daemon: Daemon, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", str(project.parent / "policy.json"))
    build = (BUILDX, "build", "-t", "by-policy", ".")

    def follow(*rules: Mapping[str, object]) -> None:
        (project.parent / "policy.json").write_text(json.dumps({"version": 1, "rules": rules}))

    deny_all = {"action": "DENY", "selector": {"identifier": "docker-image://*"}}
    follow(deny_all)
    refused = run(daemon, project, *build, check=False)
    assert 'source "docker-image://docker.io/library/busybox:latest" denied by policy' in refused.stderr
    follow(deny_all, {"action": "ALLOW", "selector": {"identifier": "docker-image://docker.io/library/busybox:*"}})
    run(daemon, project, *build)
    changed = {"identifier": "docker-image://docker.io/library/$1:latest"}
    follow({"action": "CONVERT", "selector": {"identifier": "docker-image://nosuch.test/*:1"}, "updates": changed})
    (project / "Dockerfile").write_text("FROM nosuch.test/busybox:1\nCOPY here /changed\n")
    run(daemon, project, *build)
    assert read(daemon, "by-policy", "/changed") == "here"
    (project / "Dockerfile").write_text("FROM busybox\nADD https://nosuch.test/file /\n")
    follow({"action": "DENY", "selector": {"identifier": "https://nosuch[.]test/", "match_type": "REGEX"}})
    refused = run(daemon, project, *build, check=False)
    assert 'source "https://nosuch.test/file" denied by policy' in refused.stderr


SCANNER = """FROM busybox
COPY <<'EOF' /scan.sh
set -e
! touch $BUILDKIT_SCAN_SOURCE/file 2>/dev/null
cat > $BUILDKIT_SCAN_DESTINATION/$(basename $BUILDKIT_SCAN_SOURCE).spdx.json <<END
{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"name": "$(cat $BUILDKIT_SCAN_SOURCE/here) $(echo "$BUILDKIT_SCAN_WORD" | tr '\\\\' /)"}}
END
EOF
USER nobody
WORKDIR /elsewhere
ENTRYPOINT ["/bin/sh"]
CMD ["/scan.sh"]
"""


def test_an_image_may_find_the_packages(daemon: Daemon, project: Path) -> None:
    (project / "Scanner").write_text(SCANNER)
    run(daemon, project, BUILDX, "build", "--load", "-t", "scanner", "-f", "Scanner", ".")
    run(daemon, project, BUILDX, "build", "--sbom=generator=scanner,WORD=$a \\", "-o", "type=local,dest=out", ".")
    statement = json.loads((project / "out/sbom.spdx.json").read_text())
    assert statement["predicate"] == {"name": "here $a /"}
    command = [*LAMINA, "--host", daemon.host, "build", "--sbom", "generator=scanner,WORD=word", "-o", "own", "."]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    assert json.loads((project / "own/sbom.spdx.json").read_text())["predicate"] == {"name": "here word"}
    (project / "Scanner").write_text('FROM busybox\nCMD ["false"]\n')
    run(daemon, project, BUILDX, "build", "--load", "-t", "scanner", "-f", "Scanner", ".")
    failed = run(daemon, project, BUILDX, "build", "--sbom=generator=scanner", "-o", "out", ".", check=False)
    assert "the SBOM generator scanner failed" in failed.stderr


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
