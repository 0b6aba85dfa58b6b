"""Sources of builds that name neither a stage nor an image: none of them is a place on the host."""

from __future__ import annotations

import pytest

from support.hostile import Target

pytestmark = pytest.mark.root


@pytest.mark.parametrize("source", ["/etc", "../..", "file:///etc", ".", "/", "oci-layout:///etc"])
@pytest.mark.parametrize("instruction", ["COPY --from={} /passwd /got", "RUN --mount=type=bind,from={},target=/m true"])
def test_sources_are_stages_or_images(target: Target, instruction: str, source: str) -> None:
    said = target.build(f"FROM bb\n{instruction.format(source)}\n")
    assert '"error"' in said
    assert "internal error" not in said
