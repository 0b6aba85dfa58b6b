"""A registry in a process of its own, which may be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_PROGRAM = """
import json, sys
from lamina.registry import serve
from lamina.registry.config import parse
serve(parse(json.loads(sys.argv[1]), "the test"), lambda address: print(address, flush=True))
"""


class Spawned:
    """Runs `serve`. A context manager that ends it by SIGTERM; `kill` ends it by SIGKILL."""

    def __init__(
        self, root: Path | None, listen: str = "127.0.0.1:0", environment: dict[str, str] | None = None, **more: object
    ) -> None:
        """`environment` comes on top of ours; `more` are settings by their names with underscores."""
        settings = {"listen": listen} | ({"root": str(root)} if root else {})
        named = settings | {name.replace("_", "-"): value for name, value in more.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(named)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        self.errors = ""

    @property
    def pid(self) -> int:
        return self._process.pid

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
