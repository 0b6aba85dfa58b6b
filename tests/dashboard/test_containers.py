"""One container in a browser: its log, terminal, usage, files and details."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.types import Config, ExecConfig, Healthcheck, HostConfig, PortHost
from support.browser import Browser
from support.waiting import eventually

pytestmark = pytest.mark.root

SCRIPT = """
echo first line
printf '\\033[31mred words\\033[0m\\n'
echo trouble >&2
mkdir -p /data/deep; echo hello > /data/note; rm /etc/group
while read word; do echo "heard $word"; done < /pipe
sleep 1000
"""


@pytest.fixture
def container(client: Client) -> Iterator[str]:
    """The ID of a running container called "web", which says what is written to its /pipe."""
    config = Config(image="base", cmd=("sh", "-c", f"mkfifo /pipe\n{SCRIPT}"))
    with client.containers.group() as group:
        made = group.create("web", config, HostConfig(network_mode="none", binds=("things:/things",)))
        client.containers.start(made.id)
        eventually(lambda: len(list(client.containers.logs(made.id))) >= 3)
        yield made.id
    client.volumes.remove("things")


def say(client: Client, container: str, word: str) -> None:
    job = client.containers.exec_create(container, ExecConfig(cmd=("sh", "-c", f"echo {word} > /pipe")))
    client.containers.exec_detached(job)


def test_the_log_is_followed_searched_and_coloured(client: Client, container: str, page: Browser) -> None:
    page.press("web")
    page.one("h1", "web")
    page.shows("first line", "trouble", "3 lines")
    assert page.one(".ansi-red").text == "red words"
    assert page.one(".line.stderr").text == "trouble"
    say(client, container, "a-late-word")
    page.shows("heard a-late-word")
    page.type("Search", "FIRST")
    page.shows("1 line")
    page.lacks("trouble")
    assert not page.all(".log.timed")
    page.press("Times")
    page.shows(client.containers.get(container).state.started_at[:10])
    page.check_accessibility()
    client.containers.stop(container, timeout=0)
    page.shows("there will be no more", "exited")


def test_a_shell_is_opened_in_the_container(container: str, page: Browser) -> None:
    page.go(f"containers/{container}/terminal")
    page.press("Open terminal")
    page.shows("Connected")
    keys = page.driver.switch_to.active_element
    keys.send_keys("printf '\\033[38;2;1;200;3mcol%sed\\033[0m\\n' our; stty size\n")
    page.wait(lambda: "coloured" in page.one(".xterm-rows").text, "no output")
    page.check_accessibility()
    keys.send_keys("exit 4\n")
    page.shows("has ended with exit code 4")
    page.type("Command (empty for a shell)", "echo one command")
    page.press("Open terminal")
    page.shows("has ended with exit code 0")


def test_usage_is_plotted(container: str, page: Browser) -> None:
    page.go(f"containers/{container}/stats")
    page.shows("Processor", "Memory", "Processes")
    page.wait(lambda: len(page.all(".uplot canvas")) == 4, "not four plots")


def test_files_go_in_and_come_out(
    client: Client, container: str, tmp_path: Path, downloads: Path, page: Browser
) -> None:
    page.go(f"containers/{container}/files")
    page.press("data/")
    page.shows("deep/", "note")
    page.press("note")
    page.shows("hello")
    page.check_accessibility()
    page.press("Close")
    long = f"{'long' * 30}.txt"
    (tmp_path / long).write_bytes(b"from the browser\n" * 1000)
    page.one("input[type=file]").send_keys(str(tmp_path / long))
    page.one("tbody th", long)
    packed = io.BytesIO()
    client.containers.get_archive(container, f"/data/{long}", packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        assert file is not None
        assert file.read() == b"from the browser\n" * 1000
    page.press("Download note")
    with tarfile.open(fileobj=io.BytesIO(downloaded(downloads / "note.tar"))) as archive:
        assert archive.getnames() == ["note"]
    page.go(f"containers/{container}/files?path=%2Fthings")
    page.shows("This folder is empty")


def downloaded(path: Path) -> bytes:
    """Return the file when the browser has it whole: until then it has another name."""
    assert eventually(path.exists)
    return path.read_bytes()


def test_changes_and_details(container: str, downloads: Path, page: Browser) -> None:
    page.go(f"containers/{container}/changes")
    page.shows("/data/note", "added", "/etc/group", "removed")
    page.type("Search", "/etc/group")
    page.lacks("/data/note")
    page.go(f"containers/{container}/inspect")
    page.shows('"NetworkMode": "none"')
    page.press("Download")
    assert container.encode() in downloaded(downloads / "web.json")


def test_the_page_of_a_removed_container_leads_back(client: Client, container: str, page: Browser) -> None:
    page.go(f"containers/{container}/logs")
    page.shows("first line")
    client.containers.remove(container, force=True)
    page.one("h1", "Containers")


def test_health_and_ports_are_in_the_list(page: Browser, client: Client) -> None:
    check = Healthcheck(test=("CMD", "true"), interval=200_000_000)
    config = Config(image="base", cmd=("sleep", "1000"), healthcheck=check)
    host = HostConfig(port_bindings={"80/tcp": (PortHost(host_ip="127.0.0.1", host_port="18080"),)})
    with client.containers.group() as group:
        made = group.create("served", config, host)
        client.containers.start(made.id)
        page.shows("healthy")
        assert page.one(".port a").get_attribute("href") == "http://127.0.0.1:18080/"
