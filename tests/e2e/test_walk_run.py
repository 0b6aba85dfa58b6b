"""What the introductions to images say about running and keeping, done from the command line."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
import tarfile
import time
import urllib.request
from pathlib import Path

import pytest

from support.clients import PATIENCE, Client
from support.daemons import Daemon

pytestmark = pytest.mark.root


def test_row_12_run_detached_follow_the_logs_and_remove(client: Client, app: Path) -> None:
    client("build", "-t", "my-app", str(app))
    made = client.text("run", "--name", "app1", "-d", "my-app")
    assert re.fullmatch("[0-9a-f]{64}", made)
    assert client.text("logs", "-f", "app1") == "hello from /app\nthe program"
    shown = client.text("ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Status}}")
    assert re.fullmatch(r"app1 my-app Exited \(0\) .*", shown)
    assert "app1" in client.error("run", "--name", "app1", "my-app")
    assert client.text("rm", "-f", "app1") == "app1"
    assert client.text("ps", "-aq") == ""


def test_row_13_an_interactive_shell(client: Client) -> None:
    typed = client.terminal("run", "-it", "--rm", "--network", "none", "-e", "PS1=> ", "busybox")
    typed.until(b"> ")
    typed.type(b"echo $((20 + 22)); tty\n")
    typed.until(b"42\r\n/dev/pts/0")
    typed.type(b"exit 7\n")
    assert typed.end() == 7
    left = client.terminal("run", "-it", "--name", "left", "--network", "none", "-e", "PS1=> ", "busybox")
    left.until(b"> ")
    left.type(b"\x10\x11")
    assert left.end() == 0
    assert client.text("inspect", "-f", "{{.State.Running}}", "left") == "true"
    again = client.terminal("attach", "left")
    again.type(b"echo still $((1 + 1)) here\n")
    again.until(b"still 2 here\r\n> ")  # the shell edits its next line: before, the terminal itself would eat a Ctrl-D
    again.type(b"\x04")
    assert again.end() == 0
    assert client.text("inspect", "-f", "{{.State.Running}} {{.State.ExitCode}}", "left") == "false 0"


def test_row_14_a_thin_layer_over_the_image_goes_with_the_container(client: Client) -> None:
    script = "echo new > /root/new; rm /etc/group; echo more >> /etc/passwd"
    client("run", "--name", "thin", "--network", "none", "busybox", "sh", "-c", script)
    assert set(client.text("diff", "thin").splitlines()) == {
        "C /root", "A /root/new", "C /etc", "D /etc/group", "C /etc/passwd",
    }  # fmt: skip
    upper = Path(client.text("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "thin"))
    assert (upper / "root" / "new").read_text() == "new\n"
    client("rm", "thin")
    assert not upper.exists()
    assert client.text("run", "--rm", "--network", "none", "busybox", "ls", "/etc/group") == "/etc/group"


def test_row_15_layers_are_stored_once(client: Client, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY big /big\nARG WHICH\nRUN echo $WHICH > /which\n")
    (tmp_path / "big").write_bytes(os.urandom(4_000_000))
    before = used(daemon)
    client("build", "-t", "one", "--build-arg", "WHICH=1", str(tmp_path))
    client("build", "-t", "two", "--build-arg", "WHICH=2", str(tmp_path))
    for name in ("first", "second", "third"):
        client("run", "-d", "--name", name, "--network", "none", "one", "sleep", "1000")
    assert used(daemon) - before < 6_000_000
    layers = [json.loads(client.text("image", "inspect", name))[0]["RootFS"]["Layers"] for name in ("one", "two")]
    assert layers[0][:2] == layers[1][:2]
    assert layers[0][2] != layers[1][2]
    rows = client.text("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}").splitlines()
    assert rows[:2] == ["Images 3 1", "Containers 3 3"]
    assert "SHARED SIZE" in client.text("system", "df", "-v")


def used(daemon: Daemon) -> int:
    """Bytes on disk below the data root; what is mounted there counts where it comes from."""
    done = subprocess.run(["du", "-sxB1", str(daemon.folder / "d")], capture_output=True, check=True)
    return int(done.stdout.split()[0])


def test_row_16_a_union_file_system_with_its_four_directories(client: Client, app: Path) -> None:
    client("build", "-t", "my-app", str(app))
    client("run", "-d", "--name", "stacked", "--network", "none", "my-app", "sleep", "1000")
    assert client.text("info", "-f", "{{.Driver}}") == "overlay2"
    found = json.loads(client.text("inspect", "stacked"))[0]["GraphDriver"]
    assert found["Name"] == "overlay2"
    assert set(found["Data"]) == {"LowerDir", "UpperDir", "WorkDir", "MergedDir"}
    assert (Path(found["Data"]["MergedDir"]) / "app" / "main.txt").read_text() == "the program\n"
    (Path(found["Data"]["MergedDir"]) / "seen").write_text("from outside")
    assert client.text("exec", "stacked", "cat", "/seen") == "from outside"
    assert client.text("image", "inspect", "-f", "{{.GraphDriver.Name}}", "my-app") == "overlay2"


def test_row_18_the_layers_of_an_image(client: Client, app: Path) -> None:
    client("build", "-t", "my-app", str(app))
    identifier = client.text("images", "-q", "my-app")
    read = 'python3 -c \'import json,sys; [print(l) for i in json.load(sys.stdin) for l in i["RootFS"]["Layers"]]\''
    layers = client.shell(f"docker image inspect {identifier} | {read}").splitlines()
    assert len(layers) == 3
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", layer) for layer in layers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetched(url: str) -> str:
    """What a server that may still be starting gives."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline, url


def test_row_19_a_published_port_is_reachable(client: Client, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my page")
    port = free_port()
    client("run", "-d", "--name", "web", "-p", f"{port}:80", "-v", f"{tmp_path}:/www:ro", "busybox",
           "httpd", "-f", "-p", "80", "-h", "/www")  # fmt: skip
    assert fetched(f"http://localhost:{port}/") == "my page"
    assert f"0.0.0.0:{port}->80/tcp" in client.text("ps", "--format", "{{.Ports}}")
    assert f"0.0.0.0:{port}" in client.text("port", "web", "80").splitlines()
    address = client.text("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "web")
    gateway = client.text("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", "web")
    assert fetched(f"http://{address}/") == "my page"
    inside = client.text("run", "--rm", "busybox", "wget", "-qO-", f"http://{gateway}:{port}/")
    assert inside == "my page"
    assert str(port) in client.error("run", "--rm", "-p", f"{port}:80", "busybox", "true")


def test_row_20_the_client_sends_commands_to_the_daemon(client: Client, daemon: Daemon) -> None:
    assert client.text("version", "--format", "{{.Server.Os}}") == "linux"
    nobody = Client(client.command, f"unix://{daemon.folder}/nobody", client.config)
    done = nobody("ps", check=False)
    assert done.returncode == 1
    assert b"onnect" in done.stderr


def test_row_22_images_are_listed(client: Client) -> None:
    client("tag", "busybox", "again:1")
    shown = client.text("images").splitlines()
    assert re.sub(r"\s{2,}", "|", shown[0]) == "REPOSITORY|TAG|IMAGE ID|CREATED|SIZE"
    rows = [re.split(r"\s{2,}", line) for line in shown[1:]]
    assert {row[0] for row in rows} == {"again", "busybox"}
    assert len({row[2] for row in rows}) == 1
    assert all(re.fullmatch(r".* ago", row[3]) and re.fullmatch(r"[\d.]+MB", row[4]) for row in rows)


def test_row_23_names_go_and_images_in_use_stay(client: Client, app: Path) -> None:
    client("build", "-t", "my-app:1", "-t", "my-app:2", str(app))
    assert client.text("rmi", "my-app:1") == "Untagged: my-app:1"
    identifier = client.text("create", "--network", "none", "my-app:2", "sleep", "1000")[:12]
    message = client.error("rmi", "my-app:2")
    assert "unable to remove repository reference" in message
    assert identifier in message
    client("start", identifier)
    assert client.text("rmi", "-f", "my-app:2") == "Untagged: my-app:2"
    dangling = client.text("images", "-q", "--filter", "dangling=true")
    assert identifier in client.error("rmi", "-f", dangling)
    client("rm", "-f", identifier)
    assert "Deleted:" in client.text("rmi", dangling)


def test_row_24_a_container_becomes_an_image(client: Client) -> None:
    client("run", "-d", "--name", "edited", "--network", "none", "busybox", "sh", "-c", "echo new > /new; sleep 1000")
    deadline = time.monotonic() + PATIENCE
    while client("exec", "edited", "ls", "/new", check=False).returncode:
        assert time.monotonic() < deadline
    plain = client.text("commit", "edited")
    assert client.text("run", "--rm", "--network", "none", plain, "cat", "/new") == "new"
    changes = ("--change", 'CMD ["cat", "/new"]', "--change", "ENV A=b", "--change", "LABEL x=y")
    client("commit", *changes, "-m", "why", "-a", "Ada", "edited", "committed:1")
    assert client.text("run", "--rm", "--network", "none", "committed:1") == "new"
    form = "{{.Author}} {{.Comment}} {{.Config.Labels.x}}"
    assert client.text("image", "inspect", "-f", form, "committed:1") == "Ada why y"
    actions = client.text(
        "events", "--since", "1h", "--until", "0s", "--filter", "container=edited", "--format", "{{.Action}}"
    )
    assert "pause\nunpause" in actions.replace("commit\n", "")
    client("rmi", plain)


def test_row_25_images_go_to_files_and_back(client: Client, tmp_path: Path) -> None:
    client("tag", "busybox", "kept:1")
    client.shell(f"docker save kept:1 > {tmp_path}/a.tar; docker save kept:1 | gzip > {tmp_path}/b.tar.gz")
    client("save", "-o", str(tmp_path / "c.tar"), "kept:1", "busybox")
    with tarfile.open(tmp_path / "a.tar") as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        manifest = json.load(member)
        assert manifest[0]["RepoTags"] == ["kept:1"]
        assert {"oci-layout", "index.json"} <= set(archive.getnames())
    assert gzip.decompress((tmp_path / "b.tar.gz").read_bytes())[257:262] == b"ustar"
    for line in (
        f"docker load < {tmp_path}/a.tar",
        f"docker load < {tmp_path}/b.tar.gz",
        f"docker load -i {tmp_path}/c.tar",
    ):
        client("rmi", "kept:1")
        assert "Loaded image: kept:1" in client.shell(line)
    (tmp_path / "broken.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:100_000])
    assert client.error("load", "-i", str(tmp_path / "broken.tar"))


def test_row_26_a_file_system_becomes_a_base_image(client: Client, busybox_tar: Path, tmp_path: Path) -> None:
    change = 'CMD ["echo", "imported"]'
    assert client.text("image", "import", "--change", change, "-m", "debootstrapped", str(busybox_tar), "mine:1")
    assert client.text("run", "--rm", "--network", "none", "mine:1") == "imported"
    client.shell(f"gzip -c {busybox_tar} | docker import - mine:2")
    assert client.text("history", "--format", "{{.Comment}}", "mine:1") == "debootstrapped"
    assert client.text("history", "--format", "{{.Comment}}", "mine:2") == "Imported from -"


def test_row_27_the_commands_of_image(client: Client, app: Path, tmp_path: Path) -> None:
    client("image", "build", "-q", "-t", "my-app", str(app))
    assert client.text("image", "history", "-q", "my-app")
    client("image", "tag", "my-app", "my-app:2")
    assert len(client.text("image", "ls", "-q", "my-app").split()) == 2
    client("image", "save", "-o", str(tmp_path / "x.tar"), "my-app:2")
    client("image", "rm", "my-app:2")
    assert "Loaded image: my-app:2" in client.text("image", "load", "-i", str(tmp_path / "x.tar"))
    client("image", "rm", "my-app:2", "my-app")
    client("build", "-q", str(app))
    assert "Total reclaimed space" in client.text("image", "prune", "-f")


def test_a_container_survives_a_restart_of_the_daemon(client: Client, daemon: Daemon) -> None:
    client(
        "run",
        "-d",
        "--name",
        "survivor",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "while :; do date +%N; sleep 0.1; done",
    )
    pid = client.text("inspect", "-f", "{{.State.Pid}}", "survivor")
    daemon.stop()
    assert Path(f"/proc/{pid}").exists()
    daemon.start()
    assert client.text("inspect", "-f", "{{.State.Pid}} {{.State.Running}}", "survivor") == f"{pid} true"
    before = len(client.text("logs", "survivor").splitlines())
    deadline = time.monotonic() + PATIENCE
    while len(client.text("logs", "survivor").splitlines()) <= before:
        assert time.monotonic() < deadline
    assert client.text("exec", "survivor", "echo", "yes") == "yes"
    assert client.text("stop", "-t", "0", "survivor") == "survivor"
    assert client.text("inspect", "-f", "{{.State.ExitCode}}", "survivor") == "137"
