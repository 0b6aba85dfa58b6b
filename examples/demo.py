"""The main job, start to end, on real input: what `make demo` shows.

A daemon of its own runs in a temporary folder, with every command printed as you would type it. Nothing is left
behind. `make demo DEMO=--debian` uses a debootstrapped Debian in place of busybox.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base import busybox_tar, debian_tar

HERE = Path(__file__).parent
LAMINA = [sys.executable, "-m", "lamina"]
BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")


class Shell:
    """Runs lamina against the demo's daemon, showing each command before its output."""

    def __init__(self, host: str) -> None:
        self.environment = {**os.environ, "LAMINA_HOST": host}

    def show(self, line: str) -> None:
        """Print and run `line`; SystemExit where it fails."""
        print(f"{BOLD}$ {line}{PLAIN}", flush=True)
        done = subprocess.run(self._command(line), shell=True, env=self.environment, cwd=HERE, check=False)
        if done.returncode:
            sys.exit(f"the demo stops: the command above ended with status {done.returncode}")
        print(flush=True)

    def text(self, line: str) -> str:
        done = subprocess.run(
            self._command(line), shell=True, env=self.environment, cwd=HERE, check=True, capture_output=True
        )
        return done.stdout.decode()

    def _command(self, line: str) -> str:
        return line.replace("lamina ", shlex.join(LAMINA) + " ")


def say(text: str) -> None:
    print(f"{BOLD}# {text}{PLAIN}", flush=True)


@contextmanager
def private_daemon(folder: Path) -> Iterator[str]:
    """A daemon with its socket, data and state below `folder`; gone when the block ends."""
    path = folder / "lamina.sock"
    flags = ["--host", f"unix://{path}", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/run"]
    flags += ["--pidfile", f"{folder}/pid"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen([*LAMINA, "daemon", *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(path, daemon, folder / "log")
        yield f"unix://{path}"
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)


def wait_for(path: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        if daemon.poll() is not None:
            break
        time.sleep(0.05)
    sys.exit(f"the daemon did not start:\n{log.read_text()}")


def tell(shell: Shell, folder: Path) -> None:
    say("a base image, made from Debian's packages and imported")
    shell.show(f"lamina import {folder}/base.tar base")
    say("the first build: a Dockerfile with FROM, RUN, COPY and CMD")
    shell.show("lamina build -t clock clock")
    say("the same again: every step comes from the cache")
    shell.show("lamina build -t clock clock")
    say("an image is a stack of layers; steps without file changes hold 0 B")
    shell.show("lamina history clock")
    say("two containers from one image")
    shell.show("lamina run -d --name one clock")
    shell.show("lamina run -d --name two clock")
    time.sleep(2.5)  # so that the clock has something to tell
    shell.show("lamina logs one")
    say("both share the image's layers: SIZE is what each wrote, virtual is with the image below it")
    shell.show('lamina exec one sh -c "echo changed > /app/note"')
    shell.show("lamina ps --size")
    shell.show("lamina system df")
    say("what one changed, as a new image")
    shell.show("lamina diff one")
    shell.show('lamina commit -m "with a note" one clock:noted')
    shell.show("lamina run --rm clock:noted cat /app/note")
    say("an image as a file, away and back")
    shell.show("lamina rm -f one two")
    shell.show(f"lamina save -o {folder}/noted.tar clock:noted")
    shell.show("lamina rmi clock:noted")
    shell.show(f"lamina load -i {folder}/noted.tar")
    shell.show("lamina images")


def clean(shell: Shell) -> None:
    containers = shell.text("lamina ps -aq").split()
    if containers:
        shell.text(f"lamina rm -f {' '.join(containers)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--debian", action="store_true", help="a debootstrapped Debian as base image, in place of busybox"
    )
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The demo runs containers, which needs root here: sudo make demo")
    folder = Path(tempfile.mkdtemp(prefix="lamina-demo-"))
    try:
        (debian_tar if options.debian else busybox_tar)(folder / "base.tar")
        with private_daemon(folder) as host:
            shell = Shell(host)
            try:
                tell(shell, folder)
            finally:
                clean(shell)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say("Everything of this demo is gone again. Where to go next:")
    print("  .venv/bin/lamina --help        the same commands against a daemon of your own")
    print("  docs/library.md                images and containers as Python values")
    print("  docs/architecture.md           how it works, room by room")


if __name__ == "__main__":
    main()
