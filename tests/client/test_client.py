"""The client's verbs against running engines."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

import lamina
from lamina.api.build import BuildRequest
from lamina.api.containers import Config, ExecConfig, HostConfig
from lamina.client import Client
from lamina.errors import CommandFailed, Conflict, InvalidInput, LaminaError, NotFound
from lamina.progress import Message, Output, Status
from support.daemons import Daemon

pytestmark = pytest.mark.root

NO_NETWORK = HostConfig(network_mode="none")


def test_the_engine_tells_about_itself(client: Client, engine: Daemon) -> None:
    assert client.ping()["ostype"] == "linux"
    assert client.version()["ApiVersion"] >= client.api_version
    assert client.info()["Images"] >= 1
    assert {"Images", "Containers", "Volumes"} <= set(client.disk_usage())
    assert lamina.connect(engine.host).api_version == client.api_version


def test_images_are_named_looked_at_and_removed(client: Client) -> None:
    base = client.images.get("base")
    assert "base:latest" in base.tags
    assert base.id.startswith("sha256:")
    assert len(base.layers) == 1
    client.images.tag("base", "other", "1")
    assert "other:1" in client.images.list(filters={"reference": ["other"]})[0].tags
    assert client.images.history("other:1")[0]["Id"] == base.id
    assert client.images.remove("other:1") == [{"Untagged": "other:1"}]
    with pytest.raises(NotFound):
        client.images.get("other:1")


def test_a_directory_is_built(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\nARG V\nCOPY word /word\nLABEL v=$V\n")
    (tmp_path / "word").write_text("hello")
    said: list[Message] = []
    image = client.build(tmp_path, BuildRequest(tags=("built",), build_args={"V": "7"}), report=said.append)
    assert image.labels == {"v": "7"}
    assert image.tags == ("built:latest",)
    assert any(isinstance(message, Output) and "Step 1/4" in message.text for message in said)
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY nothing /\n")
    with pytest.raises((CommandFailed, InvalidInput, NotFound), match="nothing"):
        client.build(tmp_path)
    client.images.remove("built")


def test_a_container_lives_and_ends(client: Client) -> None:
    made = client.containers.create(
        "life", Config(image="base", cmd=("sh", "-c", "echo out; echo err >&2; exit 3")), NO_NETWORK
    )
    with client.containers.attach("life") as stream, client.containers.waiting("life", "next-exit") as waiting:
        client.containers.start("life")
        assert sorted(stream) == [(1, b"out\n"), (2, b"err\n")]
        assert waiting.result() == 3
    found = client.containers.get(made.id)
    assert (found.name, found.state, found.exit_code, found.image, found.running) == (
        "life",
        "exited",
        3,
        "base",
        False,
    )
    assert sorted(client.containers.logs("life")) == [(1, b"out\n"), (2, b"err\n")]
    assert [c.id for c in client.containers.list(all=True, filters={"name": ["life"]})] == [made.id]
    with pytest.raises(Conflict):
        client.containers.create("life", Config(image="base"))
    client.containers.rename("life", "death")
    client.containers.remove("death")
    with pytest.raises(NotFound):
        client.containers.get("death")


def test_commands_run_beside(client: Client) -> None:
    client.containers.create("host", Config(image="base", cmd=("sleep", "1000")), NO_NETWORK)
    client.containers.start("host")
    client.containers.start("host")  # running already: nothing to do
    prepared = client.containers.exec_create("host", ExecConfig(cmd=("cat",), attach_stdin=True, attach_stdout=True))
    with client.containers.exec_start(prepared.id) as stream:
        stream.send(b"typed")
        stream.close_write()
        assert b"".join(data for _, data in stream) == b"typed"
    assert client.containers.exec_inspect(prepared.id)["ExitCode"] == 0
    assert any("sleep 1000" in " ".join(process) for process in client.containers.top("host")["Processes"])
    assert next(iter(client.containers.stats("host", one_shot=True)))["pids_stats"]["current"] >= 1
    client.containers.pause("host")
    assert client.containers.get("host").state == "paused"
    client.containers.unpause("host")
    client.containers.stop("host", timeout=0)
    client.containers.stop("host")  # stopped already
    assert client.containers.wait("host") == 137


def test_files_go_in_and_out(client: Client) -> None:
    client.containers.create("files", Config(image="base", cmd=("sleep", "1000")), NO_NETWORK)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("note")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"text"))
    client.containers.put_archive("files", "/tmp", [buffer.getvalue()])
    assert client.containers.stat_path("files", "/tmp/note")["size"] == 4
    found, chunks = client.containers.get_archive("files", "/tmp/note")
    assert found["name"] == "note"
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        assert archive.getnames() == ["note"]
    assert {"Path": "/tmp/note", "Kind": 1} in client.containers.changes("files")
    with tarfile.open(fileobj=io.BytesIO(b"".join(client.containers.export("files")))) as archive:
        assert "tmp/note" in archive.getnames()


def test_images_leave_and_return(client: Client) -> None:
    client.containers.create("made", Config(image="base", cmd=("sh", "-c", "echo new > /new")), NO_NETWORK)
    client.containers.start("made")
    client.containers.wait("made")
    image = client.images.commit("made", "kept", "1", message="why", author="Ada", changes=["ENV A=b"])
    archive = io.BytesIO()
    client.images.save(["kept:1"], archive)
    client.images.remove("kept:1")
    assert client.images.loaded([archive.getvalue()]) == ["kept:1"]
    assert client.images.get("kept:1").id == image.id
    client.images.remove("kept:1")
    reported: list[Message] = []
    client.images.import_tar(
        client.containers.export("made"), "flat", "2", changes=["LABEL a=b"], report=reported.append
    )
    assert isinstance(reported[-1], Status)
    assert client.images.get("flat:2").labels == {"a": "b"}
    client.images.remove("flat:2")


def test_volumes_and_networks(client: Client) -> None:
    volume = client.volumes.create("data", labels={"a": "b"})
    assert volume.path.endswith("/_data")
    assert "data" in {found.name for found in client.volumes.list({"label": ["a=b"]})}
    client.volumes.remove("data")
    with pytest.raises(NotFound):
        client.volumes.get("data")
    client.volumes.remove("data", force=True)
    assert client.networks.get("none").driver == "null"
    assert {"host", "none"} <= {found.name for found in client.networks.list()}


def test_what_happens_is_told(client: Client) -> None:
    feed = client.events(since="1", filters={"type": ["image"], "event": ["tag"]})
    client.images.tag("base", "told", "1")
    names = (event["Actor"]["Attributes"]["name"] for event in feed)
    assert any(name == "told:1" for name in names)
    client.images.remove("told:1")


def test_a_pull_that_fails_is_an_error(client: Client) -> None:
    with pytest.raises(LaminaError):
        client.pull("localhost:1/nosuch:2")
