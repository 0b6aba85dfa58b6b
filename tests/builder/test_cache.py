"""What a step is cached by, what time it carries, and what others may remove meanwhile."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import build
from lamina.builder.cache.step_cache import forget_lost
from lamina.builder.context.archive import ArchiveTree
from lamina.builder.context.source import BuildContext, from_archive, from_directory
from lamina.builder.file_sums import Sums
from lamina.client.context_tar import directory_context
from lamina.errors import InvalidInput, NotFound
from lamina.layers.tree import Content, Node
from lamina.progress import Message, Output
from support.context import File
from support.workshop import FILES, Workshop, listing, tree


def test_same_input_gives_the_same_image_everywhere(workshop: Workshop) -> None:
    first = workshop.build("FROM scratch\nCOPY . /app/\nWORKDIR /w\n", FILES)
    again = workshop.build("FROM scratch\nCOPY . /app/\nWORKDIR /w\n", FILES, BuildRequest(no_cache=True))
    assert again.id == first.id
    assert "Using cache" not in workshop.said


def test_files_linked_in_another_way_are_copied_again(workshop: Workshop) -> None:
    names = ("a", "b", "c", "d")

    def built(pairs: tuple[tuple[str, str], ...]) -> set[frozenset[str]]:
        """The sets of names that are one file in the image."""
        folder = workshop.context("FROM scratch\nCOPY . /\n")
        for name in names:
            (folder / name).unlink(missing_ok=True)
        for first, second in pairs:
            (folder / first).write_text("same")
            os.utime(folder / first, (1, 1))
            (folder / second).hardlink_to(folder / first)
        files = tree(workshop.run(from_directory(folder)).image)
        nodes = [node for name in names if (node := files.lookup(name)) is not None]
        return {frozenset(one.path for one in nodes if one.shared == node.shared) for node in nodes}

    assert built((("a", "b"), ("c", "d"))) == {frozenset("ab"), frozenset("cd")}
    assert built((("a", "c"), ("b", "d"))) == {frozenset("ac"), frozenset("bd")}
    assert built((("a", "c"), ("b", "d"))) == {frozenset("ac"), frozenset("bd")}
    assert "Using cache" in workshop.said


def test_images_built_later_are_newer_whatever_time_they_carry(workshop: Workshop) -> None:
    for name in ("first", "second"):
        workshop.build(f"FROM scratch\nCOPY a.txt /{name}\n", FILES, BuildRequest(tags=(name,)))

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
        BuildRequest(build_args={"SOURCE_DATE_EPOCH": "86400"}, no_cache=True),
    )
    assert dated.config.created == "1970-01-02T00:00:00Z"
    assert "not consumed" not in workshop.said
    undated = workshop.build("FROM scratch\nENV A=1\n")
    assert undated.config.created is None
    assert undated.created == undated.made


def test_the_epoch_that_is_asked_for_is_the_one_in_the_image(workshop: Workshop) -> None:
    def built(epoch: str, **options: Any) -> str | None:
        given = BuildRequest(build_args={"SOURCE_DATE_EPOCH": epoch}, tags=("dated",), **options)
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
    changes: dict[str, dict[str, File | str]] = {
        "content": {"src/f": "2"},
        "mode": {"src/f": File("1", mode=0o600)},
        "name": {"src/g": "1"},
    }
    after = workshop.build(text, changes[change])
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


def test_cache_from_uses_what_an_image_holds(workshop: Workshop, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY a.txt /\nENV A=1\nCOPY dir /d\n"
    image = workshop.build(text, FILES, BuildRequest(tags=("cached",)))
    with workshop.rooms.store.transaction() as tx:
        for key, _ in list(tx.items("build-step")):
            tx.delete("build-step", key)
    again = workshop.build(text, FILES, BuildRequest(cache_from=("cached",)))
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


def test_a_prune_takes_nothing_from_a_build(workshop: Workshop) -> None:
    """Between any two lines of the output: the images of steps have no name yet, and the last one no child."""

    def prune(message: Message) -> None:
        workshop.images.prune()

    dockerfile = "FROM scratch\nCOPY a.txt /\nENV A=b\nCOPY a.txt /c\n"
    with from_directory(workshop.context(dockerfile, FILES)) as context:
        options = BuildRequest(tags=("app", "other:1"))
        image = build(context, options, workshop.rooms, prune).image

    assert [str(name) for name in image.references] == ["docker.io/library/app:latest", "docker.io/library/other:1"]
    assert set(listing(workshop.images.get("app"))) == {"a.txt", "c"}
    assert list(workshop.rooms.store.verify()) == []


def test_a_build_goes_on_when_its_images_are_removed_meanwhile(workshop: Workshop) -> None:
    workshop.build("FROM scratch\nCOPY a.txt /\n", FILES, BuildRequest(tags=("base",)))
    with from_directory(workshop.context("FROM base\nCOPY a.txt /b\nCOPY a.txt /c\n", FILES)) as context:

        def meanwhile(message: Message) -> None:
            if not isinstance(message, Output) or not message.text.startswith(("Step 2", "Step 3")):
                return
            for item in workshop.images.list(all=True):
                with contextlib.suppress(NotFound):
                    workshop.images.remove(str(item.image.id), force=True)

        image = build(context, BuildRequest(), workshop.rooms, meanwhile).image

    assert set(listing(image)) == {"a.txt", "b", "c"}


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


def test_a_context_that_is_sent_is_hashed_as_it_comes_and_never_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build of files that are all known reads none of them; a build that must run reads each once, for its layer."""
    files = {f"dir/{number}": str(number) for number in range(50)}
    folder = workshop.context("FROM scratch\nCOPY dir /d\n", {**files, "large": "x" * 200_000})
    read: list[str] = []
    hashed: list[str] = []
    content, remember = ArchiveTree.read, Sums.note

    def reading(tree: ArchiveTree, node: Node) -> Content:
        read.append(node.path)
        return content(tree, node)

    def hashing(sums: Sums, node: Node, text: str) -> None:
        hashed.append(node.path)
        remember(sums, node, text)

    monkeypatch.setattr(ArchiveTree, "read", reading)
    monkeypatch.setattr(Sums, "note", hashing)

    def sent() -> BuildContext:
        tar = b"".join(directory_context(str(folder)).chunks or ())
        context = from_archive(io.BytesIO(tar), workshop.folder)
        read.clear()
        return context

    workshop.run(sent())
    assert sorted(read) == sorted(files)
    workshop.run(sent())
    assert "Using cache" in workshop.said
    assert read == hashed == []
