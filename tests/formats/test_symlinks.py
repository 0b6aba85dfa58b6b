"""Links followed inside a root, compared with what the kernel makes of the same tree (openat2, RESOLVE_IN_ROOT)."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.linux.paths import MOST_LINKS, follow, openat2

NAMES = ["a", "b", "c"]
parts = st.sampled_from([*NAMES, "..", ".", ""])
paths = st.lists(parts, min_size=1, max_size=5).map("/".join)
trees = st.dictionaries(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join), st.none() | paths)


def make(root: Path, tree: dict[str, str | None]) -> None:
    """Directories for None, links for texts; what does not fit over what is there already is left out."""
    for path, text in sorted(tree.items()):
        place = root / path
        if any(parent.is_symlink() for parent in (place, *place.parents)) or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            place.mkdir()
        elif text:
            place.symlink_to(text)


def reader(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): os.readlink(p) for p in root.rglob("*") if p.is_symlink()}


@settings(max_examples=150, deadline=None)
@given(trees, paths)
def test_it_leads_where_the_kernel_goes(tree: dict[str, str | None], path: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, tree)
        links = reader(root)
        top = os.open(root, os.O_PATH | os.O_DIRECTORY)
        try:
            there = openat2(top, path or ".", os.O_PATH)
        except OSError:
            return
        finally:
            os.close(top)
        try:
            expected = os.readlink(f"/proc/self/fd/{there}")
        finally:
            os.close(there)
        assert os.path.normpath(root / follow(path, lambda at, more: links.get(at, ""))) == expected


@given(st.dictionaries(paths, paths), paths)
def test_the_result_is_free_of_links_and_stays_inside(links: dict[str, str], path: str) -> None:
    try:
        result = follow(path, lambda at, more: links.get(at, ""))
    except InvalidInput:
        result = follow(path, lambda at, more: links.get(at, ""), strict=False)
    else:
        ways = result.split("/") if result else []
        assert not any(links.get("/".join(ways[: end + 1])) for end in range(len(ways)))
    assert not {"", ".", ".."} & set(result.split("/") if result else [])


@pytest.mark.parametrize("length", [MOST_LINKS, MOST_LINKS + 1])
def test_as_many_links_as_the_kernel_follows(tmp_path: Path, length: int) -> None:
    (tmp_path / "0").mkdir()
    for number in range(length):
        (tmp_path / str(number + 1)).symlink_to(str(number))
    links = reader(tmp_path)
    if length <= MOST_LINKS:
        assert (tmp_path / str(length)).is_dir()
        assert follow(str(length), lambda at, more: links.get(at, "")) == "0"
    else:
        with pytest.raises(OSError, match="Too many levels"):
            os.stat(tmp_path / str(length))
        with pytest.raises(InvalidInput, match="too many levels of symbolic links"):
            follow(str(length), lambda at, more: links.get(at, ""))
        assert follow(str(length), lambda at, more: links.get(at, ""), strict=False) == "1"


def test_the_last_part_may_stay_a_link() -> None:
    links = {"a": "/b", "b": "c"}
    assert follow("x/../a/a", lambda at, more: links.get(at, "") if more else "") == "c/a"
    assert follow("a/", lambda at, more: links.get(at, "") if more else "") == "c"
