"""Changes between two builds that a cache may judge wrongly, each with what BuildKit and lamina make of it.

`must_run` are the numbers of the steps of the last stage that the second build may not take from the cache. FROM is
step 0.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lamina.dockerfile.dockerfile import parse
from support.context import File

FILES: dict[str, File | str] = {
    "a.txt": "alpha\n",
    "b.txt": "beta\n",
    "dir/one": "1\n",
    "dir/two": "2\n",
    "dir/link": File(link="one"),
    ".dockerignore": "ignored\n",
    "ignored": "1\n",
}
OLD = 1_500_000_000

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Trap:
    """Two builds: of `before`, then of `after` once `change` was made to the folder."""

    name: str
    before: str
    must_run: tuple[int, ...] = ()
    after: str = ""
    change: Change | None = None
    arguments: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    base: tuple[str, str] = ("", "")  # lines of the image `trap-base` in the first and the second build
    runs: bool = False  # needs containers, and an image called busybox

    def dockerfile(self, number: int) -> str:
        """The Dockerfile of the first or second build."""
        return (self.after or self.before) if number else self.before

    def base_file(self, number: int) -> str:
        """The Dockerfile of `trap-base` for that build."""
        return f"FROM {'busybox' if self.runs else 'scratch'}\nCOPY <<EOF /etc/trap\nbase\nEOF\n{self.base[number]}"


def write(name: str, text: str) -> Change:
    return lambda folder: _write(folder / name, text)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _touch(folder: Path) -> None:
    os.utime(folder / "a.txt", (OLD, OLD))
    os.utime(folder / "dir", (OLD, OLD))


def _mode(name: str, mode: int) -> Change:
    return lambda folder: (folder / name).chmod(mode)


def _owner(folder: Path) -> None:
    os.chown(folder / "a.txt", 1234, 1234)


def _same_size_and_time(folder: Path) -> None:
    path = folder / "a.txt"
    status = path.stat()
    path.write_text("omega\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _clone(folder: Path) -> None:
    """Put a fresh copy of everything in place of the folder, as a clone would."""
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside, symlinks=True, copy_function=shutil.copyfile)
    shutil.rmtree(folder)
    aside.rename(folder)


def _retarget(folder: Path) -> None:
    (folder / "dir/link").unlink()
    (folder / "dir/link").symlink_to("two")


def _add(folder: Path) -> None:
    (folder / "dir/three").write_text("3\n")


def _remove(folder: Path) -> None:
    (folder / "dir/two").unlink()


COPY = "FROM trap-base\nCOPY a.txt /a\nCOPY dir /dir\n"
TRAPS = (
    Trap("nothing changed", COPY),
    Trap("times", COPY, change=_touch),
    Trap("fresh clone", COPY, change=_clone),
    Trap("mode", COPY, (1, 2), change=_mode("a.txt", 0o755)),
    Trap("mode that --chmod hides", "FROM trap-base\nCOPY --chmod=600 a.txt /a\n", change=_mode("a.txt", 0o755)),
    Trap("mode of a folder whose content is copied", "FROM trap-base\nCOPY dir /dir\n", change=_mode("dir", 0o700)),
    Trap("owner in the context", COPY, change=_owner),
    Trap("content", COPY, (1, 2), change=write("a.txt", "gamma\n")),
    Trap("content of a later source", COPY, (2,), change=write("dir/one", "one\n")),
    Trap("same size and time, other bytes", COPY, (1, 2), change=_same_size_and_time),
    Trap("ignored file", "FROM trap-base\nCOPY . /all\n", change=write("ignored", "2\n")),
    Trap("file that is not copied", COPY, change=write("b.txt", "changed\n")),
    Trap(
        "file that --exclude leaves out", "FROM trap-base\nCOPY --exclude=two dir /d\n", change=write("dir/two", "9\n")
    ),
    Trap("a new file in a folder", COPY, (2,), change=_add),
    Trap("a file removed from a folder", COPY, (2,), change=_remove),
    Trap("a link that leads elsewhere", COPY, (2,), change=_retarget),
    Trap(
        "the file behind a link that is copied",
        "FROM trap-base\nCOPY dir/link /l\n",
        (1,),
        change=write("dir/one", "9\n"),
    ),
    Trap("destination", COPY, (1, 2), after="FROM trap-base\nCOPY a.txt /b\nCOPY dir /dir\n"),
    Trap(
        "destination written otherwise",
        "FROM trap-base\nWORKDIR /w\nCOPY a.txt /w/a\n",
        after="FROM trap-base\nWORKDIR /w\nCOPY a.txt a\n",
    ),
    Trap("spaces, comments and case", COPY, after="# new\nfrom trap-base\n\ncopy   a.txt  /a\nCOPY dir \\\n  /dir\n"),
    Trap(
        "label", "FROM trap-base\nLABEL v=1\nCOPY a.txt /a\n", (1,), after="FROM trap-base\nLABEL v=2\nCOPY a.txt /a\n"
    ),
    Trap(
        "environment before a copy",
        "FROM trap-base\nENV V=1\nCOPY a.txt /a\n",
        (1,),
        after="FROM trap-base\nENV V=2\nCOPY a.txt /a\n",
    ),
    Trap(
        "argument before a copy",
        "FROM trap-base\nARG V=1\nCOPY a.txt /a\n",
        (1,),
        after="FROM trap-base\nARG V=2\nCOPY a.txt /a\n",
    ),
    Trap("changed base", COPY, (0, 1, 2), base=("", "COPY b.txt /new\n")),
    Trap("base with another label", COPY, (0,), base=("LABEL v=1\n", "LABEL v=2\n")),
    Trap("changed base below --link", "FROM trap-base\nCOPY --link a.txt /a\n", (0,), base=("", "COPY b.txt /new\n")),
    Trap("ONBUILD of the base", "FROM trap-base\n", (0,), base=("ONBUILD COPY a.txt /a\n", "ONBUILD COPY b.txt /a\n")),
    Trap(
        "same ONBUILD, other file",
        "FROM trap-base\n",
        (0,),
        change=write("a.txt", "9\n"),
        base=("ONBUILD COPY a.txt /a\n",) * 2,
    ),
    Trap(
        "renamed stage",
        "FROM trap-base AS x\nCOPY a.txt /a\nFROM trap-base\nCOPY --from=x /a /b\n",
        after="FROM trap-base AS y\nCOPY a.txt /a\nFROM trap-base\nCOPY --from=y /a /b\n",
    ),
    Trap(
        "stage that makes the same file otherwise",
        "FROM trap-base AS x\nCOPY a.txt /a\nFROM trap-base\nCOPY --from=x /a /b\n",
        after="FROM trap-base AS x\nCOPY dir /dir\nCOPY a.txt /a\nFROM trap-base\nCOPY --from=x /a /b\n",
    ),
    Trap(
        "other file in the stage",
        "FROM trap-base AS x\nCOPY a.txt /a\nFROM trap-base\nCOPY --from=x /a /b\n",
        (1,),
        change=write("a.txt", "9\n"),
    ),
    Trap(
        "owner in a stage",
        "FROM trap-base AS x\nCOPY --chown=1 a.txt /a\nFROM trap-base\nCOPY --from=x /a /b\n",
        (1,),
        after="FROM trap-base AS x\nCOPY --chown=2 a.txt /a\nFROM trap-base\nCOPY --from=x /a /b\n",
    ),
    Trap(
        "owner in a stage that --chown hides",
        "FROM trap-base AS x\nCOPY --chown=1 a.txt /a\nFROM trap-base\nCOPY --chown=7 --from=x /a /b\n",
        after="FROM trap-base AS x\nCOPY --chown=2 a.txt /a\nFROM trap-base\nCOPY --chown=7 --from=x /a /b\n",
    ),
    Trap(
        "here-document",
        "FROM trap-base\nCOPY <<EOF /h\n1\nEOF\n",
        (1,),
        after="FROM trap-base\nCOPY <<EOF /h\n2\nEOF\n",
    ),
    Trap(
        "user of a new folder",
        "FROM trap-base\nUSER 5\nWORKDIR /w\n",
        (1, 2),
        after="FROM trap-base\nUSER 6\nWORKDIR /w\n",
    ),
)
_RUN_TRAPS = (
    Trap(
        "nothing a RUN sees changed",
        "FROM trap-base\nLABEL v=1\nRUN echo x > /x\n",
        (1,),
        after="FROM trap-base\nLABEL v=2\nRUN echo x > /x\n",
    ),
    Trap("argument that no ARG declares", "FROM trap-base\nRUN echo x > /x\n", arguments=({"V": "1"}, {"V": "2"})),
    Trap(
        "argument declared after the RUN",
        "FROM trap-base\nRUN echo x > /x\nARG V\n",
        arguments=({"V": "1"}, {"V": "2"}),
    ),
    Trap(
        "argument declared before the RUN",
        "FROM trap-base\nARG V\nRUN echo x > /x\n",
        (2,),
        arguments=({"V": "1"}, {"V": "2"}),
    ),
    Trap(
        "arguments in another order",
        "FROM trap-base\nARG A=1\nARG B=2\nRUN echo x > /x\n",
        (1, 2),
        after="FROM trap-base\nARG B=2\nARG A=1\nRUN echo x > /x\n",
    ),
    Trap(
        "proxy of the build",
        "FROM trap-base\nRUN echo x > /x\n",
        arguments=({"http_proxy": "http://a"}, {"http_proxy": "http://b"}),
    ),
    Trap(
        "environment of a RUN",
        "FROM trap-base\nENV V=1\nRUN echo x > /x\n",
        (1, 2),
        after="FROM trap-base\nENV V=2\nRUN echo x > /x\n",
    ),
    Trap(
        "directory of a RUN",
        "FROM trap-base\nWORKDIR /p\nWORKDIR /q\nRUN echo x > /x\n",
        (3, 4),
        after="FROM trap-base\nWORKDIR /p\nWORKDIR /q\nWORKDIR /p\nRUN echo x > /x\n",
    ),
    Trap("user of a RUN", "FROM trap-base\nUSER 0\nRUN true\n", (1, 2), after="FROM trap-base\nUSER 1\nRUN true\n"),
    Trap(
        "network of a RUN",
        "FROM trap-base\nRUN --network=none true\n",
        (1,),
        after="FROM trap-base\nRUN --network=default true\n",
    ),
    Trap(
        "file behind a bind",
        "FROM trap-base\nRUN --mount=target=/m,source=dir cp /m/one /x\n",
        (1,),
        change=write("dir/one", "9\n"),
    ),
    Trap(
        "file beside a bind",
        "FROM trap-base\nRUN --mount=target=/m,source=dir cp /m/one /x\n",
        change=write("b.txt", "9\n"),
    ),
    Trap("times behind a bind", "FROM trap-base\nRUN --mount=target=/m,source=dir cp /m/one /x\n", change=_touch),
    Trap(
        "renamed stage behind a bind",
        "FROM trap-base AS x\nCOPY dir /d\nFROM trap-base\nRUN --mount=from=x,source=/d,target=/m cp /m/one /x\n",
        after="FROM trap-base AS y\nCOPY dir /d\nFROM trap-base\nRUN --mount=from=y,source=/d,target=/m cp /m/one /x\n",
    ),
    Trap(
        "file of a stage behind a bind",
        "FROM trap-base AS x\nCOPY dir /d\nFROM trap-base\nRUN --mount=from=x,source=/d,target=/m cp /m/one /x\n",
        (1,),
        change=write("dir/one", "9\n"),
    ),
    Trap(
        "text of a here-document",
        "FROM trap-base\nRUN <<EOF\necho 1 > /x\nEOF\n",
        (1,),
        after="FROM trap-base\nRUN <<EOF\necho 2 > /x\nEOF\n",
    ),
    Trap("base of a RUN", "FROM trap-base\nRUN echo x > /x\n", (0, 1), base=("", "COPY b.txt /new\n")),
)
RUN_TRAPS = tuple(replace(trap, runs=True) for trap in _RUN_TRAPS)


def steps_run(trap: Trap, shown: str) -> list[str]:
    """The instructions of the last stage that a BuildKit client shows as run, of those that make files."""
    names: dict[str, str] = {}
    cached: set[str] = set()
    for line in shown.splitlines():
        number, _, rest = line.partition(" ")
        if rest.startswith("CACHED"):
            cached.add(number)
        elif match := re.match(r"\[(?:\S+ )?\d+/\d+\] (?!FROM)(.*)", rest):
            names.setdefault(number, match[1])
    expected = set(made_by(trap.dockerfile(1)).values())
    return sorted(name for number, name in names.items() if number not in cached and name in expected)


def made_by(dockerfile: str) -> dict[int, str]:
    """The steps of the last stage that make files, by their numbers, as BuildKit shows them."""
    stage = parse(dockerfile).stages[-1]
    texts = {number: str(instruction) for number, instruction in enumerate(stage.instructions, 1)}
    return {number: text for number, text in texts.items() if text.startswith(("RUN", "COPY", "ADD", "WORKDIR"))}


def expected_to_run(trap: Trap) -> list[str]:
    """What `steps_run` should return."""
    return sorted(text for number, text in made_by(trap.dockerfile(1)).items() if number in trap.must_run)
