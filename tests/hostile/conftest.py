"""One daemon that all attacks go against, with an image to run; it must still answer when they are done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hostile import Target, attacked
from support.programs import need


@pytest.fixture(scope="session")
def target(busybox_tar: Path) -> Iterator[Target]:
    with attacked(busybox_tar) as target:
        yield target


@pytest.fixture(scope="session")
def runc_target(busybox_tar: Path) -> Iterator[Target]:
    """The same with runc, which opens more of what an image has."""
    with attacked(busybox_tar, "--default-runtime", need("runc")) as target:
        yield target


@pytest.fixture(params=["target", "runc_target"], ids=["crun", "runc"])
def either(request: pytest.FixtureRequest) -> Target:
    """For what the runtime program itself opens or mounts on."""
    found: Target = request.getfixturevalue(request.param)
    return found
