"""Today's engines, run below a root of Debian's release in the making, which `scripts/newest_engines` makes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.daemons import START_SECONDS, Daemon
from support.programs import PEERS

ROOT = PEERS / "newest-engines"
_BRIDGE = "bench28"


@dataclass(frozen=True)
class Root:
    """The root, mounted and ready, and a folder that has the same path inside and outside."""

    path: Path
    folder: Path

    def command(self, program: str) -> tuple[str, ...]:
        """Return the words before the arguments of a program in the root."""
        return ("chroot", str(self.path), program)

    def version(self, program: str) -> str:
        """Return the first two numbers of a program's version."""
        text = subprocess.run([*self.command(program), "--version"], capture_output=True, text=True, check=True).stdout
        number = next(word for word in text.split() if word.lstrip("v")[:1].isdigit())
        return ".".join(number.lstrip("v").split(".")[:2])

    def dockerd(self) -> Daemon:
        """Return a dockerd that is yet to be started."""
        folder = _subfolder(self.folder, "dockerd")
        # docker0 is that of the other dockerd.
        subprocess.run(["ip", "link", "add", _BRIDGE, "type", "bridge"], check=True)
        subprocess.run(["ip", "address", "add", "172.31.0.1/16", "dev", _BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", _BRIDGE, "up"], check=True)
        command = [*self.command("dockerd"), "-H", f"unix://{folder}/s", "--data-root", f"{folder}/d"]
        command += ["--exec-root", f"{folder}/e", "--pidfile", f"{folder}/p", "--bridge", _BRIDGE]
        return Daemon(folder, folder / "s", command)

    @contextlib.contextmanager
    def containerd(self) -> Iterator[tuple[Path, int]]:
        """Run a containerd, and yield its socket and its process id."""
        folder = _subfolder(self.folder, "containerd")
        socket, log = folder / "s", folder / "log"
        (folder / "config.toml").write_text(
            f'version = 3\nroot = "{folder}/d"\nstate = "{folder}/e"\n[grpc]\naddress = "{socket}"\n'
        )
        with log.open("wb") as output:
            command = [*self.command("containerd"), "--config", str(folder / "config.toml")]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not socket.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)  # there is no event for "listens now"
            yield socket, process.pid
        finally:
            process.terminate()
            process.wait()


def newest_root(stack: ExitStack, folder: Path) -> Root | None:
    """Mount what the engines need below the root, for as long as `stack` lives; None where nobody made the root.

    The caller is in a mount namespace of its own.
    """
    if not (ROOT / "usr/sbin/dockerd").exists():
        return None
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    inside = ROOT / str(folder).lstrip("/")
    for source, target, flags in (
        (str(ROOT), ROOT, ["--bind"]),  # a runtime wants / to be a mount
        ("/sys", ROOT / "sys", ["--rbind"]),
        ("/dev", ROOT / "dev", ["--rbind"]),
        ("proc", ROOT / "proc", ["-t", "proc"]),
        ("tmpfs", ROOT / "run", ["-t", "tmpfs"]),
        (str(folder), inside, ["--bind"]),
    ):
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *flags, source, str(target)], check=True)
        stack.callback(subprocess.run, ["umount", "-R", "-l", str(target)], check=False)
    stack.callback(_remove_empty, inside)
    if (unified := ROOT / "sys/fs/cgroup/unified").is_dir():  # crun takes its presence for a hierarchy it cannot use
        subprocess.run(["umount", str(unified)], check=True)
    return Root(ROOT, _subfolder(folder, "today"))


def _subfolder(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)
