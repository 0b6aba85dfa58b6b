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
from lamina.errors import CommandFailed, Conflict, InvalidInput, LaminaError, NotFound, Unsupported
from lamina.progress import Message, Output
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
    assert len(base.diff_ids) == 1
    client.images.tag("base", "other:1")
    assert "other:1" in client.images.list(filters={"reference": ["other"]})[0].tags
    assert client.images.history("other:1")[0].id == base.id
    assert [item.untagged for item in client.images.remove("other:1")] == ["other:1"]
    with pytest.raises(NotFound):
        client.images.get("other:1")


def test_what_an_older_daemon_would_ignore_is_refused(engine: Daemon) -> None:
    with lamina.connect(engine.host, version="1.41") as older:
        with pytest.raises(Unsupported, match=r"needs API version 1\.50"):
            older.images.remove("base", platforms=["linux/s390x"])
        with pytest.raises(Unsupported, match=r"needs API version 1\.48"):
            older.images.history("base", platform="linux/s390x")
        assert older.images.get("base").tags


def test_a_directory_is_built(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\nARG V\nCOPY word /word\nLABEL v=$V\n")
    (tmp_path / "word").write_text("hello")
    said: list[Message] = []
    request = BuildRequest(tags=("built",), build_args={"V": "7"})
    image = client.builds.build(tmp_path, request, report=said.append).image
    assert image.labels == {"v": "7"}
    assert image.tags == ("built:latest",)
    assert any(isinstance(message, Output) and "Step 1/4" in message.text for message in said)
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY nothing /\n")
    with pytest.raises((CommandFailed, InvalidInput, NotFound), match="nothing"):
        client.builds.build(tmp_path)
    client.images.remove("built")


def test_a_container_lives_and_ends(client: Client) -> None:
    made = client.containers.create(
        "life", Config(image="base", cmd=("sh", "-c", "echo out; echo err >&2; exit 3")), NO_NETWORK
    )
    with client.containers.attach("life") as stream, client.containers.waiting("life", "next-exit") as waiting:
        client.containers.start("life")
        assert sorted(stream) == [(1, b"out\n"), (2, b"err\n")]
        assert waiting.result().exit_code == 3
    found = client.containers.get(made.id)
    assert (found.name, found.state.status, found.exit_code, found.image, found.running) == (
        "life",
        "exited",
        3,
        "base",
        False,
    )
    records = sorted(client.containers.logs("life"))
    assert [(r.stream, r.data) for r in records] == [("stderr", b"err\n"), ("stdout", b"out\n")]
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
    assert not client.containers.start("host")
    prepared = client.containers.exec_create("host", ExecConfig(cmd=("cat",), attach_stdin=True, attach_stdout=True))
    with client.containers.exec_start(prepared) as stream:
        stream.send(b"typed")
        stream.close_write()
        assert b"".join(data for _, data in stream) == b"typed"
    assert client.containers.exec_inspect(prepared).exit_code == 0
    assert any("sleep 1000" in " ".join(process) for process in client.containers.top("host").rows)
    assert next(iter(client.containers.stats("host", one_shot=True))).pids >= 1
    client.containers.pause("host")
    assert client.containers.get("host").state.status == "paused"
    client.containers.unpause("host")
    client.containers.stop("host", timeout=0)
    assert not client.containers.stop("host")
    assert client.containers.wait("host").exit_code == 137


def test_files_go_in_and_out(client: Client) -> None:
    client.containers.create("files", Config(image="base", cmd=("sleep", "1000")), NO_NETWORK)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("note")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"text"))
    client.containers.put_archive("files", "/tmp", [buffer.getvalue()])
    assert client.containers.stat_path("files", "/tmp/note").size == 4
    copied = io.BytesIO()
    assert client.containers.get_archive("files", "/tmp/note", copied).name == "note"
    with tarfile.open(fileobj=io.BytesIO(copied.getvalue())) as archive:
        assert archive.getnames() == ["note"]
    assert ("A", "/tmp/note") in [(change.kind, change.path) for change in client.containers.changes("files")]
    exported = io.BytesIO()
    client.containers.export("files", exported)
    with tarfile.open(fileobj=io.BytesIO(exported.getvalue())) as archive:
        assert "tmp/note" in archive.getnames()


def test_images_leave_and_return(client: Client) -> None:
    client.containers.create("made", Config(image="base", cmd=("sh", "-c", "echo new > /new")), NO_NETWORK)
    client.containers.start("made")
    client.containers.wait("made")
    image = client.containers.commit("made", "kept:1", message="why", author="Ada", changes=["ENV A=b"])
    archive = io.BytesIO()
    client.images.save(["kept:1"], archive)
    client.images.remove("kept:1")
    assert [image.tags for image in client.images.load([archive.getvalue()])] == [("kept:1",)]
    assert client.images.get("kept:1").id == image.id
    client.images.remove("kept:1")
    exported = io.BytesIO()
    client.containers.export("made", exported)
    flat = client.images.import_tar([exported.getvalue()], "flat:2", changes=["LABEL a=b"])
    assert flat.tags == ("flat:2",)
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
    client.images.tag("base", "told:1")
    names = (event["Actor"]["Attributes"]["name"] for event in feed)
    assert any(name == "told:1" for name in names)
    client.images.remove("told:1")


def test_a_pull_that_fails_is_an_error(client: Client) -> None:
    with pytest.raises(LaminaError):
        client.registries.pull("localhost:1/nosuch:2")
