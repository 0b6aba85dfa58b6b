"""docker-py's own integration tests: what passes on dockerd passes here, but for what `EXCEPTIONS` names.

The list of what passes there was written once (`docker_py_passes.txt`). `make peers` fetches the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.api import Http
from support.daemons import Daemon, lamina_daemon
from support.programs import PEERS, need_folder

HERE = Path(__file__).parent
SUITE = PEERS / "docker-py"
SECONDS = 600

_EARLY = "it reads a log right after the start, when the process may not have written yet"

_NO_IPV6 = "the network there has IPv6 switched off, and an address of IPv6 is refused rather than ignored"

EXCEPTIONS = {
    "api_build_test.py::BuildTest::test_build_with_cache_from": "as with BuildKit, more sources never mean less cache",
    "api_image_test.py::CommitTest::test_commit": "an image does not keep its container's config",
    "api_build_test.py::BuildTest::test_build_in_context_abs_dockerfile": _EARLY,
    "api_build_test.py::BuildTest::test_build_in_context_nested_dockerfile": _EARLY,
    "api_network_test.py::TestNetworks::test_connect_with_ipv6_address": _NO_IPV6,
    "api_network_test.py::TestNetworks::test_create_with_ipv6_address": _NO_IPV6,
    "models_containers_test.py::ContainerTest::test_exec_run_failed": "since 28.0 dockerd says 127, too, not 126",
}
"""Tests that pass on dockerd 20.10 and not here, with the reason."""

# docker-py's tests ask only whether a connection is one of paramiko's, over which they do not run here.
NO_SSH = "class Channel:\n    pass\n"
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n",
    "etc/group": "root:x:0:\npostgres:x:70:\n",
}
TAGS = ("alpine:3.10", "alpine:latest", "busybox:latest", "busybox:buildroot-2014.02")

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(SECONDS + 60)]


def passing() -> list[str]:
    lines = (HERE / "docker_py_passes.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.fixture(scope="module")
def daemon(busybox_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the images that the tests want."""
    with lamina_daemon("--default-runtime", "runc") as daemon:
        http = Http(str(daemon.socket))
        archive = tmp_path_factory.mktemp("image") / "root.tar"
        _write_root(busybox_tree, archive)
        for tag in TAGS:
            name, _, version = tag.partition(":")
            target = f"/images/create?fromSrc=-&repo={name}&tag={version}&changes=CMD+%5B%22%2Fbin%2Fsh%22%5D"
            assert http("POST", target, archive.read_bytes()).status == 200
        yield daemon


def _write_root(tree: Path, target: Path) -> None:
    """Write a root file system with the accounts and folders of Alpine's that the tests name."""
    with tarfile.open(target, "w") as archive:
        archive.add(tree, arcname=".", filter=lambda member: None if member.name[2:] in ACCOUNTS else member)
        for name in ("var/opt", "var/lib/postgresql"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name, text in ACCOUNTS.items():
            file = target.parent / Path(name).name
            file.write_text(text)
            archive.add(file, arcname=name)


def test_what_passes_on_dockerd_passes_here(daemon: Daemon, tmp_path: Path) -> None:
    folder = need_folder(SUITE)
    (tmp_path / "paramiko.py").write_text(NO_SSH)
    wanted = [name for name in passing() if name not in EXCEPTIONS]
    missed = _missed(daemon, folder, tmp_path, wanted)
    if missed:  # they sleep instead of waiting, and lose a race on a busy machine
        missed = _missed(daemon, folder, tmp_path, list(missed))
    assert not missed, "\n".join(f"{name}: {problem}" for name, problem in missed.items())


def _missed(daemon: Daemon, folder: Path, scratch: Path, names: list[str]) -> dict[str, str]:
    """Return what went wrong in the tests that did not pass."""
    results = _run(daemon, folder, scratch, names)
    return {name: results.get(name, "it did not run") for name in names if results.get(name) != ""}


def _run(daemon: Daemon, folder: Path, scratch: Path, names: list[str]) -> dict[str, str]:
    """Return what went wrong in each test, "" for one that passed."""
    report, listed = scratch / "report.xml", scratch / "tests"
    listed.write_text("".join(f"tests/integration/{name}\n" for name in names))
    environment = {
        **os.environ,
        "DOCKER_HOST": daemon.host,
        "DOCKER_TEST_API_VERSION": "1.41",
        "DOCKER_CONFIG": str(scratch),
        "PYTHONPATH": str(scratch),
    }
    options = ["-p", "no:cacheprovider", "-q", "--timeout", "60", f"--junitxml={report}", "--import-mode=prepend"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"@{listed}"],
        cwd=folder,
        env=environment,
        timeout=SECONDS,
        capture_output=True,
        check=False,
    )
    return dict(_results(ElementTree.parse(report).getroot()))


def _results(report: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for case in report.iter("testcase"):
        *_, module, group = case.attrib["classname"].split(".")
        problems = [problem for kind in ("failure", "error", "skipped") for problem in case.iter(kind)]
        said = problems[0].attrib.get("message", "it failed")[:300] if problems else ""
        yield f"{module}.py::{group}::{case.attrib['name']}", said
