"""File names that are no UTF-8: they reach every command as they are, and JSON shows them as Docker does."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from lamina.client import connect
from support.daemons import Daemon
from support.engines import Cli

pytestmark = pytest.mark.root

NAME = os.fsdecode(b"caf\xe9")
SHOWN = "caf\ufffd"


@pytest.fixture
def image(lamina: Cli, tmp_path: Path) -> str:
    """An image with such files, built from a folder that has such a name."""
    context = tmp_path / NAME
    (context / f"dir-{NAME}").mkdir(parents=True)
    (context / NAME).write_text("text")
    (context / f"dir-{NAME}" / "below").touch()
    (context / "link").symlink_to(NAME)
    (context / "Dockerfile").write_text("FROM base\nCOPY . /c/\n")
    lamina("build", "-t", "bytes", str(context))
    lamina("build", "-t", "bytes", str(context))  # what the first remembered of the files, the second reads
    return "bytes"


def names(archive: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        return set(members.getnames())


def test_building_and_shipping(lamina: Cli, image: str, tmp_path: Path) -> None:
    lamina("run", "--network", "none", "--name", "bytes-one", image, "sh", "-c", "cp /c/caf* /new; rm -r /c/dir*")
    lamina("commit", "bytes-one", "bytes:two")
    lamina("save", "-o", str(tmp_path / "saved"), "bytes:two")
    lamina("rmi", "bytes:two")
    lamina("load", "-i", str(tmp_path / "saved"))
    lamina("create", "--name", "bytes-two", "bytes:two")
    exported = names(lamina("export", "bytes-two").stdout)
    assert {f"c/{NAME}", "c/link", "new"} <= exported
    assert f"c/dir-{NAME}" not in exported


def test_changes_are_shown_as_docker_shows_them(engine: Daemon, lamina: Cli, image: str) -> None:
    lamina("run", "--network", "none", "--name", "changed", image, "sh", "-c", "mv /c/caf* /; rm -r /c/dir*")
    assert set(lamina.text("diff", "changed").splitlines()) == {
        f"A /{SHOWN}", "C /c", f"D /c/{SHOWN}", f"D /c/dir-{SHOWN}"
    }  # fmt: skip
    with connect(engine.host) as client:
        link = client.containers.stat_path("changed", "/c/link")
        assert link["linkTarget"] == f"/c/{SHOWN}"
        assert client.containers.stat_path("changed", f"/{NAME}").name == SHOWN


def test_copying(engine: Daemon, lamina: Cli, image: str, tmp_path: Path) -> None:
    lamina("create", "--name", "copied", image)
    if engine.command[0].endswith("dockerd"):  # its archive of such a name is empty
        assert "sent nothing" in lamina.fails("cp", f"copied:/c/{NAME}", str(tmp_path / "out"), code=1)
        return
    lamina("cp", f"copied:/c/{NAME}", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "text"
    lamina("cp", f"copied:/c/dir-{NAME}", str(tmp_path))
    assert (tmp_path / f"dir-{NAME}" / "below").exists()
    lamina("cp", "copied:/c/link", str(tmp_path))
    assert os.readlink(tmp_path / "link") == NAME
    lamina("cp", str(tmp_path / f"dir-{NAME}"), f"copied:/in-{NAME}")
    assert f"in-{NAME}/below" in names(lamina("cp", f"copied:/in-{NAME}", "-").stdout)
    assert SHOWN in lamina.fails("cp", f"copied:/nosuch-{NAME}", str(tmp_path), code=1)


def test_what_is_sent_as_json(lamina: Cli) -> None:
    run = ("run", "--rm", "--network", "none", "-e", f"A={NAME}", "-w", f"/w{NAME}", "base")
    assert lamina.text(*run, "sh", "-c", "echo $A; pwd") == f"{SHOWN}\n/w{SHOWN}\n"
    for command in ("exec", "logs"):
        assert SHOWN in lamina.fails(command, f"no{NAME}", *(["x"] if command == "exec" else []), code=1)
    for command in ("volume", "network"):
        assert SHOWN in lamina.fails(command, "rm", f"no{NAME}", code=1)


def test_dockerfiles(lamina: Cli, tmp_path: Path) -> None:
    """Bytes in a Dockerfile are those of files; in what the image says of itself they are shown."""
    (tmp_path / NAME).write_text(
        f"FROM base\nCOPY link /made\nENV A={NAME}\nWORKDIR /w{NAME}\n", errors="surrogateescape"
    )
    (tmp_path / "link").touch()
    lamina("build", "-t", "spoken", "-f", str(tmp_path / NAME), str(tmp_path))
    shown = lamina.text("inspect", "-f", "{{.Config.Env}} {{.Config.WorkingDir}}", "spoken")
    assert f"A={SHOWN}" in shown
    assert f"/w{SHOWN}" in shown
    assert f"ENV A={SHOWN}" in lamina.text("history", "--no-trunc", "--format", "{{.CreatedBy}}", "spoken")
