"""The work that is measured: commands that every engine's command line knows, and calls of the API."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engines.subjects import Sample, Subject
from lamina.client import Client
from lamina.types import Config, ExecConfig, HostConfig

SMALL_FILES = 20_000
BIG_FILE = 256 << 20
BIG_LAYERS = 9
BIG_LAYER = 30 << 20
_PIECE = 1 << 20  # bytes that are made at once
AT_ONCE = 8
KEPT = "kept"  # a container that runs during the whole bench


@dataclass(frozen=True)
class Row:
    """A piece of work. `measure` does it once for a subject; `prepare`, before each time, is not measured.

    `api` tells that it is done by calls of the API, without a command line.
    """

    name: str
    measure: Callable[[Subject], Sample]
    prepare: Callable[[Subject], None] = lambda subject: None
    api: bool = False


def rows(folder: Path) -> list[Row]:
    """Return all rows. `folder` has what `write_inputs` writes, and takes the output of commands."""
    sink = folder / "output"

    def command(*arguments: str, stdin: Path | None = None) -> Callable[[Subject], Sample]:
        return lambda subject: subject.measure(arguments, stdin, sink)

    def build(name: str, *flags: str) -> Callable[[Subject], Sample]:
        return command("build", "-q", *flags, "-t", name, str(folder / name))

    def without(name: str) -> Callable[[Subject], None]:
        return lambda subject: subject.prepare("rmi", "-f", name, check=False)

    return [
        Row("list images", command("images")),
        Row("list containers", command("ps", "-a")),
        Row("run true, no network", command("run", "--rm", "--network", "none", "base", "true")),
        Row("run true, on a bridge", command("run", "--rm", "base", "true")),
        Row(f"{AT_ONCE} runs at once, no network", _at_once(sink)),
        Row("exec true", command("exec", KEPT, "true")),
        Row("build 10 RUN steps, cold", build("steps", "--no-cache", "--network", "none")),
        Row("build 10 RUN steps, cached", build("steps", "--network", "none"), _built("steps", folder)),
        Row(f"build a COPY of {SMALL_FILES} files, cold", build("many", "--no-cache")),
        Row(f"build a COPY of {SMALL_FILES} files, cached", build("many"), _built("many", folder)),
        Row("build a COPY of 256 MiB, cold", build("large", "--no-cache")),
        Row(f"remove an image of {SMALL_FILES} files", command("rmi", "many"), _loaded("many", folder)),
        Row("save 270 MB", command("save", "big"), _loaded("big", folder)),
        Row("load 270 MB", command("load", stdin=folder / "big.tar"), without("big")),
        Row("commit a small change", command("commit", KEPT, "committed"), without("committed")),
        Row("API: list images", lambda subject: subject.call(lambda client: client.images.list()), api=True),
        Row("API: create, start, wait, remove", lambda subject: subject.call(_live), api=True),
        Row("API: exec echo, read its output", lambda subject: subject.call(_execute), api=True),
        Row("API: commit a small change", lambda subject: subject.call(_commit), without("committed"), api=True),
    ]


def write_inputs(folder: Path) -> None:
    """Write the build contexts, and an archive of 270 MB that no compression makes smaller."""
    source = random.Random(7)
    for number in range(SMALL_FILES):
        path = folder / "many/files" / f"{number // 200:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * (1 + number % 40))
    (folder / "many/Dockerfile").write_text("FROM base\nCOPY files /files\n")
    _context(folder / "steps", "".join(f"RUN echo {n} > /step{n}\n" for n in range(10)))
    _context(folder / "large", "COPY part /part\n", {"part": _noise(source, BIG_FILE)})
    parts = {f"part{n}": _noise(source, BIG_LAYER) for n in range(BIG_LAYERS)}
    _context(folder / "big", "".join(f"COPY {name} /{name}\n" for name in parts), parts)


def _noise(source: random.Random, size: int) -> bytes:
    return b"".join(source.randbytes(_PIECE) for _ in range(size // _PIECE))


def _context(folder: Path, steps: str, files: dict[str, bytes] | None = None) -> None:
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM base\n{steps}")
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)


def set_up(subject: Subject, folder: Path) -> None:
    """Give an engine the base image, and the container and images that rows ask for."""
    subject.prepare("import", str(folder / "base.tar"), "base")
    subject.prepare("run", "-d", "--network", "none", "--name", KEPT, "base", "sleep", "100000")
    subject.prepare("exec", KEPT, "sh", "-c", "echo changed > /changed")


def write_archives(subject: Subject, folder: Path) -> None:
    """Have one engine build and save the images that rows load into all of them."""
    for name in ("big", "many"):
        subject.prepare("build", "-q", "--network", "none", "-t", name, str(folder / name))
        subject.prepare("save", "-o", str(folder / f"{name}.tar"), name)


def tear_down(subject: Subject) -> None:
    """Remove what outlives an engine."""
    subject.prepare("rm", "-f", KEPT, check=False)


def _built(name: str, folder: Path) -> Callable[[Subject], None]:
    return lambda subject: subject.prepare("build", "-q", "--network", "none", "-t", name, str(folder / name))


def _loaded(name: str, folder: Path) -> Callable[[Subject], None]:
    return lambda subject: subject.prepare("load", "-i", str(folder / f"{name}.tar"))


def _at_once(sink: Path) -> Callable[[Subject], Sample]:
    words = ("run", "--rm", "--network", "none", "base", "true")

    def measure(subject: Subject) -> Sample:
        sinks = [sink.with_name(f"output{number}") for number in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            samples = list(threads.map(lambda file: subject.measure(words, None, file), sinks))
        return Sample(max(sample.wall for sample in samples), sum(sample.processor for sample in samples))

    return measure


def _live(client: Client) -> None:
    config, host = Config(image="base", cmd=("true",)), HostConfig(network_mode="none")
    container = client.containers.create(None, config, host).id
    with client.containers.waiting(container, "next-exit") as waiting:
        client.containers.start(container)
        assert waiting.result().exit_code == 0
    client.containers.remove(container)


def _execute(client: Client) -> None:
    request = ExecConfig(cmd=("echo", "here"), attach_stdout=True)
    with client.containers.exec_start(client.containers.exec_create(KEPT, request), tty=False) as stream:
        assert b"".join(data for _, data in stream) == b"here\n"


def _commit(client: Client) -> None:
    client.containers.commit(KEPT, "committed", pause=False)
