"""What a command costs before it does anything, and what every command owes its user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.cli.catalog import COMMANDS, GROUPS
from lamina.cli.program import help_text, load
from support.engines import LAMINA, Cli

OWN_MODULES, MODULES = 35, 76  # what `lamina ps` loads of ours, and in all
RUN_MODULES = 120
BUILD_MODULES = 200
FORBIDDEN = {
    "aiohttp", "asyncio", "collections", "concurrent", "contextlib", "cryptography", "dataclasses", "email", "enum",
    "functools", "http", "json", "logging", "msgspec", "multiprocessing", "obstore", "pathlib", "psycopg",
    "re", "socket", "sqlite3", "ssl", "subprocess", "tarfile", "tempfile", "threading", "typing", "urllib", "urllib3",
    "zstandard",
}  # fmt: skip
ENUMS = {"collections", "contextlib", "enum", "functools"}  # what signals need, which are enums
PROBE = "import sys; sys.argv[0] = 'lamina'; from lamina.cli.main import run; code = run(sys.argv[1:]); "
LOADED = "loaded = sorted(sys.modules); import json; print(json.dumps([code, loaded]), file=sys.stderr)"
SCRIPT = Path(__file__).parents[2] / "packaging/bin/lamina"
PATHS = sorted(COMMANDS)


def loaded(*arguments: str, **environment: str) -> list[str]:
    """Return the modules that are loaded when a command has ended well."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE + LOADED, *arguments],
        capture_output=True,
        env={**os.environ, **environment},
        check=True,
    )
    code, modules = json.loads(done.stderr.decode().splitlines()[-1])
    assert code == 0, done.stderr.decode()
    return list(modules)


def imported(*arguments: str, **environment: str) -> set[str]:
    """Return the packages that are loaded when a command has ended well."""
    return {name.partition(".")[0] for name in loaded(*arguments, **environment)}


def test_help_loads_next_to_nothing() -> None:
    modules = imported("--help")
    assert not modules & (FORBIDDEN - {"collections", "enum", "functools", "re"})  # textwrap wants those
    assert "socket" not in modules


@pytest.mark.root
@pytest.mark.parametrize("arguments", [("ps",), ("images",), ("volume", "ls"), ("network", "ls"), ("version",)])
def test_lists_load_little(lamina: Cli, arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments, LAMINA_HOST=lamina.host, DOCKER_CONFIG=str(lamina.config))
    assert not modules & FORBIDDEN


def test_the_installed_script_adds_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", SCRIPT, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("lamina version")
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lamina.cli.main" in names
    assert not names & FORBIDDEN


@pytest.mark.root
def test_a_command_beside_a_container_waits_for_no_classes(lamina: Cli) -> None:
    lamina("run", "-d", "--network", "none", "--name", "beside", "base", "sleep", "1000")
    modules = imported("exec", "beside", "true", LAMINA_HOST=lamina.host, DOCKER_CONFIG=str(lamina.config))
    assert not modules & (FORBIDDEN - ENUMS)


@pytest.mark.root
def test_a_run_waits_for_no_classes(lamina: Cli) -> None:
    words = ("run", "--rm", "--network", "none", "-e", "A=1", "-v", "/data", "base", "true")
    modules = loaded(*words, LAMINA_HOST=lamina.host, DOCKER_CONFIG=str(lamina.config))
    assert not {name.partition(".")[0] for name in modules} & (FORBIDDEN - ENUMS)
    assert len(modules) <= RUN_MODULES


@pytest.mark.root
@pytest.mark.parametrize("engine", ["lamina"], indirect=True)
def test_a_build_of_a_folder_does_not_wait_for_what_others_need(lamina: Cli, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    modules = loaded("build", "-q", str(tmp_path), LAMINA_HOST=lamina.host, DOCKER_CONFIG=str(lamina.config))
    assert "lamina.client.builds" in modules
    assert not any(name.startswith("lamina.dockerfile") for name in modules)
    assert not set(modules) & {"csv", "tarfile", "tempfile"}
    assert len(modules) <= BUILD_MODULES


@pytest.mark.root
def test_ps_loads_no_more_modules_than_it_needs(lamina: Cli) -> None:
    """Loading modules is what a command takes its time for; their number is exact where times are noisy."""
    modules = loaded("ps", LAMINA_HOST=lamina.host, DOCKER_CONFIG=str(lamina.config))
    own = [name for name in modules if name.partition(".")[0] == "lamina"]
    assert len(own) <= OWN_MODULES, own
    assert len(modules) <= MODULES


@pytest.mark.parametrize("path", PATHS)
def test_every_command_has_help_with_an_example(path: str) -> None:
    command = load(path)
    assert command.help
    assert "lamina" in command.example
    assert "Examples:" in help_text(path)
    assert all(option.help for option in command.options), path


def test_groups_and_unknown_commands(capfd: pytest.CaptureFixture[str]) -> None:
    from lamina.cli.main import run

    for group in GROUPS:
        assert run([group, "--help"]) == 0
        assert run(["help", group]) == 0
    assert [run(words) for words in (["nonsense"], ["run"], ["tag", "a"], ["info", "x"])] == [1, 1, 1, 1]
    assert [run(words) for words in (["rm", "--bogus"], ["stop", "-t", "x", "y"], ["--bogus"])] == [125, 125, 125]
    for words in (["run", "--rm=maybe", "x"], ["create", "--init=", "x"], ["exec", "-t=2", "x", "y"], ["ps", "-a=yes"]):
        assert run(words) == 125
    assert run(["--version"]) == 0
    shown = capfd.readouterr()
    assert "nonsense" in shown.err
    assert "Invalid value for '--rm': 'maybe' is not a boolean" in shown.err
    assert "lamina version" in shown.out


def test_no_daemon_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = Cli(f"unix://{tmp_path}/none.sock", tmp_path)("ps", check=False)
    assert done.returncode == 1
    assert b"Is the daemon running?" in done.stderr
    assert b"Traceback" not in done.stderr


def test_completion_knows_commands_and_flags() -> None:
    def complete(words: str, index: int) -> str:
        variables = {"_LAMINA_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        return subprocess.run(LAMINA, env={**os.environ, **variables}, capture_output=True, check=True).stdout.decode()

    assert {"plain,run", "plain,rmi"} <= set(complete("lamina r", 1).split())
    assert "plain,prune" in complete("lamina image pr", 2)
    assert "plain,--no-trunc" in complete("lamina ps --no", 2)
    script = subprocess.run([*LAMINA, "completion", "bash"], capture_output=True, check=True).stdout
    assert b"_LAMINA_COMPLETE=bash_complete" in script


@pytest.mark.root
def test_completion_knows_what_the_daemon_has(lamina: Cli) -> None:
    lamina("create", "--network", "none", "--name", "completed", "base")
    variables = {"_LAMINA_COMPLETE": "bash_complete", "COMP_WORDS": "lamina rm comp", "COMP_CWORD": "2"}
    environment = {**os.environ, **variables, "LAMINA_HOST": lamina.host}
    assert b"plain,completed" in subprocess.run(LAMINA, env=environment, capture_output=True, check=True).stdout


@pytest.mark.root
def test_the_default_daemon_is_started_once() -> None:
    script = f"""
        mount -t tmpfs t /run
        mount -t tmpfs t /var/lib
        lamina() {{ {" ".join(LAMINA)} "$@"; }}
        lamina images & lamina images & wait
        lamina version --format '{{{{.Server.Platform.Name}}}} {{{{.Client.Context}}}}'
        grep -c 'API listen' /run/lamina/daemon.log
        ls /run/lamina
    """
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-ec", script]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "LAMINA_"))}
    done = subprocess.run(alone, capture_output=True, env={**clean, "DOCKER_CONFIG": "/var/lib"}, check=False)
    shown = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr.decode()
    assert sum(line.startswith("REPOSITORY") for line in shown) == 2
    assert shown[2:4] == ["lamina default", "1"]
    assert not any(name.startswith("ready.") for name in shown)


@pytest.mark.root
def test_a_daemon_that_cannot_start_is_said_with_its_log() -> None:
    script = f"mount -t tmpfs t /run; mount -t tmpfs t /var/lib; echo x > /var/lib/lamina; {' '.join(LAMINA)} images"
    done = subprocess.run(["unshare", "--mount", "bash", "-ec", script], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"the daemon did not start" in done.stderr
    assert b"/run/lamina/daemon.log" in done.stderr


@pytest.mark.root
def test_without_root_images_work_and_containers_are_refused_in_a_sentence(busybox_tar: Path, tmp_path: Path) -> None:
    """The user in the namespace is nobody's, and may read what the tests may."""
    (tmp_path / "Dockerfile").write_text('FROM base\nCOPY Dockerfile /\nCMD ["true"]\n')
    (tmp_path / "run").mkdir()
    script = f"""
        lamina() {{ {" ".join(LAMINA)} "$@"; }}
        lamina import {busybox_tar} base && lamina build -t app {tmp_path} && lamina save -o {tmp_path}/app.tar app
        lamina create --name kept app && lamina cp kept:/Dockerfile - | tar -t && lamina rm kept
        lamina run --rm app || echo refused $?
        lamina run --rm --network none app || echo refused $?
        printf 'FROM base\\nRUN true\\n' | lamina build --network none - || echo refused $?
        test -z "$(lamina ps -aq)" || echo left
        ls {tmp_path}/data/lamina/metadata.db {tmp_path}/run/lamina/lamina.sock
    """
    alone = ["unshare", "--user", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", script]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "LAMINA_"))}
    own = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run(alone, capture_output=True, env=clean | own, check=False, timeout=60)
    said, errors = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, errors
    assert [line for line in said.splitlines() if "refused" in line] == ["refused 125", "refused 125", "refused 1"]
    assert "Successfully tagged app:latest" in said
    assert "left" not in said.splitlines()
    assert errors.count("need root") + errors.count("needs root") == 3, errors
    assert "Traceback" not in errors + (tmp_path / "run/lamina/daemon.log").read_text()


def test_the_daemon_and_its_clients_agree_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.client.address import default_socket
    from lamina.daemon.config import Options, listen_on, load

    assert listen_on(Options()) == (f"unix://{default_socket()}",)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    for runtime in ("/run/user/1234", "/other"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime if runtime == "/other" else "")
        assert listen_on(Options()) == (f"unix://{default_socket()}",) == (f"unix://{runtime}/lamina/lamina.sock",)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    options = load({})
    assert (options.data_root, options.exec_root) == ("/data/lamina", "/other/lamina")
