"""SBOM generators: images that look at the files of a build, and write down which packages are in them.

Rule: moby/buildkit, docs/attestations/sbom-protocol.md; frontend/attestations/sbom and exporter/attestation/unbundle.
The generator is run as a RUN step with the files read-only, without the secrets and agents of the build.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Protocol

from lamina.api.build import BuildRequest
from lamina.builder.attestations.options import Generator
from lamina.builder.attestations.spdx import PREDICATE
from lamina.builder.console import Console
from lamina.builder.context.source import from_dockerfile
from lamina.builder.export.result import Attestation, PlatformImage
from lamina.builder.source_policy import IMAGE
from lamina.cancellation import Cancellation
from lamina.engine.build_client import BuildClient
from lamina.engine.build_results import BuildContextVerb
from lamina.engine.known_bases import AskCredentials
from lamina.engine.named_contexts import NamedContexts
from lamina.errors import CommandFailed, InvalidInput, Unsupported
from lamina.formats.document import decode_object
from lamina.images.image import Image
from lamina.layers.entry import EntryType
from lamina.layers.tree import read_all, walk
from lamina.layers.union import StackTree
from lamina.progress import ignore

_OUT = "/run/out"
_SOURCE = "/run/src/core/sbom"
_LARGEST = 64 << 20  # bytes of a statement
_MOST = 100  # statements


class FindImage(Protocol):
    """`Builds.base_image`, which pulls an image that is not here."""

    def __call__(self, name: str, /, *, credentials: AskCredentials, cancellation: Cancellation) -> Image: ...


@dataclass(frozen=True, slots=True)
class SbomGenerator:
    """Run generators for the images of one build, whose client gives credentials and says what may be fetched."""

    find_image: FindImage
    build_context: BuildContextVerb
    client: BuildClient

    def statements(self, generator: Generator, item: PlatformImage) -> list[Attestation]:
        """Return what a generator finds in an image.

        Raise InvalidInput for one that runs nothing or writes no statements, CommandFailed, and what pulling it raises.
        """
        ask, cancellation = self.client.credentials, self.client.cancellation
        name = self.client.policy.image(generator.image) or f"{IMAGE}{generator.image}"
        if not name.startswith(IMAGE):
            raise Unsupported(f"the source policy changes the SBOM generator into {name}, which is no image")
        image = self.find_image(name.removeprefix(IMAGE), credentials=ask, cancellation=cancellation)
        contexts = NamedContexts({"generator": lambda: image, "target": lambda: item.image})
        client = BuildClient(ignore, cancellation, ask, console=Console(ignore), contexts=contexts)
        with from_dockerfile(_dockerfile(generator, image).encode("utf-8", "surrogateescape")) as context:
            try:
                written = self.build_context(context, BuildRequest(), client).image
            except CommandFailed as error:
                message = f"the SBOM generator {generator.image} failed: {error.message}"
                raise CommandFailed(message, advice=error.advice) from error
        return _statements(generator, written)


def _dockerfile(generator: Generator, image: Image) -> str:
    """Return a Dockerfile that runs a generator, and ends with what it wrote."""
    config = image.run_config
    arguments = [*(config.entrypoint or ()), *(config.cmd or ())]
    if not arguments:
        raise InvalidInput(
            f"scanner {generator.image} does not have cmd", advice="Choose an image that runs something."
        )
    environment = {"DESTINATION": _OUT, "SOURCE": _SOURCE, **generator.parameters}
    lines = ["FROM generator AS scan", f"WORKDIR {_OUT}", f"WORKDIR {_quoted(config.working_dir or '/')}"]
    lines += [f"ENV BUILDKIT_SCAN_{name}={_quoted(value)}" for name, value in environment.items()]
    mounts = f"--mount=type=bind,from=target,target={_SOURCE} --mount=type=tmpfs,target=/tmp"
    lines += [f"RUN {mounts} {json.dumps(arguments)}", "FROM scratch", f"COPY --from=scan {_OUT} /"]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    if not value.isprintable():
        raise InvalidInput(f"a parameter of the SBOM generator has unprintable characters: {value!r}")
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def _statements(generator: Generator, written: Image) -> list[Attestation]:
    tree = StackTree(written.layers)
    nodes = [node for node in walk(tree) if node.entry.type is EntryType.REGULAR]
    if not nodes or len(nodes) > _MOST:
        raise InvalidInput(f"the SBOM generator {generator.image} wrote {len(nodes)} files, and not 1 to {_MOST}")
    attestations = []
    for node in nodes:
        document = decode_object(read_all(tree, node, _LARGEST), f"the SBOM {node.path}")
        kind, predicate = document.get("predicateType"), document.get("predicate")
        if kind != PREDICATE or not isinstance(predicate, dict):
            name = f"the SBOM generator {generator.image}"
            raise InvalidInput(f"{name} wrote {node.path}, which is no in-toto statement with a {PREDICATE}")
        name = node.name if node.name.endswith(".spdx.json") else f"sbom-{node.name}"
        attestations.append(Attestation(PREDICATE, predicate, name))
    return attestations
