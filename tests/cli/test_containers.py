"""Running containers from the command line: streams, exit codes, terminals, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from support.daemons import Daemon
from support.engines import LAMINA, Cli

pytestmark = pytest.mark.root

RUN = ("run", "--rm", "--network", "none")
PATIENCE = 30.0  # seconds until something that must happen has not


def test_output_and_errors_keep_apart_and_the_exit_code_is_the_commands(lamina: Cli) -> None:
    done = lamina(*RUN, "base", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)


@pytest.mark.parametrize(("command", "code"), [("nosuch", 127), ("/etc", 126)])
@pytest.mark.parametrize("flags", [("--rm",), ("--name", "notstarted"), ("-d", "--rm")])
def test_a_command_that_cannot_start_has_its_own_code(
    lamina: Cli, command: str, code: int, flags: tuple[str, ...]
) -> None:
    error = lamina.fails("run", "--network", "none", *flags, "base", command, code=code)
    assert command in error


def test_what_the_engine_refuses_is_125(lamina: Cli) -> None:
    assert "nosuch" in lamina.fails(*RUN, "--pull", "never", "nosuch:1", "true", code=125)
    assert "--foo" in lamina.fails("run", "--foo", "base", code=125)
    assert "memory" in lamina.fails(*RUN, "-m", "12x", "base", code=125)


def test_a_missing_image_is_pulled_first(lamina: Cli) -> None:
    error = lamina.fails(*RUN, "localhost:1/nosuch:2", "true", code=125)
    assert "Unable to find image 'localhost:1/nosuch:2' locally" in error


def test_an_image_for_another_platform_is_pulled_too(lamina: Cli) -> None:
    lamina("tag", "base", "localhost:1/other")
    done = lamina(*RUN, "--platform", "linux/riscv64", "localhost:1/other", check=False)
    assert done.returncode == 125
    assert b"Unable to find image 'localhost:1/other:latest' locally" in done.stderr


def test_proc_is_open_where_that_is_asked_for(lamina: Cli) -> None:
    count = ("base", "sh", "-c", "grep -c ' /proc/' /proc/mounts || true")
    assert lamina.text(*RUN, "--security-opt", "systempaths=unconfined", *count) == "0\n"
    assert lamina.text(*RUN, *count) != "0\n"


def test_input_reaches_the_container_whole(lamina: Cli) -> None:
    data = os.urandom(3_000_000)
    assert lamina(*RUN, "-i", "base", "cat", stdin=data).stdout == data


def test_input_is_not_read_without_i(lamina: Cli) -> None:
    assert lamina(*RUN, "base", "cat", stdin=b"nothing").stdout == b""


def test_everything_behind_the_image_belongs_to_the_command(lamina: Cli) -> None:
    assert lamina.text(*RUN, "base", "echo", "-n", "--rm", "-x=1") == "--rm -x=1"


def test_switches_take_values_as_go_has_them(lamina: Cli) -> None:
    assert lamina.text(
        "run", "--rm=true", "--tty=false", "-e=A=b=c", "--network=none", "base", "sh", "-c", "echo $A"
    ) == ("b=c\n")


def test_environment_and_user_and_directory(lamina: Cli, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\nFROM_FILE=x y\nINHERITED\nMISSING_HERE\n")
    flags = ("--env-file", str(tmp_path / "env"), "-e", "OWN=1", "-u", "65534", "-w", "/tmp", "-h", "box")
    done = lamina(*RUN, *flags, "base", "sh", "-c", "env; id -u; pwd; hostname", INHERITED="yes")
    lines = done.stdout.decode().splitlines()
    assert {"FROM_FILE=x y", "OWN=1", "INHERITED=yes"} <= set(lines)
    assert not any(line.startswith("MISSING_HERE") for line in lines)
    assert lines[-3:] == ["65534", "/tmp", "box"]


def test_binds_and_anonymous_volumes(lamina: Cli, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_text("hello")
    done = lamina(*RUN, "-v", "./site:/a:ro", "--mount", f"type=bind,src={tmp_path}/site,dst=/b", "-v", "/c", "base",
                  "sh", "-c", "cat /a/page; touch /a/x || echo ro; touch /b/y; ls -d /c", cwd=tmp_path)  # fmt: skip
    assert done.stdout.decode() == "helloro\n/c\n"
    assert (tmp_path / "site" / "y").exists()


def test_detached_containers_are_named_logged_and_waited_for(lamina: Cli, tmp_path: Path) -> None:
    cidfile = tmp_path / "cid"
    made = lamina.text("run", "-d", "--cidfile", str(cidfile), "--network", "none", "--name", "job", "base",
                       "sh", "-c", "echo done; exit 4").strip()  # fmt: skip
    assert cidfile.read_text() == made
    assert lamina.text("wait", "job") == "4\n"
    assert lamina.text("logs", "job") == "done\n"
    assert "exists" in lamina.fails("run", "-d", "--cidfile", str(cidfile), "base", code=125)
    assert "job" in lamina.fails("create", "--name", "job", "base", code=125)


def test_logs_follow_until_the_end(lamina: Cli) -> None:
    lamina("run", "-d", "--network", "none", "--name", "talker", "base", "sh", "-c", "for i in 1 2 3; do echo $i; done")
    assert lamina.text("logs", "-f", "talker") == "1\n2\n3\n"
    assert lamina.text("logs", "-n", "1", "talker") == "3\n"
    assert lamina.text("logs", "--since", "1h", "talker") == "1\n2\n3\n"
    assert lamina.text("logs", "--until", "1h", "talker") == ""


def test_exec_runs_beside_and_has_its_own_code(lamina: Cli) -> None:
    lamina("run", "-d", "--network", "none", "--name", "host", "base", "sleep", "1000")
    assert lamina("exec", "-i", "host", "cat", stdin=b"in").stdout == b"in"
    assert lamina.text("exec", "-e", "A=1", "-w", "/tmp", "host", "sh", "-c", "echo $A; pwd") == "1\n/tmp\n"
    assert lamina("exec", "host", "sh", "-c", "exit 9", check=False).returncode == 9
    lamina("exec", "-d", "host", "touch", "/made")
    deadline = time.monotonic() + PATIENCE
    while lamina("exec", "host", "ls", "/made", check=False).returncode:
        assert time.monotonic() < deadline


def test_lifecycle_prints_the_names_it_was_given(lamina: Cli) -> None:
    lamina("create", "--network", "none", "--name", "cycle", "base", "sleep", "1000")
    for verb in ("start", "pause", "unpause", "restart", "kill"):
        flags = ("-t", "0") if verb == "restart" else ()
        assert lamina.text(verb, *flags, "cycle") == "cycle\n"
    lamina("rename", "cycle", "wheel")
    assert lamina.text("wait", "wheel") == "137\n"
    assert "cycle" in lamina.fails("stop", "cycle", "wheel", code=1)
    assert lamina.text("rm", "wheel") == "wheel\n"
    assert lamina("rm", "-f", "wheel").returncode == 0


def test_signals_go_to_the_container(lamina: Cli) -> None:
    script = "trap 'echo got; exit 9' TERM; echo ready; while true; do sleep 0.05; done"
    environment = {**os.environ, "LAMINA_HOST": lamina.host, "DOCKER_CONFIG": str(lamina.config)}
    process = subprocess.Popen(
        [*LAMINA, *RUN, "base", "sh", "-c", script], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert out == b"got\n"
    assert process.returncode == 9


def test_the_third_request_to_end_ends_the_client_alone(lamina: Cli) -> None:
    script = "trap 'echo still here' INT; echo ready; while true; do sleep 0.05; done"
    environment = {**os.environ, "LAMINA_HOST": lamina.host, "DOCKER_CONFIG": str(lamina.config)}
    command = [*LAMINA, "run", "--network", "none", "--name", "deaf", "base", "sh", "-c", script]
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=nothing, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    for line in (b"ready\n", b"still here\n", b"still here\n"):
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, error) == (1, b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
    assert lamina.text("ps", "-q", "--filter", "name=deaf")


def test_a_terminal_is_raw_sized_and_given_back(lamina: Cli) -> None:
    terminal = lamina.terminal(*RUN, "-it", "-e", "PS1=> ", "base", "sh")
    termios.tcsetwinsize(terminal.fd, (31, 97))
    os.kill(terminal.pid, signal.SIGWINCH)
    terminal.until(b"> ")
    terminal.type(b"until stty size | grep '31 97'; do sleep 0.05; done; echo si''zed\n")
    terminal.until(b"sized")
    terminal.type(b"\x03echo again\n")
    terminal.until(b"again\r\n")
    terminal.type(b"exit 5\n")
    assert terminal.end() == 5


def test_ctrl_d_leaves_the_shell(lamina: Cli) -> None:
    terminal = lamina.terminal(*RUN, "-it", "-e", "PS1=> ", "base", "sh")
    terminal.until(b"> ")
    terminal.type(b"\x04")
    assert terminal.end() == 0


def test_detach_keys_leave_it_running_and_attach_returns(lamina: Cli) -> None:
    terminal = lamina.terminal("run", "-it", "-e", "PS1=> ", "--network", "none", "--name", "kept", "base", "sh")
    terminal.until(b"> ")
    terminal.type(b"\x10\x11")
    assert terminal.end() == 0
    assert lamina.text("inspect", "-f", "{{.State.Status}}", "kept") == "running\n"
    again = lamina.terminal("attach", "--detach-keys", "ctrl-x,z", "kept")
    again.type(b"echo ba''ck\n")
    again.until(b"back")
    again.type(b"\x18z")
    assert again.end() == 0
    third = lamina.terminal("exec", "-it", "-e", "PS1=> ", "kept", "sh")
    third.until(b"> ")
    third.type(b"exit 3\n")
    assert third.end() == 3


def test_a_terminal_needs_one(lamina: Cli) -> None:
    assert "not a TTY" in lamina.fails(*RUN, "-it", "base", "sh", code=1)


def test_start_attached_gives_output_and_code(lamina: Cli) -> None:
    lamina("create", "--network", "none", "-i", "--name", "again", "base", "sh", "-c", "cat; exit 2")
    done = lamina("start", "-ai", "again", stdin=b"word", check=False)
    assert (done.stdout, done.returncode) == (b"word", 2)


def test_copies_both_ways(lamina: Cli, tmp_path: Path) -> None:
    lamina("run", "-d", "--network", "none", "--name", "files", "base", "sh", "-c", "echo 1 > /one; sleep 1000")
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "leaf").write_text("leaf")
    lamina("cp", str(tmp_path / "tree"), "files:/tmp")
    lamina("cp", str(tmp_path / "tree") + "/.", "files:/fresh")
    lamina("cp", str(tmp_path / "tree" / "sub" / "leaf"), "files:/etc/renamed")
    shown = lamina.text("exec", "files", "sh", "-c", "cat /tmp/tree/sub/leaf /fresh/sub/leaf /etc/renamed")
    assert shown == "leaf" * 3
    lamina("cp", "files:/tmp/tree", str(tmp_path / "back"))
    assert (tmp_path / "back" / "sub" / "leaf").read_text() == "leaf"
    lamina("cp", "files:/tmp/tree/.", str(tmp_path / "back"))
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["sub"]
    links = "cd /var && mkdir links && echo 1 > links/a && ln links/a links/b && ln -s / links/c"
    lamina("exec", "files", "sh", "-c", links)
    lamina("cp", "files:/var/links", str(tmp_path / "linked"))
    assert (tmp_path / "linked" / "a").samefile(tmp_path / "linked" / "b")
    assert (tmp_path / "linked" / "c").readlink() == Path("/")
    lamina("cp", "files:/etc/renamed", str(tmp_path))
    assert (tmp_path / "renamed").read_text() == "leaf"
    assert "does not exist" in lamina.fails("cp", "files:/one", str(tmp_path / "nowhere") + "/", code=1)
    assert "nope" in lamina.fails("cp", "files:/nope", str(tmp_path), code=1)
    archive = lamina("cp", "files:/tmp/tree", "-").stdout
    lamina("cp", "-", "files:/var", stdin=archive)
    assert lamina.text("exec", "files", "cat", "/var/tree/sub/leaf") == "leaf"


def test_limits_are_set_and_updated(lamina: Cli) -> None:
    lamina(
        "run", "-d", "--network", "none", "--name", "small", "-m", "64m", "--pids-limit", "50", "base", "sleep", "1000"
    )
    form = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}"
    assert lamina.text("inspect", "-f", form, "small") == "67108864 50\n"
    lamina("update", "-m", "96m", "--memory-swap", "192m", "--restart", "on-failure:2", "small")
    form = "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"
    assert lamina.text("inspect", "-f", form, "small") == "100663296 on-failure\n"
    stats = lamina.text("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}", "small")
    assert stats.startswith("small 1 ")
    assert stats.endswith("/ 96MiB\n")


def test_export_is_the_whole_tree(lamina: Cli, engine: Daemon, tmp_path: Path) -> None:
    import tarfile

    lamina("create", "--network", "none", "--name", "whole", "base")
    lamina("export", "-o", str(tmp_path / "x.tar"), "whole")
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert "bin/busybox" in archive.getnames()


def test_run_tells_how_long_its_phases_took(lamina: Cli) -> None:
    done = lamina("run", "--timings", "--rm", "--network", "none", "base", "echo", "hi")
    phases = [line.split() for line in done.stderr.decode().splitlines()]
    assert [phase[0] for phase in phases] == ["begin", "create", "attach", "start", "run", "remove"]
    assert all(float(phase[1]) >= 0 for phase in phases)
    assert done.stdout == b"hi\n"
    assert not lamina("run", "--rm", "--network", "none", "base", "true").stderr
