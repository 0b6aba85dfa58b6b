"""BuildKit goes on from the caches that lamina writes, and lamina from BuildKit's: each step is a hit.

The peer is today's dockerd with its containerd store, which alone writes caches to folders and registries.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.context import write_context
from support.daemons import Daemon, dockerd, lamina_daemon
from support.programs import BUILDX, CLIENT_NEWEST, need
from support.registries import Running
from support.registry_fixtures import registry, start
from support.shared_caches import FILES

__all__ = ["registry", "start"]

pytestmark = [pytest.mark.root, pytest.mark.peer]

PLAIN = """
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
MOUNTS = """
FROM base AS tools
COPY dir /d
FROM base
WORKDIR /w
RUN --network=none --mount=type=cache,target=/root/.cache touch /c1
RUN --network=none --mount=type=cache,target=rel,id=other,sharing=locked touch /c2
RUN --network=none --mount=type=cache,target=/cc,uid=1000,mode=0700 touch /c3
RUN --network=none --mount=type=bind,target=/src cat /src/b.txt > /b1
RUN --network=none --mount=target=/src,source=dir,rw cat /src/one > /b2
RUN --network=none --mount=target=/x,source=a.txt --mount=target=/a,source=dir/sub,type=bind cat /x > /b3
RUN --network=none --mount=from=tools,target=/t,source=/d --mount=from=tools,target=/s,source=/d/sub cat /t/one > /b4
RUN --network=none --mount=type=bind,from=tools,target=/t touch /b5
RUN --network=none --mount=type=tmpfs,target=/tt,size=1m --mount=type=tmpfs,target=/uu touch /t1
RUN --network=none --mount=type=secret,id=tok touch /s1
RUN --network=none --mount=type=secret,id=tok,target=/x/y,uid=5,mode=0440 --mount=type=secret,id=tok,env=T touch /s2
RUN --network=none <<EOS
#!/bin/sh
touch /script
EOS
"""
LINKS = """
FROM scratch AS empty
COPY --link b.txt /x/
COPY --link dir /d/
FROM base
RUN --network=none touch /r1
COPY --link a.txt /tmp/a
COPY --link --chown=5:6 dir /d/
COPY --link --chmod=600 a.txt /mode
COPY --link --from=empty /x /x/
COPY --link <<TEXT /h
hello
TEXT
RUN --network=none touch /r2
"""


@dataclass(frozen=True)
class Case:
    """A Dockerfile, how many steps a build comes to at least, and words of those that run when b.txt has changed."""

    text: str
    steps: int
    changed: tuple[str, ...]


CASES = {
    "plain": Case(PLAIN, 24, ("b.txt", "*.txt", "COPY . all")),
    "mounts": Case(MOUNTS, 14, ("/b1", "/b2", "<<EOS")),
    "links": Case(LINKS, 8, ("--from=empty", "/r2")),
}


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


def build(daemon: Daemon, folder: Path, *flags: str) -> dict[str, bool]:
    """Build with buildx. Return the steps that the build came to, each with whether it was cached."""
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(daemon.folder)}
    command = [need(BUILDX), "build", "--progress", "plain", *flags, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    names = dict(re.findall(r"^#(\d+) (\[.*?\d+/\d+\] (?!FROM).*)$", done.stderr, re.MULTILINE))
    cached = re.findall(r"^#(\d+) CACHED$", done.stderr, re.MULTILINE)
    return {name: number in cached for number, name in names.items()}


def forget(daemon: Daemon) -> None:
    """Have an engine forget its own cache, and the images that hold steps of it."""
    for image in daemon.text("images", "--format", "{{.Repository}}:{{.Tag}}", client=CLIENT_NEWEST).split():
        if image not in ("base:latest", "<none>:<none>"):
            daemon.docker("image", "rm", "-f", image)
    daemon.docker("image", "prune", "-f")
    daemon.docker("builder", "prune", "-af")


@pytest.mark.parametrize("direction", ["from BuildKit", "from lamina"])
@pytest.mark.parametrize("name", CASES)
def test_each_step_is_a_hit_of_the_other_engine(
    peer: Daemon, ours: Daemon, tmp_path: Path, name: str, direction: str
) -> None:
    case, (writer, reader) = CASES[name], (peer, ours) if direction == "from BuildKit" else (ours, peer)
    context, cache = tmp_path / "context", tmp_path / "cache"
    write_context(context, {**FILES, "Dockerfile": case.text, ".dockerignore": "Dockerfile\n"})
    for daemon in (peer, ours):
        forget(daemon)
    build(writer, context, "--cache-to", f"type=local,dest={cache},mode=max")
    steps = build(reader, context, "--cache-from", f"type=local,src={cache}")
    assert [step for step, is_cached in steps.items() if not is_cached] == []
    assert len(steps) >= case.steps

    (context / "b.txt").write_text("changed\n")
    forget(reader)
    steps = build(reader, context, "--cache-from", f"type=local,src={cache}")
    assert any(steps.values())
    for words in case.changed:
        assert not [is_cached for step, is_cached in steps.items() if words in step and is_cached], words
        assert any(words in step for step in steps), (words, steps)


SINGLE = """
FROM base
RUN --network=none echo one > /one
COPY a.txt dir /d/
WORKDIR /w
RUN --network=none true
RUN --network=none --mount=target=/src cat /src/b.txt > /two
"""


@pytest.mark.parametrize("direction", ["from BuildKit", "from lamina"])
@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (("--cache-to", "type=registry,ref=HOST/cache:1"), "cache:1"),
        (("--cache-to", "type=registry,ref=HOST/cache:1,image-manifest=false,compression=zstd"), "cache:1"),
        (("--cache-to", "type=inline", "--push", "-t", "HOST/app:1"), "app:1"),
        (("--cache-to", "type=inline", "--push", "-t", "HOST/app:1", "--provenance=true"), "app:1"),
    ],
    ids=["registry", "index", "inline", "inline in an index"],
)
def test_caches_at_registries_and_in_images_are_shared(
    peer: Daemon, ours: Daemon, registry: Running, tmp_path: Path, flags: tuple[str, ...], name: str, direction: str
) -> None:
    writer, reader = (peer, ours) if direction == "from BuildKit" else (ours, peer)
    context = tmp_path / "context"
    write_context(context, {**FILES, "Dockerfile": SINGLE, ".dockerignore": "Dockerfile\n"})
    for daemon in (peer, ours):
        forget(daemon)
    build(writer, context, *(flag.replace("HOST", registry.address) for flag in flags))
    steps = build(reader, context, "--cache-from", f"type=registry,ref={registry.address}/{name}")
    assert len(steps) == 5
    assert [step for step, is_cached in steps.items() if not is_cached] == []
