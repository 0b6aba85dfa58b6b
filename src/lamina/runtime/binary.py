"""Which OCI runtime program runs containers here, and why.

crun is preferred: it starts a container in a quarter of runc's time. Whether a program works is tried with a real
container of one tiny process, since versions and cgroup layouts disagree in ways that no version number tells.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lamina.errors import Unavailable
from lamina.runtime import account_files
from lamina.runtime.cgroups.layout import Layout
from lamina.runtime.spawner import Spawner

CANDIDATES = ("crun", "runc", "youki")

# exit(0) in machine code, by machine and with its ELF number
_EXIT = {
    "x86_64": (62, bytes.fromhex("31ffb83c0000000f05")),
    "aarch64": (183, bytes.fromhex("000080d2a80b80d2010000d4")),
}


@dataclass(frozen=True, slots=True)
class Program:
    """A runtime program that works. `hide` names mounts it must not see; `reason` says why it was chosen;
    `opens_accounts` whether it opens the image's files of users, see `account_files`."""

    name: str
    path: str
    hide: tuple[str, ...]
    reason: str
    opens_accounts: bool = False


def choose(wanted: str | None, layout: Layout, spawner: Spawner, scratch: Path) -> Program:
    """The program named `wanted` (a name or path), else the first candidate that works.

    `scratch` is a directory for the trial container, removed afterwards. Raises Unavailable, saying what was tried.
    """
    tried: list[str] = []
    for program in _installed((wanted,) if wanted else CANDIDATES, layout):
        problem = _try(program, spawner, scratch)
        if not problem:
            reason = f"{program.reason}; passed over: {'; '.join(tried)}" if tried else program.reason
            version = spawner.run((program.path, "--version"), program.hide).stdout.decode(errors="replace")
            return replace(program, reason=reason, opens_accounts=account_files.opens_them(version))
        tried.append(f"{program.name} does not work here: {problem}")
    if wanted and not tried:
        raise Unavailable(f"the OCI runtime {wanted!r} is not installed", program=wanted)
    if tried:
        raise Unavailable("; ".join(tried), advice="Install another OCI runtime: crun or runc")
    raise Unavailable("no OCI runtime is installed", advice=f"Install one of {', '.join(CANDIDATES)}")


def _installed(names: tuple[str, ...], layout: Layout) -> Iterator[Program]:
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")
        if path is None:
            continue
        base = os.path.basename(path)
        if base == "crun" and layout.mode == "hybrid":
            reason = "crun, kept from seeing the v2 hierarchy beside the v1 ones, which it refuses"
            yield Program(base, path, (str(layout.unified),), reason)
        yield Program(base, path, (), base)


def tiny_program(machine: str) -> bytes | None:
    """A static ELF executable that exits with 0, or None for machines we cannot write one for."""
    if machine not in _EXIT:
        return None
    number, code = _EXIT[machine]
    base, size = 0x400000, 120 + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, number, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return header + segment + code


def _try(program: Program, spawner: Spawner, scratch: Path) -> str:
    """Runs a container with `program`; gives what went wrong, or nothing."""
    executable = tiny_program(platform.machine())
    if executable is None or os.geteuid() != 0:
        return ""
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "rootfs").mkdir(parents=True)
    for folder in ("proc", "dev", "sys"):
        (scratch / "rootfs" / folder).mkdir()
    command = scratch / "rootfs/exit"
    command.write_bytes(executable)
    command.chmod(0o755)
    name = f"probe-{os.getpid()}"
    (scratch / "config.json").write_text(json.dumps(_trial(name)))
    try:
        state = ["--root", str(scratch / "state")]
        done = spawner.run([program.path, *state, "run", "--bundle", str(scratch), name], program.hide)
        if done.exit_code:
            spawner.run([program.path, *state, "delete", "--force", name], program.hide)
            return done.stderr.decode(errors="replace").strip() or f"exit code {done.exit_code}"
        return ""
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _trial(name: str) -> dict[str, object]:
    return {
        "ociVersion": "1.0.2",
        "process": {"args": ["/exit"], "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": f"/lamina/{name}",
            "namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts")],
        },
    }
