"""Rules of the language in which BuildKit differs from Docker's classic builder, and where lamina does as BuildKit."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.arguments import BuildArgs
from lamina.builder.context.source import ContextPart, from_archive
from lamina.engine.named_contexts import NamedContexts
from lamina.errors import InvalidInput
from lamina.images.image import Image
from support.context import File
from support.tars import tar
from support.workshop import Workshop, kinds, listing


@pytest.mark.parametrize("default", ["${NAME:?no name}", "${NAME?no name}"])
def test_the_default_of_an_argument_that_has_a_value_is_not_needed(workshop: Workshop, default: str) -> None:
    inside = f"FROM scratch\nARG NAME\nARG WHO={default}\nENV WHO=$WHO\n"
    before = f"ARG NAME\nARG WHO={default}\nFROM scratch\nARG WHO\nENV WHO=$WHO\n"
    for text in (inside, before):
        with pytest.raises(InvalidInput, match="no name"):
            workshop.build(text)
        image = workshop.build(text, request=BuildRequest(build_args={"WHO": "ada"}))
        assert "WHO=ada" in image.config.config.env


def test_a_proxy_has_its_name_in_both_cases_for_a_command() -> None:
    arguments = BuildArgs({"http_proxy": "one", "NO_PROXY": "two"}, {})
    assert arguments.environment({}) == {"HTTP_PROXY": "one", "http_proxy": "one", "NO_PROXY": "two", "no_proxy": "two"}
    assert arguments.environment({"HTTP_PROXY": "the image's"})["http_proxy"] == "one"
    assert arguments.recorded({}) == []


def test_directories_on_the_way_get_an_octal_mode(workshop: Workshop) -> None:
    text = "FROM scratch\nCOPY --chmod=0770 a.txt /made/deep/a\nCOPY --chmod=u=rwx,go= a.txt /plain/a\n"
    modes = kinds(workshop.build(text, {"a.txt": "1"}))
    assert {modes["made"], modes["made/deep"]} == {"directory 770 0:0"}
    assert (modes["made/deep/a"], modes["plain"]) == ("regular 770 0:0", "directory 755 0:0")


def archive(name: str) -> File:
    return File(archive={f"{name}/f": File(name, uid=7, gid=8)})


def test_several_archives_may_make_one_directory(workshop: Workshop) -> None:
    files: dict[str, File | str] = {"one.tar": archive("one"), "two.tar": archive("two")}
    assert {"all/one/f", "all/two/f"} <= set(listing(workshop.build("FROM scratch\nADD *.tar /all\n", files)))
    for step in ("COPY *.tar /all", "ADD one.tar two.tar /all"):
        with pytest.raises(InvalidInput, match="more than one source file"):
            workshop.build(f"FROM scratch\n{step}\n", files)


def test_directories_that_a_pattern_matches_may_make_one_directory(workshop: Workshop) -> None:
    files: dict[str, File | str] = {"d1/a": "1", "d2/b": "2"}
    assert {"all/a", "all/b"} <= set(listing(workshop.build("FROM scratch\nCOPY d* /all\n", files)))


def test_the_members_of_an_archive_belong_to_chown(workshop: Workshop) -> None:
    text = "FROM scratch\nADD --chown=5:6 one.tar /x/\nADD one.tar /y/\n"
    owned = kinds(workshop.build(text, {"one.tar": archive("one")}))
    assert (owned["x/one/f"], owned["y/one/f"]) == ("regular 644 5:6", "regular 644 7:8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM scratch\nCOPY --from=$X /a /b\n", "variable expansion is not supported for --from"),
        (
            "FROM scratch AS first\nCOPY --from=later /a /b\nFROM scratch AS later\nCOPY a.txt /a\nFROM first\n",
            'cannot copy from stage "later", it needs to be defined before current stage "first"',
        ),
        ("ARG A=1\n", "dockerfile contains no stages to build"),
        ("FROM --platform=$NOPE scratch\n", "empty platform value from expression $NOPE"),
        ("FROM --platform=linux/$NOPE scratch\n", '"" is an invalid component of "linux/"'),
    ],
)
def test_mistakes_are_told_in_the_words_that_people_look_up(workshop: Workshop, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace("$", r"\$")):
        workshop.build(text, {"a.txt": "1"})


def test_what_stands_in_front_of_a_mistake_is_checked(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match="unknown instruction: BADCMD"):
        workshop.build("FROM scratch AS BadName\nMAINTAINER me\nBADCMD\n")
    assert "StageNameCasing" in workshop.said
    assert "MaintainerDeprecated" in workshop.said


def test_only_the_named_stages_run_anew(workshop: Workshop) -> None:
    text = "FROM scratch AS one\nCOPY a.txt /\nFROM scratch AS two\nCOPY a.txt /\nCOPY --from=one /a.txt /b\n"
    workshop.build(text, {"a.txt": "1"})
    workshop.build(text, {"a.txt": "1"}, BuildRequest(no_cache_stages=("ONE",)))
    first, second = workshop.said.split(" AS two")
    assert "Using cache" not in first
    assert second.count("Using cache") == 2


def test_a_context_takes_the_place_of_the_stage_with_its_name(workshop: Workshop) -> None:
    other = workshop.build("FROM scratch\nCOPY b.txt /mine\n", {"b.txt": "context"})
    text = "FROM nosuch AS swap\nRUN not possible here\nFROM scratch\nCOPY --from=swap /mine /got\n"

    def resolve(name: str, *_: object) -> Image:
        assert name == "swap"
        return other

    rooms = replace(workshop.rooms, contexts=NamedContexts({"swap": "swap"}), resolve_base=resolve)
    image = Workshop(rooms, workshop.folder).build(text)
    assert listing(image)["got"].endswith("context")


def test_a_folder_of_an_archive_may_be_the_context(workshop: Workshop) -> None:
    sent = tar({"sub/dir/Dockerfile": b"FROM scratch\nCOPY . /\n", "sub/dir/in/f": b"1", "sub/out": b"2"})
    context = from_archive(io.BytesIO(sent), workshop.folder, ContextPart(folder="/sub/dir/"))
    assert set(listing(workshop.run(context).image)) == {"Dockerfile", "in", "in/f"}
    own = ContextPart(text=b"FROM scratch\nCOPY f /own\n", folder="sub/dir/in")
    assert set(listing(workshop.run(from_archive(io.BytesIO(sent), workshop.folder, own)).image)) == {"own"}
    for folder in ("sub/out", "nosuch", "../nosuch"):
        with pytest.raises(InvalidInput, match="has no folder"):
            from_archive(io.BytesIO(sent), workshop.folder, ContextPart(folder=folder))
