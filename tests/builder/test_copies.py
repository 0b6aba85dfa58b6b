"""Contexts, and what COPY and ADD bring from them."""

from __future__ import annotations

import io
import tarfile

import pytest

from lamina.builder.context.source import from_archive, from_directory, from_dockerfile
from lamina.errors import InvalidInput, NotFound
from support.context import File
from support.workshop import FILES, Workshop, kinds, listing


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


@pytest.mark.parametrize(
    ("source", "sentence", "facts"),
    [
        ("b.txt", "Did you mean a.txt?", {"near": "a.txt"}),
        ("dri/one", "Did you mean dir/one?", {"near": "dir/one"}),
        ("two", "Did you mean dir/two?", {"near": "dir/two"}),
        ("hidden/x", '.dockerignore line 2 ("hidden") excludes it.', {"ignore_line": 2, "ignore_pattern": "hidden"}),
        ("nothing-like-it", "", {}),
    ],
)
def test_a_missing_source_is_explained(
    workshop: Workshop, source: str, sentence: str, facts: dict[str, object]
) -> None:
    files = {**FILES, "hidden/x": "x", ".dockerignore": "# hides\nhidden\n"}
    with pytest.raises(InvalidInput) as caught:
        workshop.build(f"FROM scratch\nCOPY {source} /\n", files)
    error = caught.value
    root = str(workshop.folder / "context")
    assert str(error.facts["fix"]) == f"It was looked for in {root}. {sentence}".strip()
    known = {name: error.facts[name] for name in ("near", "ignore_line", "ignore_pattern") if name in error.facts}
    assert (known, error.facts["path"], error.facts["context"], error.facts["line"]) == (facts, source, root, 2)


def test_a_missing_source_of_a_stage_is_looked_for_there_alone(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput) as caught:
        workshop.build("FROM scratch AS s\nCOPY a.txt /found.txt\nFROM scratch\nCOPY --from=s /fond.txt /\n", FILES)
    assert (caught.value.facts["fix"], "context" in caught.value.facts) == ("Did you mean found.txt?", False)


def test_the_dockerfiles_own_ignore_file_comes_first(workshop: Workshop) -> None:
    files = {**FILES, ".dockerignore": "*", "Dockerfile.dockerignore": "dir\n"}
    assert "a.txt" in listing(workshop.build("FROM scratch\nCOPY . /\n", files))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/t/a/./b/./c", {"b/c/d/f", "b/c/d/e/g"}),  # the first "/./" counts
        ("/t/a/b/c/d/.", {"t/a/b/c/d/f", "t/a/b/c/d/e/g"}),
        ("/t/a/./*/c", {"b/c/d/f", "b/c/d/e/g", "b2/c/d/e/g"}),
        ("/t/a/b*/./**/g", {"c/d/e/g"}),
        ("/t/**/f", {"t/a/b/c/d/f"}),
    ],
)
def test_parents_are_repeated_behind_the_pivot(workshop: Workshop, source: str, expected: set[str]) -> None:
    files = dict.fromkeys(("t/a/b/c/d/f", "t/a/b/c/d/e/g", "t/a/b2/c/d/e/g"), "x")
    found = kinds(workshop.build(f"FROM scratch\nCOPY --parents {source} /\n", files))
    assert {path for path, kind in found.items() if kind.startswith("regular")} == expected


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


def test_archives_are_unpacked_by_add_alone(workshop: Workshop) -> None:
    members = {"d": File(directory=True, mode=0o700), "d/f": File("x", mode=0o640, uid=1, gid=2), "l": File(link="d/f")}
    files: dict[str, File | str] = {"t.tgz": File(archive=members, compression="gz"), "not.tar": "plain"}
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


# What many base images are: /bin is a link. The file that the link leads to is what the shell is.
_MERGED = "FROM scratch AS base\nCOPY merged /\nFROM base\n"
_BASE: dict[str, File | str] = {"merged/usr/bin/sh": File("sh", mode=0o755), "merged/bin": File(link="usr/bin")}


@pytest.mark.parametrize(
    "line",
    [
        "COPY new /",
        "COPY new/bin /bin",
        "COPY new/bin /bin/",
        "COPY --link new /",
        "COPY --parents new/./bin /",
        "ADD new.tar /",
    ],
)
def test_a_directory_goes_where_a_link_of_its_name_leads(workshop: Workshop, line: str) -> None:
    files = {**_BASE, "new/bin/tool": "t", "new/bin/deep/er": "e"}
    folder = workshop.context(_MERGED + line + "\n", files)
    with tarfile.open(folder / "new.tar", "w") as tar:
        tar.add(folder / "new/bin", arcname="bin")
    paths = listing(workshop.run(from_directory(folder)).image)
    assert paths["bin"].startswith("symlink")
    assert {"usr/bin/sh", "usr/bin/tool", "usr/bin/deep/er"} <= set(paths)
    assert not [path for path in paths if path.startswith("bin/")]


@pytest.mark.parametrize("line", ["COPY new /", "ADD new.tar /", "COPY --parents new/./bin /"])
def test_a_file_does_not_take_the_place_of_a_link_to_a_directory(workshop: Workshop, line: str) -> None:
    folder = workshop.context(_MERGED + line + "\n", {**_BASE, "new/bin": "a file"})
    with tarfile.open(folder / "new.tar", "w") as tar:
        tar.add(folder / "new/bin", arcname="bin")
    with pytest.raises(InvalidInput, match="cannot replace /bin, a link to the directory /usr/bin, with a file"):
        workshop.run(from_directory(folder))


def test_links_take_the_place_of_links_and_files_that_of_links_to_files(workshop: Workshop) -> None:
    files = {**_BASE, "merged/l": File(link="usr/bin/sh"), "new/bin": File(link="usr/sbin"), "new/l": "plain"}
    paths = listing(workshop.build(_MERGED + "COPY new /\n", files))
    assert paths["bin"].endswith("usr/sbin")
    assert paths["l"] == "regular 644 0:0 plain"
    assert paths["usr/bin/sh"] == "regular 755 0:0 sh"


def test_a_directory_does_not_take_the_place_of_a_link_to_a_file(workshop: Workshop) -> None:
    files = {**_BASE, "merged/l": File(link="usr/bin/sh"), "new/l/x": "x"}
    with pytest.raises(InvalidInput, match="mkdir /usr/bin/sh: not a directory"):
        workshop.build(_MERGED + "COPY new /\n", files)


def test_a_link_that_leads_nowhere_yet_gets_what_it_leads_to(workshop: Workshop) -> None:
    files = {**_BASE, "merged/run": File(link="/var/run"), "new/run/pid": "7"}
    paths = listing(workshop.build(_MERGED + "COPY new /\n", files))
    assert paths["run"].startswith("symlink")
    assert paths["var/run/pid"] == "regular 644 0:0 7"


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755, 0o1777])
def test_modes_are_kept_whole(workshop: Workshop, mode: int) -> None:
    files = {"s": File("x", mode=mode), "d/s": File("x", mode=mode)}
    paths = kinds(workshop.build("FROM scratch\nCOPY s /\nCOPY --chown=1:2 s /owned\nCOPY d /d\n", files))
    assert [paths[path].split()[1] for path in ("s", "owned", "d/s")] == [f"{mode:o}"] * 3


def test_a_dot_names_a_directory(workshop: Workshop) -> None:
    """As BuildKit has it. Docker's classic builder wants a "/" at the end."""
    for place in (".", "./", "x/..", "./."):
        image = workshop.build(f"FROM scratch\nWORKDIR /w\nCOPY a.txt run.sh {place}\n", FILES)
        assert {"w/a.txt", "w/run.sh"} <= set(listing(image)), place
