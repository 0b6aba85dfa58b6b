"""The json-file log, without containers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lamina.runtime.monitor.log_file import MESSAGE_LIMIT, LogFile
from lamina.runtime.monitor.output import Log


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_appear_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path)))
    log.write("stdout", b"a\nb")
    assert [line["log"] for line in lines(path)] == ["a\n"]
    log.write("stderr", b"e\n")
    log.write("stdout", b"c\nd")
    log.close()
    log.close()
    assert [(line["stream"], line["log"]) for line in lines(path)] == [
        ("stdout", "a\n"),
        ("stderr", "e\n"),
        ("stdout", "bc\n"),
        ("stdout", "d"),
    ]


def test_odd_bytes_and_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path)))
    log.write("stdout", b"\xff<&>\x00\n" + b"x" * (MESSAGE_LIMIT + 5) + b"\n")
    log.close()
    first, second, third = lines(path)
    assert first["log"] == "\ufffd<&>\x00\n"
    assert b"\\u003c\\u0026\\u003e" in path.read_bytes()
    assert (len(second["log"]), third["log"]) == (MESSAGE_LIMIT, "xxxxx\n")


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path), max_size=200, max_files=3))
    for number in range(20):
        log.write("stdout", b"line %d\n" % number)
    log.close()
    kept = [tmp_path / name for name in ("log.2", "log.1", "log")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    texts = [line["log"] for file in kept for line in lines(file)]
    assert texts == [f"line {number}\n" for number in range(20 - len(texts), 20)]


@pytest.mark.parametrize("left", [b'{"log":"half', bytes(300_000), b'{"log"' + bytes(4096)])
@pytest.mark.parametrize("before", [0, 3])
def test_a_line_that_a_power_cut_left_in_part_is_removed(tmp_path: Path, left: bytes, before: int) -> None:
    path = tmp_path / "log"
    log = LogFile(str(path))
    log.write("stdout", [b"whole\n"] * before)
    log.close()
    with path.open("ab") as file:
        file.write(left)
    log = LogFile(str(path))
    log.write("stdout", [b"next\n"])
    log.close()
    texts = [json.loads(line)["log"] for line in path.read_text().splitlines()]
    assert texts == ["whole\n"] * before + ["next\n"]
