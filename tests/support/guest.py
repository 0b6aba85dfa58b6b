"""A machine of its own kernel for tests: user-mode Linux with this computer's files, cgroup v2 alone, and systemd.

Its root is this computer's own, read-only, with all changes in memory (tests/machine/boot). `/disk` is a file system
that outlives a boot. Debian's package user-mode-linux holds the kernel; it needs no KVM.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.daemons import short_folder
from support.programs import need

MODULES = "/usr/lib/uml/modules"
PROGRAMS = Path(__file__).parents[1] / "machine"
BOOT_SECONDS = 120
ANSWER_SECONDS = 60  # longer than the command itself may take
_MEMORY = "1536M"
_TOO_MANY_REGISTERS = "ptrace set fp regs failed"
_DISK_BYTES = 2 << 30  # a sparse file


@dataclass(frozen=True)
class Done:
    """How a command in the machine ended, with its output and errors in one text."""

    status: int
    output: str


class Guest:
    """One machine, which can be switched off and on again. `folder` holds its disk and its console's text."""

    def __init__(self, folder: Path) -> None:
        self._kernel = need("linux.uml")
        self._folder = folder
        self._disk = folder / "disk"
        self._process: subprocess.Popen[bytes] | None = None
        with self._disk.open("wb") as file:
            file.truncate(_DISK_BYTES)
        subprocess.run([need("mkfs.ext4"), "-qF", self._disk], check=True)

    def boot(self) -> None:
        """Start the machine and return when it takes commands. AssertionError with the console's end otherwise."""
        ours, theirs = socket.socketpair()
        with theirs, (self._folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                self._command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "HOME": str(self._folder)},  # where the kernel keeps its pid file
                start_new_session=True,
            )
        self._socket = ours
        self._line = ours.makefile("rwb")
        self._skip_where_it_cannot_run()
        assert json.loads(self._answer(BOOT_SECONDS)) == {"ready": True}

    def _command(self, line: int) -> list[str]:
        return [
            self._kernel,
            f"mem={_MEMORY}",
            f"ubd0={self._disk}",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            f"init={PROGRAMS / 'boot'}",
            "con=null",
            "con0=null,fd:1",
            f"ssl0=fd:{line}",
            "apparmor=1",
            "security=apparmor",
            f"lamina_modules={MODULES}",
            f"lamina_python={sys.executable}",
            f"lamina_agent={PROGRAMS / 'agent.py'}",
            f"lamina_checkout={PROGRAMS.parents[1]}",
            "TERM=dumb",
        ]

    def _skip_where_it_cannot_run(self) -> None:
        """Skip the test on a processor with more registers than this kernel can keep of a process.

        Rule: Linux 6.1, arch/um/os-Linux/skas/process.c, userspace(): it ends the first program, and so the machine.
        """
        self._socket.settimeout(BOOT_SECONDS)
        with contextlib.suppress(TimeoutError):
            if not self._socket.recv(1, socket.MSG_PEEK) and _TOO_MANY_REGISTERS in self.console:
                pytest.skip("the user-mode kernel cannot keep the registers of this processor")

    def run(self, *command: str, seconds: float = 120, stdin: str = "", check: bool = True) -> Done:
        """Run a command in the machine. AssertionError when it fails, unless `check` is false."""
        request = {"command": command, "stdin": stdin, "seconds": seconds}
        self._line.write(json.dumps(request).encode() + b"\n")
        self._line.flush()
        done = Done(**json.loads(self._answer(seconds + ANSWER_SECONDS)))
        assert not check or done.status == 0, f"{' '.join(command)}: {done.status}\n{done.output}"
        return done

    def _answer(self, seconds: float) -> Any:
        self._socket.settimeout(seconds)
        try:
            line = self._line.readline()
        except TimeoutError:
            line = b""
        assert line, f"the machine does not answer; its console ends with:\n{self.console[-3000:]}"
        return line

    @property
    def console(self) -> str:
        return (self._folder / "console").read_text(errors="replace")

    def cut_power(self) -> None:
        """End the machine at once, as a power cut would: what it had not written to its disk is lost."""
        if self._process is not None:
            self._line.close()
            self._socket.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def booted() -> Iterator[Guest]:
    """A machine that has been started; it is gone in the end."""
    with short_folder("uml-") as folder:
        guest = Guest(folder)
        try:
            guest.boot()
            yield guest
        finally:
            guest.cut_power()
