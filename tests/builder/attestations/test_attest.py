"""What a build attests: provenance in both versions and modes, and packages."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.attestations.attest import attested
from lamina.builder.attestations.facts import BuildFacts
from lamina.builder.attestations.options import AttestationOptions, Generator
from lamina.builder.build_run import BuildUse
from lamina.builder.context.source import from_directory
from lamina.builder.export.result import PlatformImage, Result
from lamina.errors import InvalidInput, Unsupported
from support.exports import Taker, export
from support.workshop import FILES, Workshop

ATTRIBUTES = {
    "filename": "docker/Dockerfile",
    "build-arg:VERSION": "7",
    "label:a": "b",
    "target": "last",
    "platform": "linux/amd64",
    "image-resolve-mode": "local",
    "attest:provenance": "mode=max",
    "vcs:source": "https://me:secret@example.com/repo.git",
    "vcs:revision": "abc",
}
DOCKERFILE = "FROM base\nARG VERSION\nCOPY a.txt /\nLABEL v=$VERSION\n"


def made(workshop: Workshop, asked: dict[str, str], attributes: dict[str, str] | None = None, **facts: Any) -> Result:
    """A result of a build on an image, with what it is asked to attest."""
    workshop.build("FROM scratch\nCOPY dir /\n", FILES, BuildRequest(tags=("base",)))
    built = workshop.run(from_directory(workshop.context(DOCKERFILE, FILES)), BuildRequest(build_args={"VERSION": "7"}))
    item = PlatformImage(built.image.platform, built.image, use=built.use, dockerfile=DOCKERFILE, **facts)
    options = AttestationOptions.parse(asked)
    return attested(Result((item,)), BuildFacts.of(ATTRIBUTES if attributes is None else attributes), options)


def predicate(result: Result) -> Any:
    (attestation,) = result.single.attestations
    return attestation.predicate


def test_full_provenance_tells_the_request_and_the_dockerfile(workshop: Workshop) -> None:
    result = made(workshop, {"provenance": "mode=max,builder-id=https://ci.example/7,reproducible=true"})
    (attestation,) = result.single.attestations
    assert attestation.predicate_type == "https://slsa.dev/provenance/v1"
    told = predicate(result)
    definition, details = told["buildDefinition"], told["runDetails"]
    assert definition["externalParameters"]["configSource"] == {"path": "docker/Dockerfile"}
    request = definition["externalParameters"]["request"]
    assert request["frontend"] == "dockerfile.v0"
    assert request["args"] == {"build-arg:VERSION": "7", "label:a": "b", "target": "last"}
    assert request["locals"] == [{"name": "context"}, {"name": "dockerfile"}]
    (base,) = definition["resolvedDependencies"]
    image = workshop.images.get("base")
    manifest = workshop.images.manifest(image).digest
    platform = str(image.platform).replace("/", "%2F")
    assert base == {"uri": f"pkg:docker/base@latest?platform={platform}", "digest": {"sha256": manifest.encoded}}
    assert details["builder"] == {"id": "https://ci.example/7"}
    metadata = details["metadata"]
    assert metadata["buildkit_reproducible"] is True
    assert metadata["buildkit_completeness"] == {"request": True, "resolvedDependencies": False}
    assert "buildkit_hermetic" not in metadata
    known = metadata["buildkit_metadata"]
    assert known["vcs"] == {"source": "https://example.com/repo.git", "revision": "abc"}
    (source,) = known["source"]["infos"]
    assert base64.b64decode(source["data"]).decode() == DOCKERFILE
    assert metadata["startedOn"] <= metadata["finishedOn"]


def test_the_least_provenance_keeps_arguments_and_labels_back(workshop: Workshop) -> None:
    told = predicate(made(workshop, {"provenance": "mode=min"}))
    external = told["buildDefinition"]["externalParameters"]
    assert external["request"]["args"] == {"target": "last"}
    metadata = told["runDetails"]["metadata"]
    assert metadata["buildkit_completeness"]["request"] is False
    assert "source" not in metadata["buildkit_metadata"]


def test_the_older_version_has_the_same_facts_in_its_own_places(workshop: Workshop) -> None:
    result = made(workshop, {"provenance": "version=v0.2"})
    (attestation,) = result.single.attestations
    assert attestation.predicate_type == "https://slsa.dev/provenance/v0.2"
    told = predicate(result)
    assert told["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert told["invocation"]["configSource"] == {"entryPoint": "docker/Dockerfile"}
    assert told["invocation"]["parameters"]["args"]["build-arg:VERSION"] == "7"
    assert len(told["materials"]) == 1
    assert told["metadata"]["completeness"] == {"parameters": True, "environment": True, "materials": False}


def test_a_repository_is_a_material(workshop: Workshop) -> None:
    built = workshop.build("FROM scratch\nCOPY dir /\n", FILES)
    use = BuildUse(context=(("sha1", "abc"),), downloads=(("https://example.com/f", (("sha256", "00"),)),))
    item = PlatformImage(built.platform, built, use=use)
    facts = BuildFacts.of({"context": "https://token@example.com/r.git#main"})
    options = AttestationOptions.parse({"provenance": "mode=max,complete-materials=true"})
    told = predicate(attested(Result((item,)), facts, options))
    address = "https://example.com/r.git#main"
    assert told["buildDefinition"]["externalParameters"]["configSource"] == {"uri": address, "digest": {"sha1": "abc"}}
    assert told["buildDefinition"]["resolvedDependencies"] == [
        {"uri": "https://example.com/f", "digest": {"sha256": "00"}},
        {"uri": address, "digest": {"sha1": "abc"}},
    ]
    assert told["runDetails"]["metadata"]["buildkit_hermetic"] is True


def test_complete_materials_are_refused_where_files_were_sent(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match="provenance materials are incomplete"):
        made(workshop, {"provenance": "complete-materials=true"})


def test_packages_are_attested_with_the_builds_time(workshop: Workshop) -> None:
    files = {"var/lib/dpkg/status": "Package: zlib1g\nVersion: 1\nArchitecture: all\n"}
    image = workshop.build("FROM scratch\nCOPY var /var\n", files)
    item = PlatformImage(image.platform, image, epoch=1700000000)
    options = AttestationOptions.parse({"sbom": "true"})
    one, two = (attested(Result((item,)), BuildFacts({}), options) for _ in range(2))
    document = predicate(one)
    assert document == predicate(two)
    assert document["spdxVersion"] == "SPDX-2.3"
    assert document["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    names = {package["name"]: package for package in document["packages"]}
    assert names["zlib1g"]["versionInfo"] == "1"
    assert names["zlib1g"]["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/zlib1g@1?arch=all"
    ids = [package["SPDXID"] for package in document["packages"]]
    assert {each["relatedSpdxElement"] for each in document["relationships"]} == set(ids)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"provenance": "mode=most"}, 'invalid mode "most"'),
        ({"provenance": "version=v9"}, "invalid provenance SLSA version"),
        ({"provenance": "reproducible=so"}, "failed to parse reproducible flag"),
        ({"signature": ""}, 'unknown attestation type "signature"'),
        ({"sbom": "generator=docker/scanner,A B=c"}, "invalid parameter 'A B'"),
    ],
)
def test_what_cannot_be_attested_is_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises((InvalidInput, Unsupported), match=message):
        AttestationOptions.parse(asked)


def test_a_generator_has_parameters(workshop: Workshop) -> None:
    options = AttestationOptions.parse({"sbom": "generator=docker/scanner,LOG_LEVEL=debug"})
    assert options.generator == Generator("docker/scanner", {"LOG_LEVEL": "debug"})
    image = workshop.build("FROM scratch\nCOPY a /\n", {"a": "1"})
    with pytest.raises(Unsupported, match="cannot be run here"):
        attested(Result((PlatformImage(image.platform, image),)), BuildFacts({}), options)


def test_attestations_that_are_switched_off_are_none() -> None:
    off = {"attest:provenance": "mode=max,disabled=true", "build-arg:BUILDKIT_ATTEST_SBOM": "false"}
    assert not AttestationOptions.of(off).any
    assert AttestationOptions.of({"build-arg:BUILDKIT_ATTEST_SBOM": ""}).packages


def test_inline_attestations_stay_out_of_folders(workshop: Workshop) -> None:
    for inline, names in (("true", []), ("false", ["provenance.json"])):
        taker = Taker()
        export(workshop, made(workshop, {"provenance": f"mode=min,inline-only={inline}"}), "local", taker)
        assert [name for name in taker.files if name.endswith(".json")] == names
