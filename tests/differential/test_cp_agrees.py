"""`cp` in every combination: what `lamina` leaves behind is what `docker` leaves behind.

Each side has its own engine and its own client. Both start from the same files, in the container and here; every
combination works in a folder of its own, so one transfer at the start and one at the end serve many of them.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.daemons import Daemon
from support.engines import Cli, engine_with_base
from support.programs import CLIENT_20, CLIENT_NEWEST

pytestmark = [pytest.mark.root, pytest.mark.peer]

CLIENT = CLIENT_NEWEST if Path(CLIENT_NEWEST).exists() else CLIENT_20

SOURCES = ["file", "dir", "dir/.", "dir/sub/..", "link", "to-dir", "to-dir/", "missing", "."]
FOLLOWED = ["link", "to-dir/.", "dangling"]
TARGETS = ["other", "other/", "old", "old/.", ".", "olink", "to-old", "to-old/", "odangling", "new", "new/", "new/."]
TARGETS += ["new/under", "to-old/new"]
GRID = [(source, ()) for source in SOURCES] + [(source, ("-L",)) for source in FOLLOWED]
# docker refuses to put what a directory holds (DIR/.) behind a link to one, when a slash follows: it takes the link for
# what it has to overwrite. Without the slash it does it.
BETTER = [(source, "to-old/") for source in ("dir/.", "to-dir/.", ".")]

MODES = {"dir": 0o710, "old/dir": 0o700}

Run = Callable[..., subprocess.CompletedProcess[bytes]]
Tree = dict[str, tuple[bytes, int, str | bytes]]


class Side(NamedTuple):
    """One client with its engine."""

    run: Run
    name: str


@pytest.fixture(scope="module")
def sides(busybox_tar: Path) -> Iterator[tuple[Side, Side]]:
    """Docker's and lamina's, each with a container called "box"."""
    with engine_with_base("dockerd", busybox_tar) as dockerd, engine_with_base("lamina", busybox_tar) as lamina:
        for daemon in (dockerd, lamina):
            daemon.docker("create", "--network", "none", "--name", "box", "-w", "/w", "base")
        yield Side(_docker(dockerd), "docker"), Side(Cli(lamina.host, lamina.folder), "lamina")


def _docker(daemon: Daemon) -> Run:
    def run(
        *arguments: str, stdin: bytes = b"", check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return daemon.docker(*arguments, client=CLIENT, stdin=stdin, check=check, cwd=cwd)

    return run


def _starting_tar(top: str, count: int, mark: str) -> bytes:
    """Folders `top`/0 … with sources and targets in each; the files' text tells which side wrote them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:

        def add(name: str, text: str | None = None, link: str = "") -> None:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if text is None else tarfile.REGTYPE
            if link:
                member.type, member.linkname = tarfile.SYMTYPE, link
            member.mode = (
                0o640 if text is not None else MODES.get(name.removeprefix(f"{top}/").partition("/")[2], 0o755)
            )
            data = (text or "").encode()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

        add(top)
        for number in range(count):
            here = f"{top}/{number}"
            for folder in ("", "/dir", "/dir/sub", "/old", "/old/dir"):
                add(here + folder)
            for file in ("file", "dir/a", "dir/sub/b", "other", "old/a", "old/dir/own"):
                add(f"{here}/{file}", f"{file} of {mark}")
            links = {"link": "file", "to-dir": "dir", "dangling": "nowhere", "dir/to-file": "a"}
            links |= {"olink": "other", "to-old": "old", "odangling": "absent"}
            for name, target in links.items():
                add(f"{here}/{name}", link=target)
    return buffer.getvalue()


def _tree(archive: bytes, depth: int) -> list[Tree]:
    """For each numbered folder what is in it: kind, mode, and the text or the link's target."""
    trees: dict[int, Tree] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            parts = [part for part in member.name.split("/") if part not in ("", ".")][depth:]
            if not parts:
                continue
            data = files.extractfile(member) if member.isreg() else None
            content = data.read() if data else member.linkname
            trees.setdefault(int(parts[0]), {})["/".join(parts[1:])] = (
                member.type,
                member.mode & 0o7777 if data or member.isdir() else 0,
                content,
            )
    return [trees[number] for number in sorted(trees)]


def _local_tree(folder: Path) -> list[Tree]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, "w")
    return _tree(buffer.getvalue(), 1)


def _unpack(data: bytes, folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="tar")
    return folder / "w"


class Outcome(NamedTuple):
    went_well: bool
    tree: Tree
    words: str


def _outcomes(side: Side, folder: Path, source: str, flags: tuple[str, ...], inwards: bool) -> list[Outcome]:
    """What a client makes of one source and all targets."""
    count = len(TARGETS)
    folder.mkdir()
    here = _unpack(_starting_tar("w", count, "here"), folder)
    there = f"{folder.parent.name}"  # as no other test has it
    side.run("cp", "-", "box:/", stdin=_starting_tar(there, count, "the container"))
    done = []
    for number, target in enumerate(TARGETS):
        both = (source, f"box:/{there}/{number}/{target}") if inwards else (f"box:/{there}/{number}/{source}", target)
        done.append(side.run("cp", *flags, *both, check=False, cwd=here / str(number)))
    trees = _tree(side.run("cp", f"box:/{there}", "-").stdout, 1) if inwards else _local_tree(here)
    return [
        Outcome(one.returncode == 0, tree, one.stderr.decode(errors="replace"))
        for one, tree in zip(done, trees, strict=True)
    ]


@pytest.mark.parametrize("inwards", [False, True], ids=["out", "in"])
@pytest.mark.parametrize(
    ("source", "flags"), GRID, ids=lambda value: value if isinstance(value, str) else "".join(value)
)
def test_every_combination(
    sides: tuple[Side, Side], tmp_path: Path, source: str, flags: tuple[str, ...], inwards: bool
) -> None:
    expected, got = (_outcomes(side, tmp_path / side.name, source, flags, inwards) for side in sides)
    differing = [
        f"{source} → {target}: {theirs.went_well} {ours.went_well}\n{theirs.words}{ours.words}"
        + "\n".join(f"  {path}: {theirs.tree.get(path)} {ours.tree.get(path)}" for path in _paths(theirs, ours))
        for target, theirs, ours in zip(TARGETS, expected, got, strict=True)
        if (inwards or (source, target) not in BETTER)
        and (theirs.went_well, theirs.tree) != (ours.went_well, ours.tree)
    ]
    assert not differing, "(docker, lamina) differ:\n" + "\n".join(differing)


def _paths(one: Outcome, other: Outcome) -> list[str]:
    names = sorted({*one.tree, *other.tree})
    return [name for name in names if one.tree.get(name) != other.tree.get(name)]
