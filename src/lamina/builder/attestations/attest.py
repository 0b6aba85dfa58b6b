"""Adding to a result what is attested of its images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from lamina.builder.attestations.facts import BuildFacts
from lamina.builder.attestations.options import AttestationOptions, Generator
from lamina.builder.attestations.provenance import provenance
from lamina.builder.attestations.spdx import sbom
from lamina.builder.export.files import files_of
from lamina.builder.export.result import Attestation, PlatformImage, Result
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Unsupported
from lamina.images.packages.scan import scan

_SECOND = 10**9
Generate = Callable[[Generator, PlatformImage], Sequence[Attestation]]


def attested(
    result: Result,
    facts: BuildFacts,
    options: AttestationOptions,
    cancellation: Cancellation = NEVER,
    generate: Generate | None = None,
) -> Result:
    """Return the result with its attestations. Hold its images meanwhile. `generate` runs an SBOM generator.

    Raise InvalidInput for complete materials that there are not, Unsupported for a generator where none can be run,
    what `generate` raises, and Cancelled.
    """
    if not options.any:
        return result
    finished_ns = time.time_ns()

    def with_attestations(item: PlatformImage) -> PlatformImage:
        added: list[Attestation] = []
        if options.generator is not None:
            if generate is None:
                raise Unsupported("SBOM generators cannot be run here", advice="Leave generator= out.")
            added += generate(options.generator, item)
        elif options.packages:
            made_ns = facts.started_ns if item.epoch is None else item.epoch * _SECOND
            added.append(sbom(item, scan(files_of(item.image), cancellation), made_ns))
        if options.provenance is not None:
            added.append(provenance(item, facts, options.provenance, item.dockerfile, finished_ns))
        return replace(item, attestations=(*item.attestations, *added))

    return replace(result, images=tuple(with_attestations(item) for item in result.images))
