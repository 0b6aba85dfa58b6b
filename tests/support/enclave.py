"""A network and an /etc of its own, in which registries have an address that no client takes for loopback.

Engines trust loopback without TLS; certificates in `/etc/docker/certs.d` only count for other addresses.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.programs import need

ADDRESS = "10.99.0.1"
_PREPARE = """
ip link set lo up
ip address add {address}/32 dev lo
mount -t overlay overlay -o lowerdir=/etc,upperdir={folder}/etc,workdir={folder}/work /etc
echo ready
exec sleep infinity
"""


@dataclass(frozen=True)
class Enclave:
    """Runs commands inside; what it puts in `etc` is over the machine's /etc there."""

    pid: int
    etc: Path

    def inside(self, *command: str) -> list[str]:
        """The command line that runs `command` inside, as the same process."""
        return [
            "nsenter",
            f"--net=/proc/{self.pid}/ns/net",
            f"--mount=/proc/{self.pid}/ns/mnt",
            need(command[0]),
            *command[1:],
        ]

    def run(self, *command: str, env: dict[str, str] | None = None, stdin: str = "") -> str:
        """Standard output of a command that must go well."""
        done = self._done(command, env, stdin)
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def fails(self, *command: str, env: dict[str, str] | None = None, stdin: str = "") -> str:
        """Standard error of a command that must end with status 1."""
        done = self._done(command, env, stdin)
        assert done.returncode == 1, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr.strip()

    def _done(self, command: Sequence[str], env: dict[str, str] | None, stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.inside(*command), capture_output=True, text=True, env=env, input=stdin, timeout=120, check=False
        )

    @contextmanager
    def running(self, commands: Sequence[Sequence[str]], log: Path) -> Iterator[None]:
        """Servers inside, for so long; their output is in `log`."""
        with log.open("wb") as output:
            processes = [subprocess.Popen(self.inside(*one), stdout=output, stderr=output) for one in commands]
            try:
                yield
            finally:
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.wait(30)


@contextmanager
def enclave(folder: Path) -> Iterator[Enclave]:
    """Make one; `folder` is empty and on a file system that overlays take (root)."""
    need("ip")
    for name in ("etc", "work"):
        (folder / name).mkdir()
    script = "set -e" + _PREPARE.format(address=ADDRESS, folder=folder)
    command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        yield Enclave(holder.pid, folder / "etc")
    finally:
        holder.terminate()
        holder.communicate()
