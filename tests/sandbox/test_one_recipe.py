"""A container's start and a build's RUN make the same sandbox: files in /etc, limits, ulimits, cgroup."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.engines import Cli
from support.hostile import Target, folder

pytestmark = pytest.mark.root

SETTINGS = {
    "dns": ["10.9.8.7"],
    "dns-opts": ["timeout:7"],
    "dns-search": ["default.test"],
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 321, "Hard": 432}},
    "default-shm-size": "24M",
    "cgroup-parent": "/lamina-of-the-test",
}
MEMORY = 96 << 20  # bytes

InSandbox = Callable[..., str]
"""Return what a shell script prints in a new sandbox; `options` are those that `run` and `build` share."""


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    settings = tmp_path_factory.mktemp("settings") / "daemon.json"
    settings.write_text(json.dumps(SETTINGS))
    with lamina_daemon("--config-file", str(settings)) as daemon:
        Cli(daemon.host, daemon.folder)("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        yield daemon


@pytest.fixture
def cli(daemon: Daemon) -> Cli:
    return Cli(daemon.host, daemon.folder)


@pytest.fixture(params=["run", "build"])
def in_sandbox(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> InSandbox:
    def run(script: str, *options: str, image: str = "bb", check: bool = True) -> str:
        done = cli("run", "--rm", *options, image, "sh", "-c", script, check=check)
        return (done.stdout + done.stderr).decode()

    def build(script: str, *options: str, image: str = "bb", check: bool = True) -> str:
        (tmp_path / "Dockerfile").write_text(f"FROM {image}\nRUN {script}\n")
        done = cli("build", "--no-cache", *options, str(tmp_path), check=check)
        text = (done.stdout + done.stderr).decode()
        return text.partition("---> Running in ")[2].partition("\n")[2]

    return run if request.param == "run" else build


def test_names_are_resolved_as_the_daemon_is_told(in_sandbox: InSandbox) -> None:
    text = in_sandbox("cat /etc/resolv.conf")
    assert text.startswith("nameserver 10.9.8.7\nsearch default.test\noptions timeout:7\n")


def test_ulimits_and_shared_memory_are_as_the_daemon_is_told(in_sandbox: InSandbox) -> None:
    assert in_sandbox("ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -n 1").split()[:4] == [
        "321",
        "432",
        "shm",
        "24576",
    ]
    assert in_sandbox("ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=99:100").split()[:2] == ["99", "100"]


@pytest.mark.skipif(not Path("/sys/fs/cgroup/memory").is_dir(), reason="cgroup v2 hides a sandbox's place from it")
def test_the_cgroup_is_where_the_daemon_puts_it(in_sandbox: InSandbox) -> None:
    assert re.search(r":memory:/lamina-of-the-test/[0-9a-f]{64}$", in_sandbox("cat /proc/self/cgroup"), re.MULTILINE)
    chosen = in_sandbox("cat /proc/self/cgroup", "--cgroup-parent", "/lamina-chosen")
    assert re.search(r":memory:/lamina-chosen/[0-9a-f]{64}$", chosen, re.MULTILINE)


def test_swap_is_as_much_again_as_memory(in_sandbox: InSandbox) -> None:
    """The kernel counts both together in cgroup v1, swap alone in v2."""
    together = "memory/memory.memsw.limit_in_bytes"
    script = f"cd /sys/fs/cgroup; if test -d memory; then cat {together}; else cat memory.swap.max; fi"
    expected = 2 * MEMORY if Path("/sys/fs/cgroup/memory").is_dir() else MEMORY
    assert in_sandbox(script, "-m", str(MEMORY)).splitlines()[0] == str(expected)


def test_limits_that_cannot_be_are_refused(in_sandbox: InSandbox) -> None:
    assert "Minimum memory limit allowed is 6MB" in in_sandbox("true", "-m", "4m", check=False)
    assert "larger than memory limit" in in_sandbox("true", "-m", "64m", "--memory-swap", "32m", check=False)


def test_its_own_address_and_that_of_the_host_are_in_hosts(in_sandbox: InSandbox) -> None:
    text = in_sandbox("cat /etc/hosts; echo; hostname; ip -4 -o addr show eth0", "--add-host", "above:host-gateway")
    hosts, _, rest = text.partition("\n\n")
    name, *_, address = rest.partition("/")[0].split()
    assert hosts.splitlines()[-1] == f"{address}\t{name}"
    assert re.search(r"^[0-9.]+\tabove$", hosts, re.MULTILINE)


def test_a_directory_in_the_place_of_hosts_is_refused(in_sandbox: InSandbox, daemon: Daemon, busybox_tar: Path) -> None:
    place: tarfile.TarInfo = folder("etc/hosts")
    Target(daemon, busybox_tar).image("odd", members=[place], without=["etc/hosts"])
    text = in_sandbox("echo reached", image="odd", check=False)
    assert "reached" not in text.replace("echo reached", "")
    assert re.search(r"cannot mount \S+ at /etc/hosts: a file cannot be mounted on a directory|Is a directory", text)


def test_hosts_keep_links_and_the_domain_when_networks_change(cli: Cli) -> None:
    """The file is written anew; it is mounted in the container all the time."""
    cli.text("network", "create", "second")
    cli.text("run", "-d", "--name", "linked", "bb", "sleep", "1000")
    names = (
        "--hostname",
        "me",
        "--domainname",
        "example.test",
        "--link",
        "linked:other",
        "--add-host",
        "extra:10.0.0.9",
    )
    cli.text("run", "-d", "--name", "linking", *names, "bb", "sleep", "1000")

    def hosts() -> list[str]:
        return cli.text("exec", "linking", "cat", "/etc/hosts").splitlines()

    before = hosts()
    assert any(re.search(r"\tother .* linked$", line) for line in before)
    assert before[-1].endswith("\tme.example.test me")
    cli.text("network", "connect", "second", "linking")
    after = hosts()
    assert after[: len(before)] == before
    assert [line.partition("\t")[2] for line in after[len(before) :]] == ["me.example.test me"]
    cli.text("network", "disconnect", "second", "linking")
    assert hosts() == before
    cli.text("rm", "-f", "linking", "linked")
    cli.text("network", "rm", "second")
