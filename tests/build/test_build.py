"""Builds without RUN, from Dockerfile to image, without a privilege."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import tarfile
from pathlib import Path

import pytest

from lamina.build.builder import build
from lamina.build.cache import forget_lost
from lamina.build.context.source import from_archive, from_directory, from_dockerfile
from lamina.build.options import BuildOptions
from lamina.errors import Cancelled, InvalidInput, LaminaError, NotFound, Unsupported
from lamina.formats.reference import Reference
from lamina.progress import Message
from support.context import File
from support.workshop import Workshop, kinds, listing

FILES: dict[str, File | str] = {"a.txt": "alpha\n", "run.sh": File("#!\n", mode=0o755), "dir/one": "1", "dir/two": "2"}


def test_classic_output_first_and_cached(workshop: Workshop) -> None:
    text = 'FROM scratch\nCOPY a.txt /\nCMD ["/x"]\n'
    options = BuildOptions(tags=(Reference.parse("my-app"),))
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


def test_same_input_gives_the_same_image_everywhere(workshop: Workshop) -> None:
    first = workshop.build("FROM scratch\nCOPY . /app/\nWORKDIR /w\n", FILES)
    again = workshop.build("FROM scratch\nCOPY . /app/\nWORKDIR /w\n", FILES, BuildOptions(no_cache=True))
    assert again.id == first.id
    assert "Using cache" not in workshop.said


def test_images_built_later_are_newer_whatever_time_they_carry(workshop: Workshop) -> None:
    for name in ("first", "second"):
        workshop.build(f"FROM scratch\nCOPY a.txt /{name}\n", FILES, BuildOptions(tags=(Reference.parse(name),)))

    def names(**filters: list[str]) -> list[str]:
        return [listed.references[0].familiar() for listed in workshop.images.list(filters=filters)]

    assert names() == ["second:latest", "first:latest"]
    assert names(since=["first"]) == ["second:latest"]
    assert names(before=["second"]) == ["first:latest"]
    assert workshop.images.prune({"dangling": ["false"], "until": ["1h"]}).removed == ()


def test_a_step_is_dated_by_its_newest_input_and_by_the_epoch(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nCOPY a.txt /new/\n", FILES)
    assert image.config.created == "2020-09-13T12:26:40Z"
    dated = workshop.build(
        "FROM scratch\nCOPY a.txt /new/\n",
        FILES,
        BuildOptions(build_args={"SOURCE_DATE_EPOCH": "86400"}, no_cache=True),
    )
    assert dated.config.created == "1970-01-02T00:00:00Z"
    assert "not consumed" not in workshop.said
    undated = workshop.build("FROM scratch\nENV A=1\n")
    assert undated.config.created is None
    assert undated.created == undated.made


def test_directives_are_followed_told_or_refused(workshop: Workshop) -> None:
    workshop.build("# syntax=mirror.example.com/docker/dockerfile:1.7-labs\n# check=skip=all\nFROM scratch\nENV A=1\n")
    assert "WARNING" not in workshop.said
    workshop.build("# syntax=example.com/other\n# check=error=true\nFROM scratch\nENV A=1\n")
    assert "line 1: # syntax=example.com/other is not supported yet" in workshop.said
    assert "line 2: # check=error=true is not supported yet" in workshop.said
    with pytest.raises(InvalidInput, match="on line 1: invalid check option 'errr=true'"):
        workshop.build("# check=errr=true\nFROM scratch\nENV A=1\n")


def test_the_epoch_that_is_asked_for_is_the_one_in_the_image(workshop: Workshop) -> None:
    def built(epoch: str, **options: tuple[str, ...]) -> str | None:
        given = BuildOptions(build_args={"SOURCE_DATE_EPOCH": epoch}, tags=(Reference.parse("dated"),), **options)
        return workshop.build("FROM scratch\nCOPY a.txt /new/\n", FILES, given).config.created

    assert built("86400") == "1970-01-02T00:00:00Z"
    assert built("86401", cache_from=("dated",)) == "1970-01-02T00:00:01Z"
    assert built("86401") == "1970-01-02T00:00:01Z"
    assert "Using cache" in workshop.said
    for wrong in ("soon", "-1", "9" * 12):
        with pytest.raises(InvalidInput, match="invalid SOURCE_DATE_EPOCH"):
            built(wrong)


@pytest.mark.parametrize("change", ["content", "mode", "name"])
def test_what_reaches_the_image_decides_about_the_cache(workshop: Workshop, change: str) -> None:
    text = "FROM scratch\nCOPY src /app/\n"
    before = workshop.build(text, {"src/f": "1"})
    (workshop.folder / "context/src/f").unlink()
    files = {"content": {"src/f": "2"}, "mode": {"src/f": File("1", mode=0o600)}, "name": {"src/g": "1"}}[change]
    after = workshop.build(text, files)
    assert after.id != before.id
    assert "Using cache" not in workshop.said


def test_times_do_not_decide_about_the_cache(workshop: Workshop) -> None:
    before = workshop.build("FROM scratch\nCOPY a.txt /\n", FILES)
    os.utime(workshop.folder / "context/a.txt", (1, 1))
    with from_directory(workshop.folder / "context") as context:
        assert workshop.run(context).image.id == before.id
    assert "Using cache" in workshop.said


def test_a_retargeted_broken_link_is_no_hit(workshop: Workshop) -> None:
    text = "FROM scratch\nCOPY d /d\n"
    before = workshop.build(text, {"d/l": File(link="nowhere")})
    (workshop.folder / "context/d/l").unlink()
    assert workshop.build(text, {"d/l": File(link="elsewhere")}).id != before.id


def test_tar_and_directory_contexts_give_the_same_image(workshop: Workshop) -> None:
    text = "FROM scratch\nCOPY . /app/\nCOPY dir /d\n"
    folder = workshop.context(text, {**FILES, "l": File(link="a.txt")})
    here = workshop.run(from_directory(folder)).image
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    sent.seek(0)
    there = workshop.run(from_archive(sent, workshop.folder)).image
    assert there.id == here.id
    assert workshop.said.count("Using cache") == 2


def test_dockerfile_alone_and_missing(workshop: Workshop) -> None:
    assert workshop.run(from_dockerfile(b"FROM scratch\nENV A=1\n")).image.config.config.env[-1] == "A=1"
    with pytest.raises(InvalidInput, match="no build context"):
        workshop.run(from_dockerfile(b"FROM scratch\nCOPY a /\n"))
    with pytest.raises(NotFound, match="Cannot locate specified Dockerfile: other"):
        from_directory(workshop.context("FROM scratch\n"), "other")
    with pytest.raises(NotFound, match="not found"):
        from_directory(workshop.folder / "none")


def test_ignore_rules_apply_in_place_and_are_named(workshop: Workshop) -> None:
    files = {**FILES, ".dockerignore": "*.txt\ndir\n!dir/two\n"}
    image = workshop.build("FROM scratch\nCOPY . /\n", files)
    assert sorted(listing(image)) == [".dockerignore", "Dockerfile", "dir", "dir/two", "run.sh"]
    with pytest.raises(InvalidInput) as caught:
        workshop.build("FROM scratch\nCOPY a.txt /\n", files)
    assert 'line 1 ("*.txt") excludes it' in str(caught.value)
    assert caught.value.facts["line"] == 2


def test_the_dockerfiles_own_ignore_file_comes_first(workshop: Workshop) -> None:
    files = {**FILES, ".dockerignore": "*", "Dockerfile.dockerignore": "dir\n"}
    assert "a.txt" in listing(workshop.build("FROM scratch\nCOPY . /\n", files))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY a.txt /", {"a.txt": "regular 644 0:0 alpha"}),
        ("COPY a.txt /x/y/", {
            "x": "directory 755 0:0", "x/y": "directory 755 0:0", "x/y/a.txt": "regular 644 0:0 alpha"}),
        ("COPY --chmod=0600 a.txt /", {"a.txt": "regular 600 0:0 alpha"}),
        ("COPY --chmod=u=rwX,go=rX run.sh /", {"run.sh": "regular 755 0:0 #!"}),
        ("COPY --chown=5:6 a.txt /n/", {"n": "directory 755 5:6", "n/a.txt": "regular 644 5:6 alpha"}),
        ("COPY --exclude=two dir /d", {"d": "directory 755 0:0", "d/one": "regular 644 0:0 1"}),
        ("COPY --parents dir/one /p/", {
            "p": "directory 755 0:0", "p/dir": "directory 755 0:0", "p/dir/one": "regular 644 0:0 1"}),
        ("COPY --parents ./dir/./one /p/", {"p": "directory 755 0:0", "p/one": "regular 644 0:0 1"}),
        ("COPY --link a.txt /", {"a.txt": "regular 644 0:0 alpha"}),
        ("COPY <<E /e\nhello $PATH\nE", {
            "e": "regular 644 0:0 hello /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}),
        ("COPY <<'E' <<F /h/\n$A\nE\nf\nF", {
            "h": "directory 755 0:0", "h/E": "regular 644 0:0 $A", "h/F": "regular 644 0:0 f"}),
    ],
)  # fmt: skip
def test_copies(workshop: Workshop, line: str, expected: dict[str, str]) -> None:
    assert listing(workshop.build(f"FROM scratch\n{line}\n", FILES)) == expected


def test_stages_targets_and_arguments(workshop: Workshop) -> None:
    text = (
        "ARG BASE=scratch\nFROM ${BASE} AS one\nARG V=1\nENV V=$V\nCOPY --chown=7:8 a.txt /a\n"
        "FROM scratch AS two\nCOPY --from=one /a /from-name\nCOPY --from=0 /a /from-number\n"
    )
    image = workshop.build(text, FILES, BuildOptions(build_args={"V": "2", "UNUSED": "x"}, labels={"l": "$V"}))
    assert listing(image) == {"from-name": "regular 644 7:8 alpha", "from-number": "regular 644 7:8 alpha"}
    assert image.config.config.labels == {"l": "$V"}
    assert "[Warning] One or more build-args [UNUSED] were not consumed" in workshop.said
    one = workshop.build(text, FILES, BuildOptions(build_args={"V": "2"}, target="ONE"))
    assert one.config.config.env[-1] == "V=2"
    with pytest.raises(InvalidInput, match="failed to reach build target on"):
        workshop.build(text, FILES, BuildOptions(target="on"))


def test_onbuild_triggers_run_in_the_child(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nONBUILD COPY a.txt /\nONBUILD ENV T=1\n", FILES)
    assert base.config.config.on_build == ("COPY a.txt /", "ENV T=1")
    image = workshop.build(f"FROM {base.id.encoded}\nENV X=2\n", FILES)
    assert "# Executing 2 build triggers" in workshop.said
    assert image.config.config.on_build == ()
    assert image.config.config.env[-2:] == ("T=1", "X=2")
    assert "a.txt" in listing(image)


def test_cache_from_uses_what_an_image_holds(workshop: Workshop, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY a.txt /\nENV A=1\nCOPY dir /d\n"
    image = workshop.build(text, FILES, BuildOptions(tags=(Reference.parse("cached"),)))
    with workshop.rooms.store.transaction() as tx:
        for key, _ in list(tx.items("build-step")):
            tx.delete("build-step", key)
    again = workshop.build(text, FILES, BuildOptions(cache_from=("cached",)))
    assert workshop.said.count("Using cache") == 3
    assert again.config.diff_ids == image.config.diff_ids
    workshop.build(text, FILES)
    assert workshop.said.count("Using cache") == 3, "what a source gave is remembered without it"


def test_a_cached_copy_from_an_image_does_not_read_it(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nCOPY dir /d\n", FILES)
    text = f"FROM scratch\nCOPY --from={base.id.encoded} /d /e\n"
    image = workshop.build(text)
    base.layers[0].tar.rename(base.layers[0].tar.with_suffix(".away"))
    assert workshop.build(text).id == image.id
    assert "Using cache" in workshop.said


def test_squash_leaves_one_layer_over_the_base(workshop: Workshop) -> None:
    base = workshop.build("FROM scratch\nCOPY dir /d\n", FILES)
    text = f"FROM {base.id.encoded}\nCOPY a.txt /\nCOPY run.sh /a.txt\nENV A=1\n"
    plain = workshop.build(text, FILES)
    image = workshop.build(text, FILES, BuildOptions(squash=True))
    assert (len(plain.layers), len(image.layers)) == (3, 2)
    assert image.layers[0] == base.layers[0]
    assert listing(image) == listing(plain)
    assert image.config.history[-1].comment == f"merge {plain.id} to {base.id}"


def test_archives_are_unpacked_by_add_alone(workshop: Workshop) -> None:
    members = {"d": File(directory=True, mode=0o700), "d/f": File("x", mode=0o640, uid=1, gid=2), "l": File(link="d/f")}
    files = {"t.tgz": File(archive=members, compression="gz"), "not.tar": "plain"}
    image = workshop.build("FROM scratch\nADD t.tgz /x\nADD not.tar /\nADD --unpack=false t.tgz /kept/\n", files)
    assert kinds(image) == {
        "x": "directory 755 0:0",
        "x/d": "directory 700 0:0",
        "x/d/f": "regular 640 1:2",
        "x/l": "symlink 777 0:0",
        "not.tar": "regular 644 0:0",
        "kept": "directory 755 0:0",
        "kept/t.tgz": "regular 644 0:0",
    }


def test_an_archive_stays_below_its_destination(workshop: Workshop) -> None:
    members = {"l": File(link="/etc"), "l/f": File("x"), "lib/g": File("y")}
    files = {"t.tar": File(archive=members), "lib": File(link="/real")}
    image = workshop.build("FROM scratch\nWORKDIR /real\nCOPY . /x/\nADD t.tar /x/\n", {**files, "real/r": "1"})
    found = listing(image)
    assert found["x/etc/f"].endswith(" x")
    assert not [path for path in found if path.startswith(("etc", "real/"))]


def test_a_bad_archive_is_not_taken_for_a_plain_file(workshop: Workshop) -> None:
    files = {"t.tar": File(archive={"../../up": File("x")})}
    with pytest.raises(InvalidInput, match="leads outside the archive"):
        workshop.build("FROM scratch\nADD t.tar /x/\n", files)
    with pytest.raises(InvalidInput, match="It is a link to nowhere, which is not there"):
        workshop.build("FROM scratch\nCOPY l /\n", {"l": File(link="nowhere")})


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM scratch\n", "No image was generated"),
        ("FROM scratch\nCOPY nope /\n", "COPY failed: file not found in build context or excluded by .dockerignore"),
        ("FROM scratch\nCOPY *.none /\n", "COPY failed: no source files were specified"),
        ("FROM scratch\nCOPY ../x /\n", "forbidden path outside the build context"),
        ("FROM scratch\nCOPY a.txt run.sh /x\n", "the destination must be a directory and end with a /"),
        ("FROM scratch\nCOPY a.txt /f\nCOPY dir /f\n", "not a directory"),
        ("FROM scratch\nCOPY --from=1 a /\n", "refers to current build stage|out of bounds"),
        ("FROM scratch AS a\nFROM scratch AS a\n", "a stage name already used"),
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
    answers = iter([False, False, True])
    with from_directory(workshop.context("FROM scratch\nENV A=1\nENV B=2\n")) as context:
        with pytest.raises(Cancelled):
            build(context, BuildOptions(), workshop.rooms, cancelled=lambda: next(answers))


def test_a_prune_takes_nothing_from_a_build(workshop: Workshop) -> None:
    """Between any two lines of the output: the images of steps have no name yet, and the last one no child."""

    def prune(message: Message) -> None:
        workshop.images.prune()

    dockerfile = "FROM scratch\nCOPY a.txt /\nENV A=b\nCOPY a.txt /c\n"
    with from_directory(workshop.context(dockerfile, FILES)) as context:
        options = BuildOptions(tags=(Reference.parse("app"), Reference.parse("other:1")))
        image = build(context, options, workshop.rooms, prune).image

    assert [str(name) for name in image.references] == ["docker.io/library/app:latest", "docker.io/library/other:1"]
    assert set(listing(workshop.images.get("app"))) == {"a.txt", "c"}
    assert list(workshop.rooms.store.verify()) == []


def test_a_build_goes_on_when_its_images_are_removed_meanwhile(workshop: Workshop) -> None:
    workshop.build("FROM scratch\nCOPY a.txt /\n", FILES, BuildOptions(tags=(Reference.parse("base"),)))
    with from_directory(workshop.context("FROM base\nCOPY a.txt /b\nCOPY a.txt /c\n", FILES)) as context:
        steps = itertools.count()

        def meanwhile() -> bool:
            for item in workshop.images.list(all_images=True) if next(steps) else ():
                with contextlib.suppress(NotFound):
                    workshop.images.remove(str(item.image.id), force=True)
            return False

        image = build(context, BuildOptions(), workshop.rooms, cancelled=meanwhile).image

    assert set(listing(image)) == {"a.txt", "b", "c"}


def test_a_quiet_build_says_only_the_id(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nENV A=1\n", options=BuildOptions(quiet=True))
    assert workshop.said == f"{image.id}\n"


def test_a_failed_build_leaves_done_steps_for_the_next(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput):
        workshop.build("FROM scratch\nCOPY a.txt /\nCOPY nope /\n", FILES)
    workshop.build("FROM scratch\nCOPY a.txt /\n", FILES)
    assert "Using cache" in workshop.said


def test_removed_images_are_no_cache(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nCOPY a.txt /\n", FILES)
    workshop.images.remove(str(image.id))
    workshop.build("FROM scratch\nCOPY a.txt /\n", FILES)
    assert "Using cache" not in workshop.said


def test_forgetting_drops_only_what_is_gone(workshop: Workshop) -> None:
    kept = workshop.build("FROM scratch\nCOPY a.txt /\n", FILES)
    gone = workshop.build("FROM scratch\nCOPY dir /d\n", FILES)
    workshop.build(f"FROM scratch\nCOPY --from={kept.id.encoded} /a.txt /b\n")
    workshop.images.remove(str(gone.id))
    assert forget_lost(workshop.rooms.store) == 1
    assert workshop.build("FROM scratch\nCOPY a.txt /\n", FILES).id == kept.id
    assert "Using cache" in workshop.said


def test_a_healthcheck_leaves_what_it_does_not_say_as_it_was(workshop: Workshop) -> None:
    image = workshop.build("FROM scratch\nHEALTHCHECK --interval=1h CMD a\nHEALTHCHECK --retries=200 CMD b\n")
    check = image.config.config.healthcheck
    assert check is not None
    assert (check.test, check.interval, check.retries) == (("CMD-SHELL", "b"), 3600 * 10**9, 200)
    assert image.config.history[-1].created_by.endswith('HEALTHCHECK &{["CMD-SHELL" "b"] "0s" "0s" "0s" \'È\'}')
    assert "Note: overriding previous HEALTHCHECK: [CMD-SHELL a]" in workshop.said
