"""The same commands through `docker` and through `lamina`, on one daemon: what they print must be the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon
from support.engines import Cli
from support.programs import CLIENT_20, CLIENT_NEWEST

CLIENT = CLIENT_NEWEST if Path(CLIENT_NEWEST).exists() else CLIENT_20

pytestmark = [pytest.mark.root, pytest.mark.peer]

DOCKERFILE = """FROM base
LABEL team=web
ENV A=1 B="two words"
EXPOSE 80/tcp
RUN echo hi > /hi
VOLUME /data
WORKDIR /srv
CMD ["sleep", "1000"]
"""

COMMANDS = """
ps
ps -a
ps -aq
ps -a --no-trunc
ps -as
ps -n 1
ps -l
ps -a --filter name=same-two
ps -a --filter label=role=db --format {{.Names}}
ps -a --format '{{.ID}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.Names}}|{{.Labels}}|{{.Mounts}}|{{.Networks}}|{{.State}}'
ps -a --format 'table {{.Names}}\t{{.Label "role"}}\t{{upper .State}}'
ps -a --format 'table {{.ID}}  {{.Size}}'
images
images -a
images -q
images --no-trunc
images --digests
images same
images --filter reference=sa*e --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}'
images --format 'table {{.ID}}\t{{.Repository}}'
history same
history -q same
history --no-trunc same
history --human=false same
history --format '{{.CreatedBy}} {{.Size}}' same
image ls -q
inspect same-one
inspect same
inspect --type image same
inspect -f '{{.Id}} {{.State.Status}} {{.Config.Env}}' same-one
inspect -f '{{json .Config.Labels}}' same-one
inspect -f '{{range .Mounts}}{{.Type}}:{{.Destination}}{{end}}' same-one
inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}} {{.HostConfig.Memory}}' same-one
inspect -f '{{range $name, $net := .NetworkSettings.Networks}}{{$name}}{{end}}' same-one
inspect -f '{{if .State.Running}}up{{else}}down{{end}} {{len .Id}}' same-one same-two
inspect -f '{{index .Config.Labels "team"}} {{printf "%.5s" .Id}}' same-one
inspect -f '{{join .Config.Cmd ", "}}' same-one
image inspect -f '{{.RootFS.Type}} {{len .RootFS.Layers}} {{.Config.Volumes}} {{.Config.ExposedPorts}}' same
image inspect -f '{{.Os}}/{{.Architecture}} {{.RepoTags}}' same
image inspect -f '{{.OsVersion}}|{{.Variant}}|{{.Container}}|{{.Config.ArgsEscaped}}|{{.Config.StopSignal}}' same
image inspect -f '{{.Config.Healthcheck}} {{.VirtualSize}} {{.GraphDriver.Name}} {{.RootFS.Type}}' same
inspect -f '{{.HostConfig.LogConfig}} {{.HostConfig.RestartPolicy}} {{.HostConfig.Ulimits}} {{.ExecIDs}}' same-one
inspect -f '{{.HostConfig.KernelMemory}}|{{.Config.MacAddress}}|{{.Config.StopTimeout}}|{{.State.Health}}' same-one
volume inspect -f '{{.Status}} {{.Options}}' same-volume
volume ls
volume ls -q
volume inspect same-volume
volume ls --format '{{.Name}}={{.Driver}}'
network ls
network ls --no-trunc --format '{{.ID}} {{.Name}} {{.Driver}} {{.Scope}} {{.Internal}}'
network inspect none
top same-one
diff same-one
port same-one
logs same-one
logs --tail 1 same-one
logs -t same-one
system df
version --format '{{.Server.Version}}'
info --format '{{.Driver}} {{.ServerVersion}}'
"""


UNORDERED = ("images -a", "diff same-one")  # dockerd's own order differs from call to call


def ageless(text: str) -> str:
    """Return `text` with ages of seconds and minutes made alike, and the widths of columns with them."""
    moments = re.sub(r"(?:less than a|about an?|\d+) (?:second|minute)s?\b", "a moment", text, flags=re.IGNORECASE)
    return re.sub(" {2,}", "  ", moments)


@pytest.fixture(scope="module")
def things(engine: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An image, two containers and a volume to look at."""
    folder = tmp_path_factory.mktemp("same")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    cli = Cli(engine.host, folder)
    cli("build", "--network", "none", "-t", "same:latest", "-t", "same:second", str(folder))
    cli("volume", "create", "same-volume")
    command = ["sh", "-c", "echo out; echo err >&2; echo more > /new; sleep 1000"]
    cli(
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "same-one",
        "-l",
        "role=db",
        "-v",
        "same-volume:/v",
        "same",
        *command,
    )
    cli("create", "--network", "none", "--name", "same-two", "same")
    yield
    cli("rm", "-fv", "same-one", "same-two")
    cli("rmi", "same:latest", "same:second")
    cli("volume", "rm", "same-volume")


@pytest.mark.parametrize("line", COMMANDS.strip().splitlines())
def test_prints_what_docker_prints(engine: Daemon, things: None, tmp_path: Path, line: str) -> None:
    arguments = shlex.split(line)
    version = engine.docker("version", "-f", "{{.Client.APIVersion}}", client=CLIENT).stdout.decode().strip()
    for _ in range(5):  # dockerd's own order of mounts differs from call to call
        expected = engine.docker(*arguments, client=CLIENT).stdout.decode()
        got = Cli(engine.host, tmp_path)(*arguments, DOCKER_API_VERSION=version).stdout.decode()
        if line in UNORDERED:
            expected, got = ("\n".join(sorted(text.splitlines())) for text in (expected, got))
        if got != expected:  # seconds may have passed between two commands that tell how old things are
            expected, got = ageless(expected), ageless(got)
        if got == expected:
            return
    assert got == expected
