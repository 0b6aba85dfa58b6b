"""SLSA provenance of an image, in versions 1 and 0.2, as BuildKit writes it.

Rule: moby/buildkit, docs/attestations/slsa-definitions.md; solver/llbsolver/provenance, predicate.go and types.go. In
the mode "min" arguments and labels are left out. There is no graph of BuildKit's kind, so in the mode "max", whose
readers expect one, it is described as empty.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lamina.builder.attestations.facts import BuildFacts, digest_set
from lamina.builder.attestations.options import ProvenanceOptions
from lamina.builder.build_run import BuildUse
from lamina.builder.export.result import Attestation, PlatformImage
from lamina.builder.export.statements import package_url
from lamina.errors import InvalidInput
from lamina.formats.platform import Platform
from lamina.formats.times import format_time

_TYPE_V1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_TYPE_V02 = "https://mobyproject.org/buildkit@v1"
_PREDICATES = {"v1": "https://slsa.dev/provenance/v1", "v0.2": "https://slsa.dev/provenance/v0.2"}


def provenance(
    image: PlatformImage, facts: BuildFacts, options: ProvenanceOptions, dockerfile: str, finished_ns: int
) -> Attestation:
    """Return the provenance of an image. `dockerfile` is its text.

    Raise InvalidInput when complete materials are asked for and files of the client were used, which have no address.
    """
    use = image.use
    materials = _materials(facts, use)
    complete = not facts.folders
    if options.complete_materials and not complete:
        raise InvalidInput(
            f"provenance materials are incomplete: the files of {', '.join(facts.folders)} were sent by the client",
            advice="Build from a git repository, or leave complete-materials out.",
        )
    arguments, request_complete = _arguments(facts.arguments, full=options.full)
    request: dict[str, Any] = {"frontend": facts.frontend} if facts.frontend else {}
    if arguments:
        request["args"] = arguments
    if options.full and use.secrets:
        request["secrets"] = [_optional(id, optional) for id, optional in use.secrets]
    if options.full and use.agents:
        request["ssh"] = [_optional(id, optional) for id, optional in use.agents]
    if facts.folders:
        request["locals"] = [{"name": name} for name in facts.folders]
    metadata: dict[str, Any] = {"vcs": dict(facts.vcs)} if facts.vcs else {}
    if options.full:
        metadata["source"] = {"infos": []}
    if options.full and dockerfile:
        name = facts.dockerfile or "Dockerfile"
        text = base64.b64encode(dockerfile.encode("utf-8", "surrogateescape")).decode()
        metadata["source"] = {"infos": [{"filename": name, "language": "Dockerfile", "data": text}]}
    statement = _Statement(
        materials=materials,
        config=_config(facts, use),
        request=request,
        builder=options.builder_id,
        invocation=facts.id,
        started=format_time(facts.started_ns),
        finished=format_time(finished_ns),
        complete=complete,
        request_complete=request_complete and bool(facts.frontend),
        hermetic=complete and not use.networked,
        reproducible=options.reproducible,
        known=metadata,
        graph={"buildConfig": {}} if options.full else {},
    )
    predicate = statement.v1() if options.version == "v1" else statement.v02()
    return Attestation(_PREDICATES[options.version], predicate, options.file_name, options.inline_only)


def _materials(facts: BuildFacts, use: BuildUse) -> list[dict[str, Any]]:
    materials: list[dict[str, Any]] = [
        {"uri": package_url(source.name, source.platform), "digest": digest_set(source.digest)} for source in use.images
    ]
    materials += [{"uri": uri, "digest": dict(digest)} for uri, digest in use.downloads]
    if use.context:
        materials.append({"uri": facts.context, "digest": dict(use.context)})
    return materials


def _config(facts: BuildFacts, use: BuildUse) -> dict[str, Any]:
    config: dict[str, Any] = {"uri": facts.context} if facts.context else {}
    if use.context:
        config["digest"] = dict(use.context)
    return config | ({"path": facts.dockerfile} if facts.dockerfile else {})


def _arguments(arguments: Mapping[str, str], *, full: bool) -> tuple[dict[str, str], bool]:
    """Return the arguments to tell, and whether they are all."""
    if full:
        return dict(arguments), True
    public = {name: value for name, value in arguments.items() if not name.startswith(("build-arg:", "label:"))}
    return public, len(public) == len(arguments)


def _optional(id: str, optional: bool) -> dict[str, Any]:
    return {"id": id, "optional": True} if optional else {"id": id}


class _Statement:
    """What both versions tell, each in its own form."""

    def __init__(self, **facts: Any) -> None:
        self._facts = facts

    def v1(self) -> dict[str, Any]:
        """Return the predicate of version 1."""
        facts = self._facts
        metadata: dict[str, Any] = {
            "invocationID": facts["invocation"],
            "startedOn": facts["started"],
            "finishedOn": facts["finished"],
            "buildkit_metadata": facts["known"],
            "buildkit_completeness": {
                "request": facts["request_complete"],
                "resolvedDependencies": facts["complete"],
            },
        }
        metadata |= {"buildkit_hermetic": True} if facts["hermetic"] else {}
        metadata |= {"buildkit_reproducible": True} if facts["reproducible"] else {}
        return {
            "buildDefinition": {
                "buildType": _TYPE_V1,
                "externalParameters": {"configSource": facts["config"], "request": facts["request"]},
                "internalParameters": {"builderPlatform": str(Platform.host()), **facts["graph"]},
                "resolvedDependencies": facts["materials"],
            },
            "runDetails": {"builder": {"id": facts["builder"]}, "metadata": metadata},
        }

    def v02(self) -> dict[str, Any]:
        """Return the predicate of version 0.2."""
        facts = self._facts
        config = {("entryPoint" if name == "path" else name): value for name, value in facts["config"].items()}
        metadata: dict[str, Any] = {
            "buildInvocationID": facts["invocation"],
            "buildStartedOn": facts["started"],
            "buildFinishedOn": facts["finished"],
            "completeness": {
                "parameters": facts["request_complete"],
                "environment": True,
                "materials": facts["complete"],
            },
            "reproducible": facts["reproducible"],
            f"{_TYPE_V02}#metadata": facts["known"],
        }
        return {
            "builder": {"id": facts["builder"]},
            "buildType": _TYPE_V02,
            "materials": facts["materials"],
            "invocation": {
                "configSource": config,
                "parameters": facts["request"],
                "environment": {"platform": str(Platform.host())},
            },
            "metadata": metadata | ({f"{_TYPE_V02}#hermetic": True} if facts["hermetic"] else {}),
            **facts["graph"],
        }
