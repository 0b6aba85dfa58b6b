"""Seccomp filters kept compiled: crun spends nearly half its time making one from the profile at every start.

crun leaves the program it compiled in its state directory and takes one by the annotation
`run.oci.seccomp_bpf_data` (crun(1)). So each profile is compiled once per runtime directory, which lies on a tmpfs and
is root's alone. Other runtimes get the profile as it is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

ANNOTATION = "run.oci.seccomp_bpf_data"
_REFUSE_ALL = {"defaultAction": "SCMP_ACT_ERRNO"}  # what is left for a crun that would not know the annotation


class FilterCache:
    """Compiled filters below `directory`, for the runtime program at `program` whose states lie in `states`."""

    def __init__(self, directory: Path, program: str, states: Path) -> None:
        self._directory = directory
        self._states = states
        self._identity = ""
        if os.path.basename(program) == "crun":
            info = os.stat(program)
            self._identity = f"{program}:{info.st_size}:{info.st_mtime_ns}:{os.uname().machine}"
        self._loaded: dict[str, str] = {}

    def apply(self, document: dict[str, Any]) -> str:
        """Puts the compiled filter into a config.json document, where there is one.

        Gives the key under which `learn` may keep it after the start, or nothing where that is of no use.
        """
        profile = document["linux"].get("seccomp")
        if profile is None or not self._identity:
            return ""
        key = hashlib.sha256(self._identity.encode() + msgspec.json.encode(profile)).hexdigest()
        encoded = self._load(key)
        if encoded is None:
            return key
        document["linux"]["seccomp"] = _REFUSE_ALL
        document.setdefault("annotations", {})[ANNOTATION] = encoded
        return ""

    def learn(self, key: str, id: str) -> None:
        """Keeps the filter that the runtime compiled for the task `id`, which has just started."""
        if not key:
            return
        with suppress(OSError):  # the task may have ended already: another start will tell
            self._directory.mkdir(mode=0o700, exist_ok=True)
            temporary = self._directory / f"{key}.{id}.tmp"
            shutil.copyfile(self._states / id / "seccomp.bpf", temporary)
            os.rename(temporary, self._directory / key)

    def _load(self, key: str) -> str | None:
        if key not in self._loaded:
            try:
                raw = (self._directory / key).read_bytes()
            except OSError:
                return None
            if not raw or len(raw) % 8:  # struct sock_filter is eight bytes
                return None
            self._loaded[key] = base64.b64encode(raw).decode()
        return self._loaded[key]
