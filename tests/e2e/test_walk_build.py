"""What the introductions to images say about building, done from the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.clients import Client
from support.engines import LAMINA

pytestmark = pytest.mark.root

STEPS = r"""Step 1/7 : FROM busybox
 ---> [0-9a-f]{12}
Step 2/7 : LABEL maintainer="Ada" stage=test
 ---> Running in [0-9a-f]{12}
Removing intermediate container [0-9a-f]{12}
 ---> [0-9a-f]{12}
Step 3/7 : ENV GREETING=hello
 ---> Running in [0-9a-f]{12}
Removing intermediate container [0-9a-f]{12}
 ---> [0-9a-f]{12}
Step 4/7 : RUN echo built > /built && echo never > /tmp/x && rm /tmp/x
 ---> Running in [0-9a-f]{12}
Removing intermediate container [0-9a-f]{12}
 ---> [0-9a-f]{12}
Step 5/7 : COPY \. /app
 ---> [0-9a-f]{12}
Step 6/7 : WORKDIR /app
 ---> Running in [0-9a-f]{12}
Removing intermediate container [0-9a-f]{12}
 ---> [0-9a-f]{12}
Step 7/7 : CMD \["sh", "-c", "echo \$GREETING from \$\(pwd\); cat main\.txt"\]
 ---> Running in [0-9a-f]{12}
Removing intermediate container [0-9a-f]{12}
 ---> [0-9a-f]{12}
Successfully built [0-9a-f]{12}
Successfully tagged my-app:latest"""


def lines_of(output: str) -> str:
    """Classic output without what only some clients write: the size of what they sent, and a warning of old age."""
    lines = [
        line for line in output.splitlines() if not re.match(r"Sending build context|DEPRECATED|\s+Install the", line)
    ]
    return "\n".join(lines).strip()


def test_rows_3_and_21_a_dockerfile_builds_and_tells_its_steps(client: Client, app: Path) -> None:
    shown = lines_of(client.text("build", "-t", "my-app", "--no-cache", ".", cwd=app))
    assert re.fullmatch(STEPS, shown), shown
    assert "the program" not in shown  # CMD does not run at build time
    assert client.text("run", "--rm", "--network", "none", "my-app") == "hello from /app\nthe program"


def test_row_1_images_do_not_change(client: Client, app: Path) -> None:
    client("build", "-t", "my-app", str(app))
    first = client.text("images", "-q", "--no-trunc", "my-app")
    client("run", "--name", "changing", "--network", "none", "my-app", "sh", "-c", "echo no > /built; rm main.txt")
    assert client.text("run", "--rm", "--network", "none", "my-app", "cat", "/built") == "built"
    (app / "main.txt").write_text("another\n")
    client("build", "-t", "my-app", str(app))
    assert client.text("images", "-q", "--no-trunc", "my-app") != first
    assert client.text("run", "--rm", "--network", "none", first) == "hello from /app\nthe program"


def test_row_2_metadata_is_kept_shown_and_honoured(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nLABEL team=web\nENV A=1\nEXPOSE 80 53/udp\nVOLUME /data\nUSER nobody\nWORKDIR /srv\n"
        'ENTRYPOINT ["sh", "-c"]\nCMD ["id -un; pwd; echo $A"]\n'
    )
    client("build", "-t", "described", "-t", "described:2", str(tmp_path))
    found = json.loads(client.text("image", "inspect", "described"))[0]
    config = found["Config"]
    assert sorted(found["RepoTags"]) == ["described:2", "described:latest"]
    assert config["Labels"] == {"team": "web"}
    assert "A=1" in config["Env"]
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert config["Volumes"] == {"/data": {}}
    assert (config["User"], config["WorkingDir"]) == ("nobody", "/srv")
    assert (config["Entrypoint"], config["Cmd"]) == (["sh", "-c"], ["id -un; pwd; echo $A"])
    assert client.text("run", "--rm", "--network", "none", "-e", "A=2", "described") == "nobody\n/srv\n2"
    assert client.text("run", "--rm", "--network", "none", "--entrypoint", "id", "described", "-u") == "65534"


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """lamina's own registry on a free port; its address."""
    command = [sys.executable, *LAMINA[1:], "registry", "serve", "--root", str(folder), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().decode().split()[-1]
        finally:
            process.terminate()


def test_rows_4_and_27_a_missing_base_is_pulled_and_images_are_pushed(client: Client, tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as address:
        name = f"{address}/team/base:1"
        client("tag", "busybox", name)
        assert "digest: sha256:" in client.text("push", name)
        client("rmi", name)
        (tmp_path / "Dockerfile").write_text(f"FROM {name}\nRUN echo pulled > /pulled\n")
        client("build", "-t", "my-app", str(tmp_path))
        assert name in client.text("images", "--format", "{{.Repository}}:{{.Tag}}")
        by_digest = client.text("image", "inspect", "-f", "{{index .RepoDigests 0}}", name)
        assert by_digest.startswith(f"{address}/team/base@sha256:")
        client("rmi", name)
        assert "Status:" in client.text("image", "pull", name)
        assert client.text("image", "inspect", "-f", "{{.Id}}", by_digest) == client.text(
            "image", "inspect", "-f", "{{.Id}}", "busybox"
        )
        assert client.text("run", "--rm", "--network", "none", by_digest, "echo", "ran") == "ran"
        assert "not found" in client.error("pull", f"{address}/team/base:none")


def test_row_5_dockerignore_keeps_files_out(client: Client, app: Path) -> None:
    (app / "secret.key").write_text("s")
    (app / "node_modules" / "deep").mkdir(parents=True)
    (app / "node_modules" / "deep" / "x.js").write_text("x")
    (app / "keep.key").write_text("k")
    (app / ".dockerignore").write_text("# notes\n*.key\n!keep.key\nnode_modules\n**/nothing\n")
    client("build", "-t", "my-app", str(app))
    shown = client.text("run", "--rm", "--network", "none", "my-app", "ls", "-A", "/app").split()
    assert shown == [".dockerignore", "Dockerfile", "keep.key", "main.txt"]


def test_row_6_steps_are_cached_up_to_the_first_change(client: Client, app: Path) -> None:
    client("build", "-t", "my-app", str(app))
    assert client.text("build", "-t", "my-app", str(app)).count(" ---> Using cache") == 6
    (app / "main.txt").write_text("changed\n")
    assert client.text("build", "-t", "my-app", str(app)).count(" ---> Using cache") == 3
    assert client.text("build", "--no-cache", "-t", "my-app", str(app)).count("Using cache") == 0


def test_rows_7_and_8_steps_are_layers_and_images(client: Client, app: Path) -> None:
    client("build", "-t", "my-app", str(app))
    shown = client.text("history", "my-app").splitlines()
    assert shown[0].split("  ")[0] == "IMAGE"
    assert re.sub(r"\s{2,}", "|", shown[0]) == "IMAGE|CREATED|CREATED BY|SIZE|COMMENT"
    steps = client.text("history", "--no-trunc", "--format", "{{.ID}}|{{.Size}}|{{.CreatedBy}}", "my-app").splitlines()
    assert len(steps) == 7
    sizes = {line.split("|")[2]: line.split("|")[1] for line in steps}
    assert [size for by, size in sizes.items() if "ENV GREETING" in by or "CMD" in by or "LABEL" in by] == ["0B"] * 3
    assert all(size != "0B" for by, size in sizes.items() if "COPY" in by or "echo built" in by)
    image = next(line.split("|")[0] for line in steps if "echo built" in line)
    assert client.text("run", "--rm", "--network", "none", image, "cat", "/built") == "built"
    client.shell("docker save my-app > $DOCKER_CONFIG/x.tar; docker rmi my-app; docker image prune -f")
    client("build", "-t", "other", "-", stdin=b"FROM busybox\nLABEL other=1\n")
    client.shell("docker rmi other; docker load < $DOCKER_CONFIG/x.tar")
    missing = client.text("history", "-q", "my-app").splitlines()
    assert missing[1:] == ["<missing>"] * 6


def test_row_9_hashes_are_unique_and_names_are_for_people(client: Client) -> None:
    client("tag", "busybox", "mine")
    client("tag", "mine:latest", "registry.example.com:5000/team/mine:1.0")
    client("tag", "mine", "mine:2")
    full = client.text("images", "-q", "--no-trunc", "mine:2")
    short = client.text("images", "-q", "mine:2")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", full)
    assert full[7:19] == short
    for name in ("mine", "mine:2", "registry.example.com:5000/team/mine:1.0", short, full, full[7:20]):
        assert client.text("image", "inspect", "-f", "{{.Id}}", name) == full
    assert "No such image" in client.error("image", "inspect", "mine:3")
    assert "nvalid reference format" in client.error("tag", "mine", "NOT/Lower")


def test_row_10_an_image_from_scratch(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY busybox /bin/sh\nCMD ["sh", "-c", "echo scratch"]\n')
    busybox = client("run", "--rm", "--network", "none", "busybox", "cat", "/bin/busybox").stdout
    (tmp_path / "busybox").write_bytes(busybox)
    (tmp_path / "busybox").chmod(0o755)
    client("build", "-t", "small", str(tmp_path))
    assert client.text("image", "inspect", "-f", "{{len .RootFS.Layers}}", "small") == "1"
    assert client.text("run", "--rm", "--network", "none", "small") == "scratch"


def test_row_11_several_parents(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox AS build\nRUN echo compiled > /program\n"
        "FROM busybox AS debug\nCOPY --from=build /program /bin/program.debug\n"
        "FROM busybox\nCOPY --from=build --chown=65534 /program /program\nCOPY --from=busybox /etc/passwd /p\n"
    )
    client("build", "-t", "final", str(tmp_path))
    assert client.text("run", "--rm", "--network", "none", "final", "stat", "-c", "%u", "/program") == "65534"
    client("build", "--target", "debug", "-t", "debug", str(tmp_path))
    assert client.text("run", "--rm", "--network", "none", "debug", "cat", "/bin/program.debug") == "compiled"


def test_a_build_that_fails_says_where(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN exit 4\n")
    done = client("build", str(tmp_path), check=False)
    assert done.returncode == 4
    assert b"returned a non-zero code: 4" in done.stderr
    (tmp_path / "Dockerfile").write_text("FROM busybox\nFOO bar\n")
    assert "unknown instruction: FOO" in client.error("build", str(tmp_path))
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY nothing /\n")
    assert "nothing" in client.error("build", str(tmp_path))
    assert client.text("images", "-q") == client.text("images", "-q", "busybox")
