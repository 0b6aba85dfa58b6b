"""Build each case on a real engine and on lamina, several cases at a time, and keep what came out of both."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differential.build_cases.case import BASES, TREE, Builder, Case
from support.context import write_context
from support.daemons import Daemon
from support.flatten import SavedImage, read_saved
from support.programs import BUILDX, CLIENT_20, need

AT_ONCE = 4
COMMANDS: dict[Builder, tuple[str, ...]] = {
    "buildkit": (BUILDX, "build", "--progress", "plain", "--provenance", "false"),
    "classic": (CLIENT_20, "build"),
}


@dataclass(frozen=True)
class Outcome:
    """What an engine made of a case: an image, or None and the client's output."""

    image: SavedImage | None
    output: str

    def config(self, builder: Builder) -> dict[str, Any]:
        """Return what the image's config says, with the keys of its `config` beside the others."""
        assert self.image is not None, self.output
        document = {key: value for key, value in self.image.config.items() if key not in ("config", "rootfs")}
        # Docker writes empty values where OCI leaves the key out; both mean the same.
        inner = {f"config.{key}": value for key, value in self.image.config.get("config", {}).items() if value}
        read_step = _instruction if builder == "buildkit" else _classic_step
        history = [(*read_step(step), step.get("empty_layer", False)) for step in self.image.config["history"]]
        return {**document, **inner, "history": history, "layers": len(self.image.config["rootfs"]["diff_ids"])}


def _classic_step(step: dict[str, Any]) -> tuple[str, ...]:
    # A squash names the IDs it merged, which hold times and so differ.
    return step.get("created_by", ""), re.sub("[0-9a-f]{64}", "ID", step.get("comment", ""))


def _instruction(step: dict[str, Any]) -> tuple[str, ...]:
    """Return the step's instruction alone.

    lamina's builds have one digest whatever protocol the client speaks, so their history has the classic builder's
    words.
    """
    text = step.get("created_by", "")
    _, nop, said = text.partition("#(nop)")
    if nop or step.get("comment", "").startswith("buildkit"):
        return ((said or text).split()[0],)
    return ("RUN" if text else "",)


@dataclass(frozen=True)
class Pair:
    """What the real engine made of a case, and what lamina made of it."""

    builder: Builder
    real: Outcome
    lamina: Outcome

    def differing_keys(self) -> dict[str, tuple[Any, Any]]:
        real, lamina = self.real.config(self.builder), self.lamina.config(self.builder)
        values = {key: (real.get(key), lamina.get(key)) for key in real.keys() | lamina}
        return {key: pair for key, pair in values.items() if pair[0] != pair[1]}

    def differing_paths(self) -> dict[str, tuple[Any, Any]]:
        assert self.real.image is not None
        assert self.lamina.image is not None
        real, lamina = self.real.image.tree, self.lamina.image.tree
        files = {path: (real.get(path), lamina.get(path)) for path in real.keys() | lamina}
        return {path: pair for path, pair in files.items() if pair[0] != pair[1]}


class Pairs:
    """The pairs of many cases, built in the background in the order in which they were started."""

    def __init__(self, builder: Builder, real: Daemon, lamina: Daemon, folder: Path) -> None:
        self.engines = (real, lamina)
        self.builder = builder
        self._folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._pairs: dict[str, Future[Pair]] = {}

    def prepare(self, busybox: bytes) -> None:
        """Give both engines the images that cases stand on."""
        context = self._folder / "bases"
        context.mkdir(parents=True)
        write_context(context, TREE)
        for engine in self.engines:
            engine.docker("import", "-c", "ENV PATH=/bin:/sbin", "-", "base", stdin=busybox)
            for name, text in BASES.items():
                (context / "Dockerfile").write_text(text)
                done = self._build(engine, context, "-t", name)
                assert done.returncode == 0, _output(done)

    def start(self, cases: Iterable[Case]) -> None:
        for case in cases:
            if case.name not in self._pairs:
                self._pairs[case.name] = self._pool.submit(self._pair, case)

    def of(self, case: Case) -> Pair:
        self.start([case])
        return self._pairs[case.name].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _pair(self, case: Case) -> Pair:
        folder = self._folder / case.name
        folder.mkdir()
        (folder / "Dockerfile").write_text(case.dockerfile)
        write_context(folder, case.files)
        real, lamina = (self._outcome(engine, case, folder) for engine in self.engines)
        return Pair(self.builder, real, lamina)

    def _outcome(self, engine: Daemon, case: Case, folder: Path) -> Outcome:
        tag = f"case-{case.name}"
        done = self._build(engine, folder, "-t", tag, *case.flags)
        saved = read_saved(engine.docker("save", tag).stdout) if done.returncode == 0 else None
        return Outcome(saved, _output(done))

    def _build(self, engine: Daemon, folder: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
        program, *arguments = COMMANDS[self.builder]
        own = {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(engine.folder), "DOCKER_BUILDKIT": "0"}
        return subprocess.run(
            [need(program), *arguments, "--network", "none", *flags, "."],
            cwd=folder,
            env={**os.environ, **own},
            capture_output=True,
            timeout=180,
            check=False,
        )


def _output(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr).decode(errors="replace")
