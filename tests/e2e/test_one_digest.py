"""One context has one digest, whoever builds it: umask, locale, time zone, user, times and order of files, processors.

`LAMINA_BUILD_VARIATIONS=100` builds more often than the eight times of every day.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA
from support.programs import CLIENT_20, need

VARIATIONS = int(os.environ.get("LAMINA_BUILD_VARIATIONS", "8"))
pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.timeout(300 + 30 * VARIATIONS)]
EPOCH = "1700000000"
DOCKERFILE = """\
FROM scratch AS parts
COPY --chmod=640 src/a src/b /parts/
FROM scratch
ARG SOURCE_DATE_EPOCH
ENV A=1 B=2
WORKDIR /app/deep
COPY . .
COPY --from=parts /parts /parts
ADD --chown=3:4 tool /bin/
LABEL z=1 a=2
"""
FILES = {"src/a": 0o644, "src/b": 0o600, "src/dir/c": 0o644, "tool": 0o755, "äö": 0o644, "Z": 0o444, "a/b/c/d": 0o644}
# An engine of its own in a process of its own. Its first build loads all modules: another user may not read Python's.
ENGINE = """
import json, os, sys
import lamina
from lamina.types import BuildOutput, BuildRequest
folder, root, user, epoch = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
def build(root):
    outputs = (BuildOutput("oci", {"dest": root + ".tar"}),)
    with lamina.Engine(root + "/data", root + "/exec") as engine:
        return engine.builds.build(folder, BuildRequest(build_args={"SOURCE_DATE_EPOCH": epoch}, outputs=outputs))
build(root + "-first")
os.setgroups([])
os.setgid(user)
os.setuid(user)
built = build(root)
print(json.dumps([str(built.image.id), built.metadata["containerimage.digest"]]))
"""


def write_context(folder: Path, chance: random.Random) -> Path:
    """The same files, made in another order and at another time, as a later checkout makes them."""
    names = list(FILES)
    chance.shuffle(names)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
        path.chmod(FILES[name])
        os.utime(path, (chance.randrange(int(EPOCH), 2**31),) * 2)
    for directory, _, _ in os.walk(folder):
        os.chmod(directory, 0o755)
        os.utime(directory, (chance.randrange(int(EPOCH), 2**31),) * 2)
    (folder / "link").symlink_to("src/a")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    os.chmod(folder / "Dockerfile", 0o644)
    return folder


def surroundings(chance: random.Random) -> dict[str, str]:
    """An environment that nothing of the build may depend on."""
    return {
        **os.environ,
        "LC_ALL": chance.choice(["C", "C.UTF-8", "POSIX"]),
        "TZ": chance.choice(["UTC", "Asia/Tokyo", "America/Lima"]),
        "PYTHONHASHSEED": str(chance.randrange(1000)),
        "TMPDIR": "/tmp",
    }


def by_an_engine(folder: Path, scratch: Path, chance: random.Random) -> list[str]:
    umask, user = chance.choice([0o000, 0o022, 0o077]), chance.choice([0, 65534])
    processors = sorted(os.sched_getaffinity(0))
    used = set(processors[: chance.randrange(1, len(processors) + 1)])
    scratch.mkdir()
    for path in (scratch, folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)

    def prepare() -> None:
        os.umask(umask)
        os.sched_setaffinity(0, used)

    command = [sys.executable, "-X", "utf8", "-c", ENGINE, str(folder), f"{scratch}/root", str(user), EPOCH]
    done = subprocess.run(command, env=surroundings(chance), preexec_fn=prepare, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told: list[str] = json.loads(done.stdout)
    return told


def by_lamina(daemon: Daemon, folder: Path, chance: random.Random) -> str:
    command = [*LAMINA, "--host", daemon.host, "build", "-q", "--no-cache", str(folder)]
    environment = {**surroundings(chance), "SOURCE_DATE_EPOCH": EPOCH}
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode().strip()


def by_docker(daemon: Daemon, folder: Path, chance: random.Random, buildkit: str) -> str:
    file = folder.with_suffix(".id")
    flags = ["--no-cache", "--iidfile", str(file), "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}"]
    environment = {**surroundings(chance), "DOCKER_BUILDKIT": buildkit, "DOCKER_HOST": daemon.host}
    umask = chance.choice([0o022, 0o077])
    command = [need(CLIENT_20), "build", *flags, str(folder)]
    subprocess.run(command, env=environment, umask=umask, capture_output=True, check=True)
    return file.read_text()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    before = os.umask(0o027)
    try:
        with lamina_daemon() as daemon:
            yield daemon
    finally:
        os.umask(before)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_all_builds_of_a_context_have_one_digest(daemon: Daemon, shared: Path) -> None:
    images, manifests = set(), set()
    for number in range(VARIATIONS):
        chance = random.Random(number)
        folder = write_context(shared / f"context{number}", chance)
        front = number % 4
        if front == 0:
            image, manifest = by_an_engine(folder, shared / f"engine{number}", chance)
            manifests.add(manifest)
        elif front == 1:
            image = by_lamina(daemon, folder, chance)
        else:
            image = by_docker(daemon, folder, chance, buildkit=str(front - 2))
        images.add(image)
    assert len(images) == 1
    assert len(manifests) == 1
