"""The engines that the bench finds on this machine, each started with a data root of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import lamina
from engines.subjects import Subject
from engines.today import Root, newest_root
from support.daemons import Daemon, dockerd, lamina_daemon, running
from support.programs import BUILDX, CLIENT_20, CLIENT_NEWEST

# A static client starts 30 ms faster than Debian's, which hides less of the engine.
_STATIC = "/usr/local/bin/docker"
_NEWEST = _STATIC if os.path.exists(_STATIC) else CLIENT_NEWEST
# Containers may not have more than this process: it cannot raise limits everywhere.
_LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'


@contextlib.contextmanager
def subjects(folder: Path) -> Iterator[list[Subject]]:
    """Yield all that this machine can measure, lamina first. Engines see `folder`, with inputs and data roots in it."""
    with ExitStack() as stack:
        subjects = _lamina(stack, folder)
        if shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin"):
            daemon = stack.enter_context(dockerd("--bridge", "", "--iptables=true"))
            subjects += _docker(stack, folder, daemon, CLIENT_20)
        if podman := shutil.which("podman"):
            subjects.append(_podman(stack, podman))
        if (root := newest_root(stack, folder)) is not None:
            daemon = stack.enter_context(running(root.dockerd()))
            subjects += _docker(stack, folder, daemon, _NEWEST)
            subjects.append(_podman_of_today(stack, root))
            subjects.append(_containerd(stack, root))
        yield subjects


def _lamina(stack: ExitStack, folder: Path) -> list[Subject]:
    daemon = stack.enter_context(lamina_daemon())
    here = _environment(folder, daemon) | {"LAMINA_HOST": daemon.host}
    own = Subject("lamina", "lamina", (_own_command(),), here, pid=_pid(daemon))
    subjects = [own]
    for path in (CLIENT_20, _NEWEST):
        if os.path.exists(path):
            name = f"docker {_major_version(path)}"
            # The old client sends a context faster; in all else the two differ by a constant.
            is_old = path == CLIENT_20
            subjects.append(replace(own, name=f"{name} to lamina", command=(path,), builds_only=is_old))
    if os.path.exists(_NEWEST) and os.path.exists(BUILDX):
        with_buildx = replace(own, name="buildx to lamina", command=(_NEWEST,), builds_only=True)
        subjects.append(replace(with_buildx, environment=here | {"DOCKER_BUILDKIT": "1"}))
    api = stack.enter_context(lamina.connect(daemon.host))
    return [*subjects, replace(own, name="lamina, API", client=api)]


def _docker(stack: ExitStack, folder: Path, daemon: Daemon, client: str) -> list[Subject]:
    there = _environment(folder, daemon)
    name = f"dockerd {_major_version(client)}"
    classic = Subject(name, name, (client,), there, pid=_pid(daemon))
    with_buildkit = replace(classic, name=f"{name}, BuildKit", builds_only=True)
    api = stack.enter_context(lamina.connect(daemon.host))
    return [
        classic,
        replace(with_buildkit, environment=there | {"DOCKER_BUILDKIT": "1"}),
        replace(classic, name=f"{name}, API", client=api),
    ]


def _environment(folder: Path, daemon: Daemon) -> dict[str, str]:
    settings = folder / "docker-config"
    if not settings.exists():
        (settings / "cli-plugins").mkdir(parents=True)
        if os.path.exists(BUILDX):
            (settings / "cli-plugins/docker-buildx").symlink_to(BUILDX)
    return {"DOCKER_CONFIG": str(settings), "DOCKER_BUILDKIT": "0", "DOCKER_HOST": daemon.host}


def _podman(stack: ExitStack, program: str) -> Subject:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pod-")))
    is_hybrid = Path("/sys/fs/cgroup/unified").is_dir()  # crun of Debian 12 refuses to start containers there
    environment = _podman_settings(folder, _LIMITS + ('[engine]\nruntime = "runc"\n' if is_hybrid else ""))
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    roots = ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--cgroup-manager", "cgroupfs")
    stack.callback(_unmount_below, folder)
    name = f"podman {'.'.join(version.split('.')[:2])}"
    return Subject(name, name, (program, *roots), environment)


def _podman_of_today(stack: ExitStack, root: Root) -> Subject:
    folder = root.folder / "podman"
    folder.mkdir()
    environment = _podman_settings(folder, _LIMITS)
    version = root.version("podman")
    stack.callback(_unmount_below, folder)
    roots = ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--cgroup-manager", "cgroupfs")
    return Subject(f"podman {version}", f"podman {version}", (*root.command("podman"), *roots), environment)


def _unmount_below(folder: Path) -> None:
    """Unmount the folders that podman mounts on themselves."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed([point for point in points if point.startswith(f"{folder}/")]):
        subprocess.run(["umount", "-l", point], check=False)


def _containerd(stack: ExitStack, root: Root) -> Subject:
    socket, pid = stack.enter_context(root.containerd())
    name = f"containerd {root.version('containerd')}"
    return Subject(name, name, (*root.command("ctr"), "--address", str(socket)), pid=pid)


def _podman_settings(folder: Path, settings: str) -> dict[str, str]:
    """Write podman's settings below `folder`, and return the environment that leads it there."""
    (folder / "containers.conf").write_text(settings)
    (folder / "registries.conf").write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
    }


def _pid(daemon: Daemon) -> int:
    assert daemon.process is not None
    return daemon.process.pid


def _own_command() -> str:
    """Return the installed script: `python -m lamina` takes longer to start."""
    return str(Path(sys.executable).with_name("lamina"))


def _major_version(client: str) -> str:
    text = subprocess.run([client, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[2].split(".")[0]
