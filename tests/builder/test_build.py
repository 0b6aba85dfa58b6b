"""Builds without RUN, from Dockerfile to image, without a privilege."""

from __future__ import annotations

import time

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import build
from lamina.builder.context.source import from_directory
from lamina.builder.squash import squashed_image
from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, InvalidInput, LaminaError, NotFound, Unsupported
from lamina.progress import Message, Output
from support.context import File
from support.workshop import FILES, Workshop, kinds, listing


def test_classic_output_first_and_cached(workshop: Workshop) -> None:
    text = 'FROM scratch\nCOPY a.txt /\nCMD ["/x"]\n'
    options = BuildRequest(tags=("my-app",))
    image = workshop.build(text, FILES, options)
    copied = image.parent
    assert copied is not None
    lines = workshop.said.splitlines()
    running = lines[5].removeprefix(" ---> Running in ")
    assert lines == [
        "Step 1/3 : FROM scratch",
        " ---> ",
        "Step 2/3 : COPY a.txt /",
        f" ---> {copied.short}",
        'Step 3/3 : CMD ["/x"]',
        f" ---> Running in {running}",
        f"Removing intermediate container {running}",
        f" ---> {image.id.short}",
        f"Successfully built {image.id.short}",
        "Successfully tagged my-app:latest",
    ]
    assert workshop.aux == [{"ID": str(image.id)}]
    again = workshop.build(text, FILES, options)
    assert again.id == image.id
    assert workshop.said.count(" ---> Using cache\n") == 2
    assert [step.id for step in workshop.images.history("my-app")] == [str(image.id), str(copied)]


def test_from_scratch_alone_is_an_empty_image(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch AS nothing\nFROM nothing\n", request=BuildRequest(tags=("empty",)))
    assert (image.layers, image.config.history) == ((), ())
    assert workshop.images.get("empty").id == image.id
    assert kinds(workshop.build("FROM empty\nCOPY a.txt /\n", FILES)) == {"a.txt": "regular 644 0:0"}


@pytest.mark.parametrize(("text", "message"), [("", "cannot be empty"), ("\n\t\n", "file with no instructions")])
def test_a_dockerfile_without_instructions_is_refused_as_by_docker(workshop: Workshop, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        workshop.build(text)


def test_a_base_that_is_nowhere_gets_near_misses(workshop: Workshop) -> None:
    workshop.build("FROM scratch\nENV A=1\n", request=BuildRequest(tags=("python-app",)))
    with pytest.raises(NotFound, match=r"Did you mean python-app\?"):
        workshop.build("FROM pyton-app\nENV A=1\n")
    with pytest.raises(NotFound, match=r"Did you mean builder\?"):
        workshop.build("FROM scratch AS builder\nENV A=1\nFROM scratch\nCOPY --from=bulder /a /b\n")
    with pytest.raises(NotFound) as raised:
        workshop.build("FROM quite-another\nENV A=1\n")
    assert "Did you mean" not in str(raised.value)


def test_directives_are_followed_or_refused(workshop: Workshop) -> None:
    workshop.build("# syntax=mirror.example.com/docker/dockerfile:1.7-labs\n# check=skip=all\nFROM scratch\nENV A=1\n")
    assert "WARNING" not in workshop.said
    with pytest.raises(Unsupported, match=r"line 1: # syntax=example\.com/other names a frontend"):
        workshop.build("# syntax=example.com/other\nFROM scratch\nENV A=1\n")
    with pytest.raises(InvalidInput, match="on line 1: invalid check option 'errr=true'"):
        workshop.build("# check=errr=true\nFROM scratch\nENV A=1\n")


def test_stages_targets_and_arguments(workshop: Workshop) -> None:
    text = (
        "ARG BASE=scratch\nFROM ${BASE} AS one\nARG V=1\nENV V=$V\nCOPY --chown=7:8 a.txt /a\n"
        "FROM scratch AS two\nCOPY --from=one /a /from-name\nCOPY --from=0 /a /from-number\n"
    )
    image = workshop.build(text, FILES, BuildRequest(build_args={"V": "2", "UNUSED": "x"}, labels={"l": "$V"}))
    assert listing(image) == {"from-name": "regular 644 7:8 alpha", "from-number": "regular 644 7:8 alpha"}
    assert image.config.config.labels == {"l": "$V"}
    assert "[Warning] One or more build-args [UNUSED] were not consumed" in workshop.said
    one = workshop.build(text, FILES, BuildRequest(build_args={"V": "2"}, target="ONE"))
    assert one.config.config.env[-1] == "V=2"
    with pytest.raises(InvalidInput, match="failed to reach build target on"):
        workshop.build(text, FILES, BuildRequest(target="on"))


def test_onbuild_triggers_run_in_the_child(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nONBUILD COPY a.txt /\nONBUILD ENV T=1\n", FILES)
    assert base.config.config.on_build == ("COPY a.txt /", "ENV T=1")
    image = workshop.build(f"FROM {base.id.encoded}\nENV X=2\n", FILES)
    assert "# Executing 2 build triggers" in workshop.said
    assert image.config.config.on_build == ()
    assert image.config.config.env[-2:] == ("T=1", "X=2")
    assert "a.txt" in listing(image)


def test_squash_leaves_one_layer_over_the_base(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nCOPY dir /d\n", FILES)
    text = f"FROM {base.id.encoded}\nCOPY a.txt /\nCOPY run.sh /a.txt\nENV A=1\n"
    plain = workshop.build(text, FILES)
    image = workshop.build(text, FILES, BuildRequest(squash=True))
    assert (len(plain.layers), len(image.layers)) == (3, 2)
    assert image.layers[0] == base.layers[0]
    assert listing(image) == listing(plain)
    assert image.config.history[-1].comment == f"merge {plain.id} to {base.id}"


def test_wildcards_may_match_nothing(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nCOPY a.txt *.none /\nCOPY *.none /x/\n", FILES)
    assert sorted(listing(image)) == ["a.txt"]


def test_an_owner_without_a_group_brings_the_group_of_its_row(workshop: Workshop) -> None:
    files = {**FILES, "passwd": "ada:x:7:8::/:\nada:x:1:2::/:\n", "group": "ada:x:9:\n"}
    text = "FROM scratch\nCOPY passwd group /etc/\nCOPY --chown=ada a.txt /named\nCOPY --chown=5 a.txt /numbered\n"
    files_of_image = listing(workshop.build(text, files))
    assert files_of_image["named"].split()[2] == "7:8"
    assert files_of_image["numbered"].split()[2] == "5:5"


FIVE = "FROM scratch\nCOPY a.txt /\nCOPY dir /d\nENV A=1\nCOPY run.sh /a.txt\nCOPY dir /e\nCOPY a.txt /d/b\n"


@pytest.mark.parametrize(
    ("how", "layers", "kept"),
    [("all", 1, []), ("every=2", 3, [4]), ("every=5", 1, []), ("every=3", 2, []), ("every=1", 5, [])],
)
def test_layers_are_squashed_in_groups(workshop: Workshop, how: str, layers: int, kept: list[int]) -> None:
    plain = workshop.build(FIVE, FILES)
    image = workshop.build(FIVE, FILES, BuildRequest(squash=how))
    again = squashed_image(workshop.images, plain, how)
    assert again.id == image.id, "the same image gives the same digest"
    assert (len(plain.layers), len(image.layers)) == (5, layers)
    assert listing(image) == listing(plain)
    assert all(plain.layers[number] in image.layers for number in kept)
    assert image.config.config == plain.config.config
    history = image.config.history
    assert sum(not step.empty_layer for step in history) == layers
    assert [step.created_by for step in history if not step.comment] == [
        step.created_by for step in plain.config.history
    ]
    comments = [step.comment for step in history if step.comment]
    assert all(f"of {plain.id}" in comment for comment in comments)
    assert bool(comments) is (layers < 5)


def test_a_squash_keeps_the_layers_of_a_base(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nCOPY dir /d\n", FILES)
    image = workshop.build(f"FROM {base.id.encoded}\nCOPY a.txt /\nCOPY run.sh /a.txt\nCOPY a.txt /z\n", FILES)
    above = squashed_image(workshop.images, image, "from=base", base, ["small"])
    assert above.layers[0] == base.layers[0]
    assert (len(above.layers), listing(above)) == (2, listing(image))
    assert workshop.images.get("small").id == above.id
    few = squashed_image(workshop.images, image, "every=2", base)
    assert [few.layers[0], few.layers[2]] == [base.layers[0], image.layers[3]]
    with pytest.raises(InvalidInput, match="does not begin with the layers"):
        squashed_image(workshop.images, base, "from=base", image)
    for wrong in ("", "some", "every=0", "every=x", "from=other"):
        with pytest.raises(InvalidInput):
            squashed_image(workshop.images, image, wrong)
    with pytest.raises(InvalidInput, match="cannot be squashed by 'some'"):
        workshop.build("FROM scratch\nCOPY none /\n", {}, BuildRequest(squash="some"))


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM scratch\nCOPY nope /\n", "COPY failed: file not found in build context or excluded by .dockerignore"),
        ("FROM scratch\nCOPY ../x /\n", "forbidden path outside the build context"),
        ("FROM scratch\nCOPY a.txt run.sh /x\n", "the destination must be a directory and end with a /"),
        ("FROM scratch\nCOPY a.txt /f\nCOPY dir /f\n", "not a directory"),
        ("FROM scratch\nCOPY --from=1 a /\n", "refers to current build stage|out of bounds"),
        ("ARG B\nFROM $B\n", "base name \\(\\$B\\) should not be blank"),
        ("FROM scratch\nENV A=${B:?needed}\n", "B: needed"),
        ("FROM scratch\nCOPY --chown=ghost a.txt /\n", "no such user: ghost"),
        ("FROM scratch\nCOPY --chmod=9 a.txt /\n", "invalid chmod"),
        ("FROM nowhere\n", "No such image"),
    ],
)
def test_mistakes_name_their_line(workshop: Workshop, dockerfile: str, message: str) -> None:
    with pytest.raises(LaminaError, match=message) as caught:
        workshop.build(dockerfile, FILES)
    if "generated" not in message:
        assert isinstance(caught.value.facts["line"], int)
    assert not [item for item in workshop.images.list() if item.image.references]


def test_without_containers_run_is_refused_clearly(workshop: Workshop) -> None:
    with pytest.raises(Unsupported) as caught:
        workshop.build("FROM scratch\nRUN true\n")
    assert caught.value.facts["line"] == 2


def test_a_cancelled_build_stops_before_its_next_step(workshop: Workshop) -> None:
    token = Cancellation()

    def report(message: Message) -> None:
        if isinstance(message, Output) and message.text.startswith("Step 2/3"):
            token.cancel("enough")

    with from_directory(workshop.context("FROM scratch\nENV A=1\nENV B=2\n")) as context:
        with pytest.raises(Cancelled, match="enough"):
            build(context, BuildRequest(), workshop.rooms, report, token)


def test_a_quiet_build_says_only_the_id(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nENV A=1\n", request=BuildRequest(quiet=True))
    assert workshop.said == f"{image.id}\n"


def test_a_healthcheck_replaces_the_one_before_it(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nHEALTHCHECK --interval=1h CMD a\nHEALTHCHECK --retries=200 CMD b\n")
    check = image.config.config.healthcheck
    assert check is not None
    assert (check.test, check.interval, check.retries) == (("CMD-SHELL", "b"), 0, 200)
    assert image.config.history[-1].created_by.endswith('HEALTHCHECK &{["CMD-SHELL" "b"] "0s" "0s" "0s" \'È\'}')
    assert "Note: overriding previous HEALTHCHECK: [CMD-SHELL a]" in workshop.said


def test_a_stage_inherits_the_arguments_of_the_stage_it_begins_with(workshop: Workshop) -> None:
    text = (
        "FROM scratch AS one\nARG A=a\nARG B=b\nARG C\nFROM one AS two\nLABEL seen=$A$B$C\n"
        "ARG A=again\nLABEL own=$A\nFROM scratch\nLABEL seen=$A$B$C\n"
    )
    request = BuildRequest(build_args={"B": "given", "C": "c"})
    assert workshop.build(text, {}, BuildRequest(build_args=request.build_args, target="two")).labels == {
        "seen": "agivenc",
        "own": "again",
    }
    assert workshop.build(text, {}, request).labels == {"seen": ""}


@pytest.mark.parametrize(
    ("user", "owner"), [("app", "1000:50"), ("app:staff", "1000:60"), ("7", "7:0"), ("7:8", "7:8")]
)
def test_workdir_makes_directories_for_the_user(workshop: Workshop, user: str, owner: str) -> None:
    files: dict[str, File | str] = {"etc/passwd": "app:x:1000:50::/:/sh\n", "etc/group": "staff:x:60:\n"}
    image = workshop.build(f"FROM scratch\nCOPY etc /etc\nUSER {user}\nWORKDIR /w/x\nUSER root\nWORKDIR /r\n", files)
    assert [kinds(image)[path] for path in ("w", "w/x", "r")] == [f"directory 755 {owner}"] * 2 + ["directory 755 0:0"]


def test_workdir_of_an_unknown_user_is_refused(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match="unable to find user nobody") as caught:
        workshop.build("FROM scratch\nUSER nobody\nWORKDIR /w\n")
    assert caught.value.facts["line"] == 3


def test_an_image_is_told_before_its_names(workshop: Workshop) -> None:
    bus = workshop.images.events
    image = workshop.build("FROM scratch\nENV A=1\n", {}, BuildRequest(tags=("made:1", "made:2")))
    told = [(event.action, event.actor_id) for event in bus.past(0, time.time_ns())]
    assert told == [("create", str(image.id)), ("tag", str(image.id)), ("tag", str(image.id))]
    workshop.build("FROM made:1\n")
    assert len(bus.past(0, time.time_ns())) == len(told)
