"""A registry in a process of its own, which may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_PROGRAM = """
import sys
from pathlib import Path
from lamina.distribution.server import Config, serve
config = Config(listen=sys.argv[1], root=Path(sys.argv[2]), grace=float(sys.argv[3]), collect_every=float(sys.argv[4]))
serve(config, lambda address: print(address, flush=True))
"""


class Spawned:
    """Runs `serve`. A context manager that ends it by SIGTERM; `kill` ends it by SIGKILL."""

    def __init__(
        self, root: Path, listen: str = "127.0.0.1:0", grace: float = 86400.0, collect_every: float = 3600.0
    ) -> None:
        arguments = [listen, str(root), str(grace), str(collect_every)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        self.errors = ""

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Spawned:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self._process.terminate()
            _, self.errors = self._process.communicate(timeout=30)
