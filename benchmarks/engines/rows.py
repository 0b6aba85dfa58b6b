"""The work that is measured: commands that every engine's command line knows, and calls of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from engines import calls
from engines.inputs import SMALL_FILES
from engines.samples import Sample
from engines.subjects import KEPT, Subject

AT_ONCE = 8
_OWN, _OLD_DOCKER, _DOCKER = "lamina", "docker 20 to lamina", "docker 28 to lamina"
_BUILDX, _API = "buildx to lamina", "lamina, API"
_CLIENTS = (_OWN, _DOCKER)
_BUILDERS = (_OWN, _OLD_DOCKER, _DOCKER, _BUILDX)
_CTR_BASE = "docker.io/library/base:latest"


@dataclass(frozen=True)
class Row:
    """A piece of work. `measure` does it once for a subject; `prepare`, before each time, is not measured.

    `kind` tells which subjects it is for: "command", "build" (with those that only build) or "api". `containerd` is the
    same work in words of containerd's own client. `targets` has, for faces of lamina, how many times as fast as the
    best peer they are to be; `limit` is a bound on the value itself, in `unit`. A `crowded` row needs hundreds of
    containers, which take dockerd 20 a minute to make: it is left out.
    """

    name: str
    measure: Callable[[Subject], Sample]
    prepare: Callable[[Subject], object] = lambda subject: None
    kind: str = "command"
    containerd: Callable[[Subject], Sample] | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    limit: float | None = None
    unit: str = "ms"
    crowded: bool = False

    def is_for(self, subject: Subject) -> bool:
        """Return whether the subject takes part."""
        if subject.is_containerd:
            return self.containerd is not None
        if self.kind == "api":
            return subject.client is not None and not (self.crowded and subject.engine == "dockerd 20")
        return subject.client is None and (self.kind == "build" or not subject.builds_only)


def rows(folder: Path, pulled: str | None) -> list[Row]:
    """Return all rows. `folder` has the inputs, and takes the output of commands; `pulled` is an image to pull."""
    sink = folder / "output"
    run = ("run", "--rm")
    return [
        Row("list images", _command(sink, "images"), containerd=_command(sink, "images", "ls"), targets={_OWN: 1}),
        Row("list containers", _command(sink, "ps", "-a"), containerd=_command(sink, "containers", "ls")),
        Row(
            "run true, no network",
            _command(sink, *run, "--network", "none", "base", "true"),
            containerd=_command(sink, *run, _CTR_BASE, "once", "true"),
            targets=dict.fromkeys(_CLIENTS, 3),
        ),
        Row("run true, on a bridge", _command(sink, *run, "base", "true"), targets=dict.fromkeys(_CLIENTS, 3)),
        Row(f"{AT_ONCE} runs at once, no network", _at_once(sink), targets={_DOCKER: 4}),
        Row("exec true", _command(sink, "exec", KEPT, "true")),
        *_builds(folder, sink),
        *([_pull(pulled, sink)] if pulled else []),
        Row(
            "save 270 MB",
            _command(sink, "save", "big"),
            _loaded("big", folder),
            targets=dict.fromkeys(_CLIENTS, 5),
        ),
        Row(
            "load 270 MB",
            _command(sink, "load", stdin=folder / "big.tar"),
            _without("big"),
            targets=dict.fromkeys(_CLIENTS, 3),
        ),
        Row(
            f"remove an image of {SMALL_FILES} files",
            _command(sink, "rmi", "many"),
            _loaded("many", folder),
            targets=dict.fromkeys(_CLIENTS, 1),
        ),
        Row("commit a small change", _command(sink, "commit", KEPT, "committed"), _without("committed")),
        *_api_rows(),
    ]


def _builds(folder: Path, sink: Path) -> list[Row]:
    def build(name: str, *flags: str) -> Callable[[Subject], Sample]:
        return _command(sink, "build", "-q", *flags, "-t", name, str(folder / name))

    def built(name: str) -> Callable[[Subject], None]:
        return lambda subject: _prepare(subject, "build", "-q", "--network", "none", "-t", name, str(folder / name))

    alone = ("--network", "none")
    row = partial(Row, kind="build")
    return [
        row("build 10 RUN steps, cold", build("steps", "--no-cache", *alone), targets=dict.fromkeys(_CLIENTS, 6)),
        row("build 10 RUN steps, cached", build("steps", *alone), built("steps"), targets={_DOCKER: 1.2}),
        row(
            f"build a COPY of {SMALL_FILES} files, cold",
            build("many", "--no-cache", *alone),
            targets=dict.fromkeys(_BUILDERS, 5),
        ),
        row(
            f"build a COPY of {SMALL_FILES} files, cached",
            build("many", *alone),
            built("many"),
            targets=dict.fromkeys(_BUILDERS, 2),
        ),
        row("build a COPY of 256 MiB, cold", build("large", "--no-cache"), targets=dict.fromkeys(_BUILDERS, 2)),
        row("build four stages of `sleep 1`", build("stages", "--no-cache", *alone), limit=1300),
    ]


def _pull(image: str, sink: Path) -> Row:
    plain = ("images", "pull", "--plain-http", "--local")
    return Row(
        "pull 4 layers, 440 MB compressed",
        _command(sink, "pull", "-q", image),
        lambda subject: subject.prepare(*_removal(subject, image), check=False),
        containerd=_command(sink, *plain, image),
        targets=dict.fromkeys(_CLIENTS, 5),
    )


def _removal(subject: Subject, image: str) -> tuple[str, ...]:
    if subject.is_containerd:
        return ("images", "rm", "--sync", image)
    return ("rmi", "-f", image)


def _api_rows() -> list[Row]:
    row = partial(Row, kind="api")
    long_list = partial(row, prepare=calls.crowd, unit="ms of the engine", crowded=True)
    return [
        row("API: list images", calls.timed(calls.list_images)),
        row("API: create, start, wait, remove", calls.timed(calls.live), targets={_API: 8}),
        row("API: create, start, first output of an exec", calls.measure_first_output, targets={_API: 8}),
        row("API: exec echo, read its output", calls.timed(calls.execute), targets={_API: 4}),
        row(
            "API: commit a small change",
            calls.timed(calls.commit),
            _without("committed"),
            targets={_API: 5},
        ),
        long_list(f"API: list {calls.CROWD} images", calls.engine_time(calls.list_images), limit=8),
        long_list(
            f"API: list {calls.CROWD} containers",
            calls.engine_time(lambda client: client.containers.list(all=True)),
            limit=8,
        ),
        long_list(
            f"API: disk usage of {calls.CROWD} + {calls.CROWD}",
            calls.engine_time(lambda client: client.disk_usage()),
            limit=20,
        ),
    ]


def set_up(subject: Subject, folder: Path) -> None:
    """Give an engine the base image, and the container that rows ask for. The first engine saves that image too."""
    archive = folder / "base-image.tar"
    if subject.is_containerd:
        subject.prepare("images", "import", str(archive))
        return
    subject.prepare("import", str(folder / "base.tar"), "base")
    subject.prepare("run", "-d", "--network", "none", "--name", KEPT, "base", "sleep", "100000")
    subject.prepare("exec", KEPT, "sh", "-c", "echo changed > /changed")
    if not archive.exists():
        subject.prepare("save", "-o", str(archive), "base")


def write_archives(subject: Subject, folder: Path) -> None:
    """Have one engine build and save the images that rows load into all of them."""
    for name in ("big", "many"):
        subject.prepare("build", "-q", "--network", "none", "-t", name, str(folder / name))
        subject.prepare("save", "-o", str(folder / f"{name}.tar"), name)


def tear_down(subject: Subject) -> None:
    """Remove what outlives an engine."""
    if not subject.is_containerd:
        subject.prepare("rm", "-f", KEPT, check=False)


def _command(sink: Path, *arguments: str, stdin: Path | None = None) -> Callable[[Subject], Sample]:
    return lambda subject: subject.measure(arguments, stdin, sink)


def _prepare(subject: Subject, *arguments: str) -> None:
    subject.prepare(*arguments)


def _without(name: str) -> Callable[[Subject], object]:
    return lambda subject: subject.prepare("rmi", "-f", name, check=False)


def _loaded(name: str, folder: Path) -> Callable[[Subject], object]:
    return lambda subject: subject.prepare("load", "-i", str(folder / f"{name}.tar"))


def _at_once(sink: Path) -> Callable[[Subject], Sample]:
    words = ("run", "--rm", "--network", "none", "base", "true")

    def measure(subject: Subject) -> Sample:
        sinks = [sink.with_name(f"output{number}") for number in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            samples = list(threads.map(lambda file: subject.measure(words, None, file), sinks))
        return Sample(max(sample.value for sample in samples), sum(sample.processor for sample in samples))

    return measure
