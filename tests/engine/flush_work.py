"""A process that does one piece of work after the other, and prints what was flushed during and after each."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from lamina.api.build import BuildRequest
from lamina.api.containers import Config, HostConfig
from lamina.engine import Engine
from support.flushes import Flushes


def main(folder: Path, base: Path, pulled: str) -> None:
    flushes = Flushes()
    with Engine(folder / "d", folder / "e") as engine:
        with base.open("rb") as tar:
            engine.images.import_tar(tar, "base")
        saved = io.BytesIO()
        _build(engine, folder, "saved")
        engine.images.save(["saved"], saved)
        engine.images.remove("saved")
        engine.builds.prune()
        changed = _run(engine, "echo changed > /changed")
        verbs: dict[str, Callable[[], object]] = {
            "load": lambda: engine.images.load(io.BytesIO(saved.getvalue())),
            "pull": lambda: engine.registries.pull(pulled),
            "commit": lambda: engine.containers.commit(changed, "committed"),
            "build": lambda: _build(engine, folder, "built"),
            "tag": lambda: engine.images.tag("base", "tagged"),
            "remove": lambda: engine.images.remove(pulled),
        }
        report = {}
        for name, verb in verbs.items():
            engine.store.sync()
            before = _content(engine)
            flushes.take()
            verb()
            noted = flushes.take()
            engine.store.sync()
            syncer = next(thread.native_id for thread in threading.enumerate() if thread.name == "lamina-store-sync")
            during = [flush for flush in noted if flush.thread != syncer]
            files = [flush.path for flush in noted + flushes.take() if Path(flush.path).parent.name == "sha256"]
            report[name] = {
                "waited for": [f"{flush.call} {flush.path}" for flush in during],
                "flushed": sorted(files),
                "new": sorted(_content(engine) - before),
            }
        engine.containers.remove(changed)
        print(json.dumps(report))


def _build(engine: Engine, folder: Path, text: str) -> None:
    """Build an image called `text` of a COPY and a RUN that no other build has."""
    context = folder / text
    context.mkdir()
    (context / "file").write_text(text)
    (context / "Dockerfile").write_text(f"FROM base\nCOPY file /copied\nRUN echo {text} > /ran\n")
    engine.builds.build(context, BuildRequest(tags=(text,)))


def _run(engine: Engine, command: str) -> str:
    config = Config(image="base", cmd=("sh", "-c", command))
    container = engine.containers.create(None, config, HostConfig(network_mode="none")).id
    engine.containers.start(container)
    engine.containers.wait(container)
    return container


def _content(engine: Engine) -> set[str]:
    return {str(path) for kind in ("blobs", "layers") for path in (engine.root / kind / "sha256").iterdir()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
