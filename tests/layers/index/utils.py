"""Words the suites of this room share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Tool = Callable[..., subprocess.CompletedProcess[str]]
"""Runs a program of erofs-utils with arguments; fails the test when it fails."""
