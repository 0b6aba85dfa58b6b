"""A build on a terminal: what a frame has, and that a real build is drawn, in place, with its failure at the end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.cli.terminal.build_display import BuildFrames
from lamina.progress import Aux, Output, Status
from support.daemons import Daemon
from support.engines import LAMINA, engine_with_base
from support.programs import need
from support.terminal import Terminal


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plan(*stages: tuple[str, ...]) -> Aux:
    planned = [{"Stage": number, "Name": f"s{number}", "Instructions": list(s)} for number, s in enumerate(stages)]
    return Aux({"Plan": {"Stages": planned}})


def news(kind: str, number: int, stage: int = 0, **members: Any) -> Aux:
    return Aux({kind: {"Stage": stage, "Number": number, **members}})


def test_a_frame_has_the_steps_their_times_and_the_last_lines() -> None:
    clock = Clock()
    frames = BuildFrames(clock)
    frames.hear(plan(("FROM base", "ENV a=b", "RUN make")))
    frames.hear(news("Started", 0))
    frames.hear(news("Step", 0, Outcome="cached"))
    frames.hear(news("Started", 1))
    frames.hear(news("Step", 1, Outcome="run"))
    frames.hear(news("Started", 2))
    frames.hear(news("Log", 2, Text="".join(f"line {number}\n" for number in range(9)) + "10 %\r20 %"))
    clock.now += 2.5
    assert [line.rstrip() for line in frames.lines(24, 40)] == [
        "[+] Building 2.5s (1/2)",
        " => CACHED [1/2] FROM base         0.0s",
        " => [2/2] RUN make                 2.5s",
        *(f" => => # line {number}" for number in (5, 6, 7, 8)),
        " => => # 20 %",
    ]
    frames.hear(news("Step", 2, Outcome="failed"))
    clock.now += 2
    assert frames.lines(24, 40, whole=True)[1:] == [
        " => CACHED [1/2] FROM base         0.0s",
        " => ERROR [2/2] RUN make           2.5s",
    ]
    assert frames.failures()[:3] == ["------", " > [2/2] RUN make:", "line 0"]


def test_a_frame_fits_the_screen_and_what_runs_comes_first() -> None:
    frames = BuildFrames(Clock())
    frames.hear(plan(*((f"RUN step {number}" * 20,) for number in range(200))))
    for number in range(200):
        frames.hear(news("Started", 0, number))
        if number % 20:
            frames.hear(news("Step", 0, number, Outcome="run"))
    lines = frames.lines(23, 80)
    assert len(lines) <= 23
    assert all(len(line) <= 80 for line in lines)
    for number in range(0, 200, 20):
        assert any(f" RUN step {number}RUN" in line for line in lines)
    assert len(frames.lines(0, 80, whole=True)) == 201


def test_a_pull_and_outputs_are_shown() -> None:
    frames = BuildFrames(Clock())
    frames.hear(plan(("FROM base",)))
    frames.hear(news("Started", 0))
    frames.hear(Status("Downloading", "abc", 500_000, 1_000_000))
    assert frames.lines(9, 60)[2:] == [" => => # abc: Downloading 500kB/1MB"]
    frames.hear(news("Step", 0, Outcome="run"))
    frames.hear(Output("exporting layers\n"))
    assert [line.split("  ")[0] for line in frames.lines(9, 60)[1:]] == [" => [1/1] FROM base", " => exporting layers"]


def test_nothing_of_a_build_drives_the_terminal() -> None:
    frames = BuildFrames(Clock())
    frames.hear(plan(("RUN \x1b[2J\u202e\n\r",)))
    frames.hear(news("Started", 0))
    frames.hear(news("Log", 0, Text="\x1b]0;title\x07\x9b2J\u2066\x1b[31mred"))
    frames.hear(Status("pull \x1b[H", "\x1b[H", 5))
    frames.hear(Output("exporting \x1b[2J"))
    assert all(line.isprintable() for line in frames.lines(24, 200))


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with engine_with_base("lamina", busybox_tar) as daemon:
        yield daemon


def run(daemon: Daemon, tmp_path: Path, dockerfile: str, *flags: str) -> tuple[int, str]:
    """Build on a terminal of 80 columns; the exit code, and all that was shown."""
    (tmp_path / "Dockerfile").write_text(dockerfile)
    command = [*LAMINA, "-H", daemon.host, "build", "--no-cache", *flags, str(tmp_path)]
    sized = [need("sh"), "-c", 'stty rows 24 cols 80; exec "$@"', "sh", *command]
    terminal = Terminal(sized, {**os.environ, "TERM": "xterm"})
    code = terminal.end()
    return code, terminal.seen.decode()


@pytest.mark.root
def test_a_build_is_drawn_in_place(daemon: Daemon, tmp_path: Path) -> None:
    steps = "FROM base AS one\nRUN sleep 1; echo one\nFROM base\nRUN echo two && sleep 1\nCOPY --from=one /bin /b\n"
    code, shown = run(daemon, tmp_path, steps, "-t", "drawn")
    assert code == 0, shown
    frames = shown.split("\x1b[J")
    running = ("RUN sleep 1; echo one", "RUN echo two && sleep 1")
    assert any(all(step in frame for step in running) and "(2/" in frame for frame in frames), shown
    last = re.sub(r"\x1b\[\d*[AKJ]", "", "".join(frames[-2:]))
    assert re.search(r"\[\+\] Building [\d.]+s \(5/5\) FINISHED", last)
    assert "[one 2/2] RUN sleep 1; echo one" in last
    assert last.endswith("Successfully tagged drawn:latest\r\n")


@pytest.mark.root
def test_a_failure_shows_its_output_and_its_place(daemon: Daemon, tmp_path: Path) -> None:
    code, shown = run(daemon, tmp_path, "FROM base\nRUN echo before; exit 7\n")
    assert code == 7
    last = shown.split("FINISHED")[1]
    assert "ERROR [2/2] RUN echo before; exit 7" in last
    assert "before" in last.split("------")[1]
    assert "Dockerfile line 2:" in last
    assert "returned a non-zero code: 7" in last


@pytest.mark.root
@pytest.mark.parametrize("flags", [("--progress", "plain"), ("--explain",)])
def test_lines_where_they_are_asked_for(daemon: Daemon, tmp_path: Path, flags: tuple[str, ...]) -> None:
    code, shown = run(daemon, tmp_path, "FROM base\nRUN echo here\n", *flags)
    assert code == 0
    assert "Step 2/2 : RUN echo here" in shown
    assert "[+] Building" not in shown


@pytest.mark.root
def test_values_for_programs(daemon: Daemon, tmp_path: Path) -> None:
    code, shown = run(daemon, tmp_path, "FROM base\nRUN echo here\n", "--progress", "rawjson")
    assert code == 0
    values = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    names = {vertex["digest"]: vertex["name"] for each in values for vertex in each.get("vertexes", ())}
    assert list(names.values()) == ["[1/2] FROM base", "[2/2] RUN echo here"]
    (output,) = [each for value in values for each in value.get("logs", ())]
    assert names[output["vertex"]] == "[2/2] RUN echo here"
