"""One machine for all tests of this folder, with the daemon started by the units in packaging/systemd."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.guest import Done, Guest, booted

REPOSITORY = Path(__file__).parents[2]
UNITS = REPOSITORY / "packaging/systemd"
PLACE = "/etc/systemd/system"
LAMINA = (sys.executable, "-m", "lamina")
SOCKET = "/run/lamina/lamina.sock"
# The kernel has no nftables tables of the family inet, so there is no default bridge.
FLAGS = "--host fd:// --data-root /disk/lamina --bridge none"
DROP_IN = f"[Service]\nExecStart=\nExecStart={' '.join(LAMINA)} daemon {FLAGS}\n"


class Engine:
    """lamina's daemon in the machine, spoken to by its own command line."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def install(self) -> None:
        """Install the service and its socket, and start the socket: the first client starts the daemon."""
        self.guest.run("mkdir", "-p", f"{PLACE}/lamina.service.d")
        self.guest.run("cp", str(UNITS / "lamina.service"), str(UNITS / "lamina.socket"), PLACE)
        self.guest.run("tee", f"{PLACE}/lamina.service.d/machine.conf", stdin=DROP_IN)
        self.guest.run("systemctl", "daemon-reload")
        self.guest.run("systemctl", "start", "lamina.socket")

    def cut_power_and_boot(self) -> None:
        """End the machine as a power cut does, and start it again with the same disk."""
        self.guest.cut_power()
        self.guest.boot()
        self.install()

    def __call__(self, *words: str, check: bool = True) -> Done:
        """Run one of lamina's commands."""
        return self.guest.run("env", f"LAMINA_HOST=unix://{SOCKET}", *LAMINA, *words, check=check)

    def text(self, *words: str) -> str:
        return self(*words).output.strip()

    def start(self, *flags: str, script: str) -> str:
        """Run a script in a container of the image `base` that goes on, and return the container's ID."""
        return self.text("run", "-d", "--network", "none", *flags, "base", "sh", "-c", script)

    def output(self, *flags: str, script: str) -> str:
        """Run a script in a container of the image `base`, and return what it prints."""
        return self.text("run", "--rm", "--network", "none", *flags, "base", "sh", "-c", script)


def run_tests(guest: Guest, *arguments: str, seconds: float) -> Done:
    """Run pytest on tests of rooms in the machine."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--basetemp=/disk/pytest", *arguments]
    there = f"cd {REPOSITORY} && LAMINA_TEST_BRIDGE=none exec {shlex.join(command)}"
    return guest.run("sh", "-c", there, seconds=seconds, check=False)


@pytest.fixture(scope="session")
def guest() -> Iterator[Guest]:
    with booted() as guest:
        yield guest


@pytest.fixture(scope="session")
def engine(guest: Guest) -> Engine:
    """The daemon, with an image `base` of a busybox system."""
    engine = Engine(guest)
    engine.install()
    script = "import base, pathlib; base.busybox_tar(pathlib.Path('/disk/base.tar'))"
    guest.run("env", f"PYTHONPATH={REPOSITORY / 'examples'}", sys.executable, "-c", script)
    engine("import", "/disk/base.tar", "base")
    return engine
