"""BuildKit goes on from the caches that lamina writes, and lamina from BuildKit's: each step is a hit.

The peer is today's dockerd with its containerd store, which alone writes caches to folders and registries.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.context import write_context
from support.daemons import Daemon, dockerd, lamina_daemon
from support.programs import BUILDX, need
from support.shared_caches import FILES

pytestmark = [pytest.mark.root, pytest.mark.peer]

TEXT = """
ARG BASE=base
FROM ${BASE} AS tools
ARG VERSION=1
ENV TOOL=hammer PATH=/bin:/usr/bin
RUN --network=none echo "$VERSION <&>" > /v
WORKDIR /tools/data
COPY --chown=1000:50 a.txt b.txt ./
COPY dir /d/
USER 1000
RUN --network=none id=1; echo $TOOL > /tmp/x
WORKDIR rel
FROM base
ARG TARGETARCH
ENV A=1 B=2
ENV A=3
SHELL ["/bin/sh", "-e", "-c"]
RUN --network=none echo $TARGETARCH $A > /arch
WORKDIR /w/
WORKDIR /
COPY . all/
COPY file-link ./
COPY dir-link /dl
COPY --chmod=640 a.txt /mode/
COPY --chown=root:0 a.txt /own
COPY --from=tools /d /td/
COPY --from=tools /v /tools/data/a.txt /tv/
COPY *.txt /txt/
COPY ["<odd> & 1", "/odd/"]
ADD a.txt /added
ADD archive.tar /unpacked/
COPY <<ONE <<"TWO" /doc/
hello $A
ONE
two $A
TWO
RUN --network=none <<EOS
echo heredoc
touch /hd
EOS
FROM tools
USER root
RUN --network=none touch /again
COPY --from=1 /txt /t2
COPY --from=base /bin /bin2
"""
STEPS = 24  # those that make files


@pytest.fixture(scope="module")
def peer(busybox_tar: Path) -> Iterator[Daemon]:
    with dockerd("--feature", "containerd-snapshotter=true", newest=True) as daemon:
        daemon.docker("import", str(busybox_tar), "base")
        yield daemon


@pytest.fixture(scope="module")
def ours(peer: Daemon) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        daemon.docker("load", stdin=peer.docker("save", "base").stdout)
        yield daemon


def build(daemon: Daemon, folder: Path, *flags: str) -> list[str]:
    """Build with buildx, and return the steps that were cached."""
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(daemon.folder)}
    command = [need(BUILDX), "build", "--progress", "plain", *flags, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    names = dict(re.findall(r"^#(\d+) (\[.*?\d+/\d+\] (?!FROM).*)$", done.stderr, re.MULTILINE))
    cached = re.findall(r"^#(\d+) CACHED$", done.stderr, re.MULTILINE)
    return sorted(names[number] for number in {*cached} & names.keys())


def forget(daemon: Daemon) -> None:
    """Have an engine forget its own cache."""
    daemon.docker("builder", "prune", "-af")
    daemon.docker("image", "prune", "-f")


@pytest.mark.parametrize("direction", ["from BuildKit", "from lamina"])
def test_each_step_is_a_hit_of_the_other_engine(peer: Daemon, ours: Daemon, tmp_path: Path, direction: str) -> None:
    writer, reader = (peer, ours) if direction == "from BuildKit" else (ours, peer)
    context, cache = tmp_path / "context", tmp_path / "cache"
    write_context(context, {**FILES, "Dockerfile": TEXT, ".dockerignore": "Dockerfile\n"})
    for daemon in (peer, ours):
        forget(daemon)
    build(writer, context, "--cache-to", f"type=local,dest={cache},mode=max")
    cached = build(reader, context, "--cache-from", f"type=local,src={cache}")
    assert len(cached) == STEPS, cached

    (context / "b.txt").write_text("changed\n")
    forget(reader)
    cached = build(reader, context, "--cache-from", f"type=local,src={cache}")
    assert 0 < len(cached) < STEPS, cached
    assert not any("b.txt" in name or "*.txt" in name or "COPY . all" in name for name in cached), cached
