"""The same builds by real engines and by lamina give the same config and the same files.

Each case is built by the newest BuildKit and by the classic builder of Docker 20.10, where they know its language.
`differences.py` has what may differ, each with its reason; everything else must be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from differential.build_cases import CASES
from differential.build_cases.case import Builder, Case
from differential.differences import EVERYWHERE, NONE, REASONS
from differential.pairs import Pairs
from support.daemons import dockerd, lamina_daemon

BUILT = [(builder, case) for builder in EVERYWHERE for case in CASES if builder in case.builders]
real_engines = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(600)]


class Laboratory:
    """The real builders beside one lamina, each started when its first case is asked for."""

    def __init__(
        self, busybox: bytes, folder: Path, chosen: Sequence[tuple[Builder, Case]], closing: ExitStack
    ) -> None:
        self._busybox = busybox
        self._folder = folder
        self._chosen = chosen
        self._closing = closing
        self._pairs: dict[Builder, Pairs] = {}

    def pairs(self, builder: Builder) -> Pairs:
        """Return the pairs of a builder, with all its chosen cases under way."""
        if builder not in self._pairs:
            real = dockerd(newest=True) if builder == "buildkit" else dockerd("--experimental")
            engines = [self._closing.enter_context(engine) for engine in (real, lamina_daemon())]
            pairs = Pairs(builder, engines[0], engines[1], self._folder / builder)
            self._closing.callback(pairs.close)
            pairs.prepare(self._busybox)
            pairs.start(case for name, case in self._chosen if name == builder)
            self._pairs[builder] = pairs
        return self._pairs[builder]


@pytest.fixture(scope="module")
def laboratory(
    request: pytest.FixtureRequest, busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [(each["builder"], each["case"]) for each in parameters if "builder" in each and "case" in each]
    with ExitStack() as closing:
        yield Laboratory(busybox_tar.read_bytes(), tmp_path_factory.mktemp("cases"), chosen, closing)


class TestBuilds:
    """What needs the real engines."""

    pytestmark = real_engines

    @pytest.mark.parametrize(("builder", "case"), BUILT, ids=[f"{builder}-{case.name}" for builder, case in BUILT])
    def test_same_image(self, laboratory: Laboratory, builder: Builder, case: Case) -> None:
        pair, tolerated = laboratory.pairs(builder).of(case), case.tolerated.get(builder, NONE)
        refused = [outcome.image is None for outcome in (pair.real, pair.lamina)]
        expected = [case.fails or tolerated.refused_by == name for name in ("real", "lamina")]
        assert refused == expected, f"refused by (real, lamina):\n{pair.real.output}\n{pair.lamina.output}"
        if any(refused):
            return
        keys = {key: values for key, values in pair.differing_keys().items() if key not in EVERYWHERE[builder]}
        assert keys.keys() == tolerated.keys, keys
        assert pair.differing_paths().keys() == tolerated.paths, pair.differing_paths()

    @pytest.mark.parametrize("builder", EVERYWHERE)
    def test_what_is_tolerated_everywhere_occurs(self, laboratory: Laboratory, builder: Builder) -> None:
        pairs = laboratory.pairs(builder)
        images = [pairs.of(case) for name, case in BUILT if name == builder and not case.fails]
        differing = [pair.differing_keys() for pair in images if pair.real.image and pair.lamina.image]
        assert EVERYWHERE[builder].keys() <= set().union(*differing)

    def test_sizes_agree(self, laboratory: Laboratory, tmp_path: Path) -> None:
        """Of what is imported, and of what steps add: links and files named twice among them."""
        (tmp_path / "Dockerfile").write_text(
            "FROM base\nRUN ln -s /a/long/way /link && echo text > /a && ln /a /b\nCOPY . /c\n"
        )
        (tmp_path / "to").symlink_to("/nowhere/at/all")
        (tmp_path / "file").write_bytes(bytes(5000))
        sizes = []
        for engine in laboratory.pairs("classic").engines:
            engine.docker("build", "--network", "none", "-t", "sized", str(tmp_path))
            history = engine.text("history", "--human=false", "--format", "{{.Size}}", "sized").split()
            sizes.append((engine.text("images", "--format", "{{.Size}}", "base"), history))
        assert sizes[0] == sizes[1]
        assert int(sizes[1][1][0]) > 5000


def test_each_reason_is_named_by_a_case() -> None:
    assert {difference.why for case in CASES for difference in case.tolerated.values()} == REASONS.keys()


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_there_are_enough_cases_for_buildkit() -> None:
    assert sum(builder == "buildkit" and not case.fails for builder, case in BUILT) >= 150
