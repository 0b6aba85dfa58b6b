"""Which daemon, whose credentials: flags, environment, contexts and `config.json`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.cli.contexts import ContextStore
from lamina.cli.credentials import credentials_for
from lamina.cli.key_values import environment, labels
from lamina.cli.main import run
from lamina.cli.settings import ConfigFile, read_settings
from lamina.client.dial import Tls
from lamina.client.messages import auth_of, registry_of
from lamina.credentials import Credentials
from lamina.errors import Conflict, InvalidInput, NotFound


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [name for name in os.environ if name.startswith(("DOCKER_", "LAMINA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def address(**flags: object) -> str:
    return str(read_settings(flags).address)


def test_the_host_comes_from_the_first_that_tells(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings({}).is_default
    ContextStore(clean).create("box", "tcp://box:1", "", None)
    ContextStore(clean).create("other", "tcp://other:2", "", None)
    (clean / "config.json").write_text('{"currentContext": "box"}')
    assert address() == "tcp://box:1"
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:3")
    assert address() == "tcp://docker:3"
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert address() == "tcp://other:2"
    monkeypatch.setenv("LAMINA_HOST", "unix:///l.sock")
    assert address() == "unix:///l.sock"
    assert address(context="box") == "tcp://box:1"
    assert address(hosts=("tcp://flag",)) == "tcp://flag:2375"
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert address(hosts=("tcp://flag",)) == "tcp://flag:2376"


def test_contradictions_are_said(clean: Path) -> None:
    with pytest.raises(InvalidInput, match="more than one host"):
        read_settings({"hosts": ("a", "b")})
    with pytest.raises(InvalidInput, match="contradict"):
        read_settings({"hosts": ("a",), "context": "b"})
    with pytest.raises(NotFound, match="nosuch"):
        read_settings({"context": "nosuch"})


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\udcff", None])
def test_a_config_that_cannot_be_read_is_a_warning(
    clean: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    """It does not count, and what would write into it refuses to: its owner may still mend it."""
    path = clean / "config.json"
    if text is None:
        path.mkdir()
    else:
        path.write_text(text, errors="surrogateescape")
    assert run(["context", "show"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "default\n"
    assert printed.err.startswith(f"WARNING: Error loading config file: {path}")
    assert len(printed.err.splitlines()) == 1
    assert credentials_for(ConfigFile(clean), "registry.example/image") is None
    ContextStore(clean).create("box", "tcp://box:1", "", None)
    assert run(["context", "use", "box"]) == 1
    assert "Mend or remove the file first" in capsys.readouterr().err
    assert text is None or path.read_text(errors="surrogateescape") == text


def test_contexts_are_kept_as_docker_keeps_them(clean: Path) -> None:
    (clean / "ca").write_text("pem")
    store = ContextStore(clean)
    store.create("safe", "tcp://x", "why", Tls(ca=str(clean / "ca"), verify=False))
    found = store.get("safe")
    assert (found.host, found.description) == ("tcp://x", "why")
    assert found.tls is not None
    assert not found.tls.verify
    assert Path(found.tls.ca).read_text() == "pem"
    with pytest.raises(Conflict):
        store.create("safe", "tcp://y", "", None)
    with pytest.raises(InvalidInput):
        store.create("default", "tcp://y", "", None)
    store.remove("safe")
    assert store.list() == []


def test_context_commands(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["context", "create", "box", "--docker", "host=tcp://box:1", "--description", "mine"]) == 0
    assert run(["context", "use", "box"]) == 0
    assert run(["context", "show"]) == 0
    assert run(["context", "ls", "--format", "{{.Name}} {{.DockerEndpoint}} {{.Current}}"]) == 0
    assert run(["context", "rm", "box"]) == 1
    assert run(["context", "rm", "-f", "box"]) == 0
    shown = capsys.readouterr()
    assert "box * tcp://box:1 true" in shown.out
    assert "current" in shown.err
    assert ConfigFile(clean).text("currentContext") == ""


def test_registries_are_known_by_their_names() -> None:
    assert [registry_of(name) for name in ("a", "a/b", "localhost/a", "h:5/a", "r.io/a/b")] == [
        "docker.io", "docker.io", "localhost", "h:5", "r.io",
    ]  # fmt: skip
    auth = {"username": "ada", "serveraddress": "https://index.docker.io/v1/"}
    assert auth_of("", Credentials("ada")) == auth_of("docker.io", Credentials("ada")) == auth


def test_environment_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "o")
    monkeypatch.delenv("NOT_OURS", raising=False)
    (tmp_path / "f").write_text("\ufeffA=1\n # no\n\nB= x \nOURS\nNOT_OURS\nE=\n")
    assert environment([str(tmp_path / "f")], ["A=2", "OURS", "NOT_OURS"]) == [
        "A=1", "B= x ", "OURS=o", "E=", "A=2", "OURS=o", "NOT_OURS",
    ]  # fmt: skip
    assert labels([str(tmp_path / "f")], ["l=m"])["l"] == "m"
    (tmp_path / "bad").write_text("A B=1\n")
    for files, pairs in (([str(tmp_path / "bad")], []), ([str(tmp_path / "none")], []), ([], ["=x"])):
        with pytest.raises(InvalidInput):
            environment(files, pairs)
