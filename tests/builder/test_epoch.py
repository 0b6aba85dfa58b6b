"""SOURCE_DATE_EPOCH: from the request, from an ARG, or from the commit that a context is of."""

from __future__ import annotations

import http.server
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.context.source import from_directory, from_remote
from lamina.builder.ops.image_config import config_of
from lamina.engine.named_contexts import NamedContexts
from lamina.errors import InvalidInput
from lamina.layers.tree import walk
from support.web import answering
from support.workshop import FILES, Workshop, tree

TEXT = "FROM scratch\nCOPY a.txt dir /\n"
COMMIT = 1500000000
NEWEST = 1600000000
MODIFIED = "Sun, 13 Sep 2020 12:26:41 GMT"  # a second later


@pytest.mark.parametrize(
    ("dockerfile", "given", "created"),
    [
        (TEXT, "1400000000", "2014-05-13T16:53:20Z"),
        (TEXT, "context", "2017-07-14T02:40:00Z"),
        (f"ARG SOURCE_DATE_EPOCH=1300000000\n{TEXT}", None, "2011-03-13T07:06:40Z"),
        (f"ARG SOURCE_DATE_EPOCH=1300000000\n{TEXT}", "1400000000", "2014-05-13T16:53:20Z"),
        (f"ARG SOURCE_DATE_EPOCH=context\n{TEXT}", None, "2017-07-14T02:40:00Z"),
    ],
)
def test_where_the_time_comes_from(workshop: Workshop, dockerfile: str, given: str | None, created: str) -> None:
    context = replace(from_directory(workshop.context(dockerfile, FILES)), epoch=COMMIT)
    arguments = {} if given is None else {"SOURCE_DATE_EPOCH": given}
    result = workshop.run(context, BuildRequest(build_args=dict(arguments)))
    assert result.image.config.created == created
    assert {step.created for step in result.image.config.history} == {created}
    assert result.epoch is not None
    assert all(node.entry.mtime_ns <= result.epoch * 10**9 for node in walk(tree(result.image)))


def test_a_context_that_is_of_no_commit_has_no_time(workshop: Workshop) -> None:
    folder = workshop.context(TEXT, FILES)
    plain = workshop.run(from_directory(folder))
    asked = workshop.run(from_directory(folder), BuildRequest(build_args={"SOURCE_DATE_EPOCH": "context"}))
    assert (asked.epoch, asked.image.id) == (None, plain.image.id)


def test_earlier_files_keep_their_times(workshop: Workshop) -> None:
    folder = workshop.context(TEXT, FILES)
    os.utime(folder / "a.txt", (1000, 1000))
    request = BuildRequest(build_args={"SOURCE_DATE_EPOCH": "1400000000"}, no_cache=True)
    image = workshop.run(from_directory(folder), request).image
    times = {node.path: node.entry.mtime_ns // 10**9 for node in walk(tree(image))}
    assert (times["a.txt"], times["one"]) == (1000, 1400000000)


def archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, time in (("Dockerfile", NEWEST - 9), ("newest", NEWEST)):
            member = tarfile.TarInfo(name)
            content = TEXT.replace("a.txt dir", "newest").encode()
            member.size, member.mtime = len(content), time
            tar.addfile(member, io.BytesIO(content))
        folder = tarfile.TarInfo("folder")
        folder.type, folder.mtime = tarfile.DIRTYPE, NEWEST + 9
        tar.addfile(folder)
    return stream.getvalue()


@contextmanager
def served(headers: dict[str, str]) -> Iterator[str]:
    """Serve an archive, and yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(archive() if self.path == "/src.tar" else b"no archive")

        def log_message(self, *words: object) -> None:
            """Tests look at answers."""

    with answering(Handler) as address:
        yield address


@pytest.mark.parametrize(("headers", "epoch"), [({}, NEWEST), ({"Last-Modified": MODIFIED}, NEWEST + 1)])
def test_a_file_from_the_web_has_a_time(workshop: Workshop, headers: dict[str, str], epoch: int) -> None:
    request = BuildRequest(build_args={"SOURCE_DATE_EPOCH": "context"})
    with served(headers) as address:
        assert workshop.run(from_remote(f"{address}/src.tar", workshop.folder), request).epoch == epoch
        text = f"ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\nARG AT={address}\nADD $AT/src.tar /\n{TEXT}"
        folder = workshop.context(text, FILES)
        assert workshop.run(from_directory(folder)).epoch == epoch
        request = BuildRequest(build_args={"SOURCE_DATE_EPOCH": "1400000000"})
        assert workshop.run(from_directory(folder), request).epoch == 1400000000


def test_a_file_from_the_web_that_is_no_archive_has_none(workshop: Workshop) -> None:
    with served({}) as address:
        text = f"ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\nADD {address}/file /\n{TEXT}"
        assert workshop.run(from_directory(workshop.context(text, FILES))).epoch is None


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("FROM base AS src", "must use FROM scratch"),
        ("FROM scratch AS src", "exactly one remote ADD"),
        ("FROM scratch AS src\nCOPY a.txt /", "source-only requirements: unsupported COPY instruction"),
        ("FROM scratch AS src\nADD a.txt /", "a single HTTP"),
        ("FROM scratch AS src\nADD http://a.invalid/b /\nADD http://a.invalid/c /", "exactly one remote ADD"),
        ("FROM scratch AS other", "invalid SOURCE_DATE_EPOCH: src"),
    ],
)
def test_a_stage_that_is_no_source_has_no_time(workshop: Workshop, stage: str, message: str) -> None:
    folder = workshop.context(f"ARG SOURCE_DATE_EPOCH=src\n{stage}\n{TEXT}", FILES)
    with pytest.raises(InvalidInput, match=message):
        workshop.run(from_directory(folder))


def test_a_named_context_has_the_time_of_its_files(workshop: Workshop) -> None:
    class Dated(NamedContexts):
        def epoch(self, name: str) -> int | None:
            return {"src": COMMIT}[name]

    rooms = replace(workshop.rooms, contexts=Dated({"src": "src"}))
    folder = workshop.context(f"ARG SOURCE_DATE_EPOCH=src\n{TEXT}", FILES)
    assert Workshop(rooms, workshop.folder).run(from_directory(folder)).epoch == COMMIT


@pytest.mark.parametrize(("written", "created"), [(None, "2020-01-02T00:00:00Z"), ("2021-01-01T00:00:00Z",) * 2])
def test_a_clients_config_has_the_time_of_its_last_step(written: str | None, created: str) -> None:
    steps = [{"created": f"2020-01-0{day}T00:00:00Z", "empty_layer": True} for day in (1, 2)]
    config = {"os": "linux", "architecture": "amd64", "history": steps} | ({"created": written} if written else {})
    assert config_of(json.dumps(config).encode(), [], 7 * 10**18, None).created == created
