"""What today's clients of Docker ask of builds: layouts, single platforms, source policies, SBOM generators."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from lamina.formats.manifest import Manifest
from lamina.linux.layout_folder import LayoutFolder
from support.buildx_projects import daemon, project, read, run
from support.daemons import Daemon
from support.engines import LAMINA
from support.programs import BUILDX, CLIENT_NEWEST

__all__ = ["daemon", "project"]

pytestmark = [pytest.mark.root, pytest.mark.peer]


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
