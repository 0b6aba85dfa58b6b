"""What holds the OCI runtime up: runc opens the files of users before it starts anything."""

from __future__ import annotations

import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from support.hostile import OFF, Answer, Target, archive, attacked, link, special
from support.processes import processes_naming
from support.runtimes import unaware
from support.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.peer]

PLACES = ("etc/passwd", "etc/group")
REFUSED = "is not a regular file"
CHANGES = "rm -f /etc/group; {}; echo ready; exec sleep 300"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "odd",
    [lambda place: special(place, tarfile.FIFOTYPE), lambda place: link(place, "/dev/zero")],
    ids=["fifo", "link"],
)
def test_images_whose_users_are_no_files_are_refused(runc_target: Target, place: str, odd: object) -> None:
    assert callable(odd)
    runc_target.image("odd", members=[odd(place)], without=[place])
    id = runc_target.create("true", image="odd")
    answer = runc_target.start(id)
    assert (answer.status, REFUSED in answer.message) == (400, True)
    runc_target.remove(id)
    assert REFUSED in runc_target.build("FROM odd\nRUN true\n")
    assert runc_target.cli.text("run", "--rm", *OFF, "bb", "echo", "well") == "well\n"


@pytest.mark.parametrize(
    ("made", "refused"),
    [
        ("mkfifo {0}", True),
        ("mknod {0} c 1 5", True),
        ("mkdir {0}", True),
        ("truncate -s 900G {0}", True),
        ("ln -s {0} {0}", False),
        ("true", False),
    ],
)
def test_a_container_that_changes_its_users_takes_no_exec(runc_target: Target, made: str, refused: bool) -> None:
    with runc_target.running(CHANGES.format(made.format("/etc/group"))) as id:
        eventually(lambda: runc_target.cli("logs", id).stdout == b"ready\n")
        done = runc_target.cli("exec", "-u", "7", id, "true", check=False)
        assert done.returncode == (126 if refused else 0)
        assert (REFUSED in (done.stdout + done.stderr).decode()) is refused


@pytest.fixture(scope="module")
def stuck(busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A daemon whose runtime hangs on the image "odd"."""
    with attacked(busybox_tar, "--default-runtime", unaware(tmp_path_factory.mktemp("unaware"))) as target:
        target.image("odd", members=[special("etc/passwd", tarfile.FIFOTYPE)], without=["etc/passwd"])
        yield target


@pytest.fixture(scope="module")
def stuck_twice(busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A daemon whose runtime hangs on the image "odd", and once more when it is to clear up."""
    runtime = unaware(tmp_path_factory.mktemp("stuck"), deletes=False)
    with attacked(busybox_tar, "--default-runtime", runtime) as target:
        target.image("odd", members=[special("etc/passwd", tarfile.FIFOTYPE)], without=["etc/passwd"])
        yield target


def _steps(target: Target) -> list[str]:
    """What runs for steps of builds by this daemon: runtimes, monitors, commands."""
    return [line for line in processes_naming(f"{target.daemon.folder}/") if "run --bundle" in line or "delete" in line]


@pytest.mark.parametrize("fixture", ["stuck", "stuck_twice"])
def test_a_build_whose_runtime_hangs_ends_with_its_connection(request: pytest.FixtureRequest, fixture: str) -> None:
    """The runtime may hang for two minutes, and a cancelled build must not wait for it."""
    target: Target = request.getfixturevalue(fixture)
    tar = archive({"Dockerfile": b"FROM odd\nRUN true\n"})
    head = f"POST /build?networkmode=none HTTP/1.1\r\nHost: l\r\nContent-Length: {len(tar)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(target.daemon.socket))
        asking.sendall(head.encode() + tar)
        eventually(lambda: _steps(target))
    eventually(lambda: not _steps(target), seconds=5)
    eventually(lambda: not list((target.daemon.folder / "d/temporary").glob("build-*")), seconds=5)


def _is_gone(id: str) -> bool:
    return not processes_naming(id)


def _hanging(target: Target) -> tuple[str, list[Answer], threading.Thread]:
    id = target.create("true", image="odd")
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(target.start(id)))
    thread.start()
    eventually(lambda: [line for line in processes_naming(id) if "run --bundle" in line])
    return id, answers, thread


def test_a_start_that_hangs_is_ended_by_who_asks(stuck: Target) -> None:
    for method, path in (("POST", "stop"), ("POST", "kill"), ("DELETE", "?force=1")):
        id, answers, thread = _hanging(stuck)
        answer = stuck.ask(method, f"/containers/{id}{'' if path[0] == '?' else '/'}{path}")
        thread.join(10)
        assert (answer.status, [each.status for each in answers]) == (204, [503]), path
        assert "was ended" in answers[0].message
        stuck.remove(id)
        assert stuck.ask("GET", f"/containers/{id}/json").status == 404
        eventually(partial(_is_gone, id))


def test_a_start_that_hangs_holds_up_no_other_request(stuck: Target) -> None:
    id, answers, thread = _hanging(stuck)
    began = time.monotonic()
    requests: list[tuple[str, str, object]] = [
        ("POST", "/pause", None),
        ("POST", "/rename?name=another", None),
        ("POST", "/update", {"Memory": 64 << 20}),
        ("POST", "/attach?stream=1&stdout=1", None),
        ("DELETE", "", None),
    ]
    with ThreadPoolExecutor(len(requests)) as threads:
        asked = [threads.submit(stuck.ask, method, f"/containers/{id}{path}", body) for method, path, body in requests]
        refusals = [each.result() for each in asked]
    assert time.monotonic() - began < 6
    assert [answer.status for answer in refusals] == [503] * len(requests)
    assert {"is being started" in answer.message for answer in refusals} == {True}
    assert stuck.ask("GET", f"/containers/{id}/json").status == 200
    assert stuck.ask("POST", f"/containers/{id}/kill").status == 204
    thread.join(10)
    assert [answer.status for answer in answers] == [503]
    stuck.remove(id)


def test_a_container_with_an_exec_that_hangs_is_removed(stuck: Target) -> None:
    with stuck.running(CHANGES.format("mkfifo /etc/group")) as id:
        eventually(lambda: stuck.cli("logs", id).stdout == b"ready\n")
        exec_id = stuck.ask("POST", f"/containers/{id}/exec", {"Cmd": ["true"]}).json["Id"]
        answers: list[Answer] = []
        thread = threading.Thread(
            target=lambda: answers.append(stuck.ask("POST", f"/exec/{exec_id}/start", {"Detach": True}))
        )
        thread.start()
        eventually(lambda: [line for line in processes_naming(id) if "exec --detach" in line])
        assert stuck.ask("DELETE", f"/containers/{id}?force=1").status == 204
        thread.join(10)
        # The kill may hit the process before the runtime calls it started (409) or after that (200).
        assert [answer.status for answer in answers] in ([409], [200])
        assert not processes_naming(id)


def test_the_daemon_stops_while_a_start_hangs(stuck: Target) -> None:
    id = stuck.create("true", image="odd")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(stuck.daemon.socket))
        asking.sendall(f"POST /containers/{id}/start HTTP/1.1\r\nHost: l\r\nContent-Length: 0\r\n\r\n".encode())
        eventually(lambda: [line for line in processes_naming(id) if "run --bundle" in line])
        stuck.daemon.stop(20)
    stuck.daemon.start()
    assert stuck.ask("GET", f"/containers/{id}/json").json["State"]["Status"] == "created"
    assert not processes_naming(id)
    stuck.remove(id)
