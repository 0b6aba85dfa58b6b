"""The checks of a Dockerfile while it is built: told once, with what base images say, and fatal on demand."""

from __future__ import annotations

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.build_run import BuildRooms
from lamina.builder.console import Console
from lamina.dockerfile.checks.findings import Finding
from lamina.dockerfile.checks.rules import RULES
from lamina.dockerfile.position import Lines
from lamina.errors import InvalidInput, LaminaError
from lamina.formats.platform import Platform
from lamina.images.image import Image
from lamina.progress import Message, Output
from support.workshop import FILES, Workshop, listing


def findings(workshop: Workshop) -> list[str]:
    """The findings that the last build told, in its own words."""
    return [line.removeprefix(" - ") for line in workshop.said.splitlines() if line.startswith(" - ")]


def test_findings_are_told_after_a_build_that_goes_well(workshop: Workshop) -> None:
    workshop.build("FROM scratch AS A\nCMD x\n")
    lines = workshop.said.splitlines()
    start = lines.index("There are 2 warnings about the Dockerfile. `lamina build --check` shows the lines:")
    assert [line.split(":")[0] for line in lines[start + 1 : start + 3]] == [
        " - StageNameCasing",
        " - JSONArgsRecommended",
    ]
    assert lines[start + 3].startswith("Successfully built ")

    workshop.build('FROM scratch AS a\nCMD ["x"]\n')
    assert "about the Dockerfile" not in workshop.said
    workshop.build("FROM scratch AS A\nCMD x\n", request=BuildRequest(quiet=True))
    assert "about the Dockerfile" not in workshop.said


def test_findings_are_told_of_a_build_that_fails(workshop: Workshop) -> None:
    with pytest.raises(LaminaError):
        workshop.build("FROM scratch AS A\nCOPY nothing /\n")
    assert findings(workshop) == ["StageNameCasing: Stage name 'A' should be lowercase (line 1)"]


def test_the_image_of_a_base_says_what_is_defined(workshop: Workshop) -> None:
    base = workshop.build('FROM scratch\nENV HOME_OF=x\nSHELL ["/sh"]\nONBUILD ARG NAME\n')
    workshop.build(f"FROM {base.id.encoded}\nENV A=$HOME_OF$NAME\nCMD x\n")
    assert not findings(workshop)
    workshop.build(f"FROM {base.id.encoded}\nENV A=$HOME_OFF\n")
    assert findings(workshop) == [
        "UndefinedVar: Usage of undefined variable '$HOME_OFF' (did you mean $HOME_OF?) (line 2)"
    ]


def test_a_base_that_is_fetched_first_is_asked_when_it_is_here(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nENV KNOWN=x\n")

    def resolve(name: str, platform: Platform | None, pull: bool) -> Image:
        return base  # under a name that no image here has, like one that was just pulled

    rooms = workshop.rooms
    elsewhere = Workshop(BuildRooms(rooms.store, rooms.images, resolve, rooms.temporary), workshop.folder)
    elsewhere.build("FROM elsewhere AS A\nENV X=$KNOWN Y=$UNKNOWN\n")
    assert [finding.split(":")[0] for finding in findings(elsewhere)] == ["StageNameCasing", "UndefinedVar"]
    with pytest.raises(InvalidInput, match="lint violation found for rules: UndefinedVar"):
        elsewhere.build("# check=error=true\nFROM elsewhere\nENV X=$UNKNOWN\n", request=BuildRequest(tags=("no",)))
    assert rooms.images.find("no") is None


def test_findings_fail_a_build_before_its_first_step(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match="lint violation found for rules: StageNameCasing"):
        workshop.build("# check=error=true\nFROM scratch AS A\nENV X=1\n")
    assert findings(workshop)
    assert "Step 1" not in workshop.said
    argument: dict[str, str | None] = {"BUILDKIT_DOCKERFILE_CHECK": "skip=all"}
    workshop.build("# check=error=true\nFROM scratch AS A\nENV X=1\n", request=BuildRequest(build_args=argument))
    assert "were not consumed" not in workshop.said


def test_consoles_of_several_platforms_tell_a_finding_once() -> None:
    told: list[Message] = []
    whole = Console(told.append)
    finding = Finding(RULES["StageNameCasing"], "Stage name 'A' should be lowercase", Lines(1, 1))
    for platform in ("linux/amd64", "linux/arm64"):
        part = whole.part(told.append, platform)
        part.findings([finding])
        part.built("sha256:0", [])
    texts = [message.text for message in told if isinstance(message, Output)]
    assert texts.count(f" - {finding}\n") == 1


def test_an_ignored_source_is_named_beside_the_error(workshop: Workshop) -> None:
    with pytest.raises(LaminaError, match="COPY failed"):
        workshop.build("FROM scratch\nCOPY a.txt /\n", {**FILES, ".dockerignore": "*.txt\n"})
    assert findings(workshop) == [
        'CopyIgnoredFile: Attempting to Copy file "a.txt" that is excluded by .dockerignore (line 2)'
    ]


def test_a_repeated_stage_name_means_the_nearest_stage_above(workshop: Workshop) -> None:
    text = "FROM scratch AS a\nCOPY a.txt /one\nFROM scratch AS a\nCOPY a.txt /two\nFROM a\nCOPY --from=a /two /three\n"
    image = workshop.build(text, FILES)
    assert sorted(listing(image)) == ["three", "two"]
    assert [finding.split(":")[0] for finding in findings(workshop)] == ["DuplicateStageName"]


def test_a_step_knows_the_target_of_its_build(workshop: Workshop) -> None:
    text = "FROM scratch AS one\nARG TARGETSTAGE\nENV STAGE=$TARGETSTAGE\nFROM one AS two\nENV B=1\n"
    stage = [workshop.build(text, request=BuildRequest(target=name)).config.config.env for name in ("one", "two", "")]
    assert [env[1] for env in stage] == ["STAGE=one", "STAGE=two", "STAGE=two"]
