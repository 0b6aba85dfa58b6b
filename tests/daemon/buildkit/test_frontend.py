"""What the frontend asks a client for, and what it tells of steps and mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from lamina.daemon.buildkit.messages import control, gateway
from lamina.daemon.buildkit.messages.session import Piece, Stat
from lamina.daemon.buildkit.messages.status import StatusResponse
from lamina.daemon.buildkit.rpc import Call, Method
from lamina.errors import LaminaError, NotFound
from support.buildkit import DIFF_COPY, send, tunnelled
from support.daemons import Daemon, lamina_daemon
from support.gateway import Driver, drive
from support.tars import tar


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


class Folders:
    """Folders that a client offers, each file with its content. `asked` has what the daemon wanted of each folder."""

    def __init__(self, **folders: Mapping[str, bytes]) -> None:
        self._folders = folders
        self.asked: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []

    @property
    def methods(self) -> dict[str, Method]:
        return {DIFF_COPY: self._send}

    async def _send(self, call: Call) -> None:
        (name,) = call.metadata("dir-name")
        if name not in self._folders:
            raise NotFound(f'no access allowed to dir "{name}"')
        follow, exclude = tuple(call.metadata("followpaths")), tuple(call.metadata("exclude-patterns"))
        self.asked.append((name, follow, exclude))
        files = self._folders[name]
        listing = [Stat(path, 0o644, size=len(files[path])) for path in sorted(files) if not follow or path in follow]
        await send(call, listing, files)


def solve(daemon: Daemon, folders: Folders, read: str, **attributes: str) -> tuple[bytes, list[StatusResponse]]:
    """Build, and return a file of the result and the news."""
    results: list[tuple[bytes, list[StatusResponse]]] = []

    async def use(build: Driver) -> None:
        solved = build.begin()
        id = await build.solve(**{name.replace("__", ":"): value for name, value in attributes.items()})
        answer = await build.ask("ReadFile", gateway.ReadFileRequest(id, read), gateway.ReadFileResponse)
        await build.give_back(id)
        await solved
        results.append((answer.data, await build.news()))

    drive(daemon, use, methods=folders.methods)
    return results[0]


def names(news: list[StatusResponse]) -> list[str]:
    return list(dict.fromkeys(vertex.name for status in news for vertex in status.vertexes))


def test_of_a_named_folder_only_the_files_that_are_read_are_sent(daemon: Daemon) -> None:
    other = {"needed": b"yes", "large": bytes(1000), ".dockerignore": b"secret\n"}
    folders = Folders(
        dockerfile={"Dockerfile": b"FROM scratch\nCOPY --from=base /needed /got\n"}, context={}, other=other
    )
    data, news = solve(daemon, folders, "/got", context__base="local:other")
    assert data == b"yes"
    assert [each for each in folders.asked if each[0] == "other"] == [
        ("other", (".dockerignore",), ()),
        ("other", ("needed",), ("secret",)),
    ]
    assert "[context base] load from client" in names(news)


def test_a_named_folder_that_is_a_base_is_sent_whole(daemon: Daemon) -> None:
    text = b"FROM nosuch AS base\nRUN not done\nFROM base\nCOPY --from=base /a /b\n"  # the folder replaces the stage
    folders = Folders(dockerfile={"Dockerfile": text}, context={}, other={"a": b"1", "c": b"3"})
    assert solve(daemon, folders, "/c", context__base="local:other")[0] == b"3"
    assert ("other", (), ()) in folders.asked


def test_steps_show_the_values_of_variables_and_count_only_what_makes_files(daemon: Daemon) -> None:
    text = b"FROM scratch AS base\nARG NAME=a\nCOPY $NAME /x\nFROM base AS last\nCOPY --from=base /x /$UNSET$NAME\n"
    folders = Folders(dockerfile={"Dockerfile": text}, context={"a": b"1"})
    _, news = solve(daemon, folders, "/a")
    shown = [name for name in names(news) if not name.startswith("[internal]")]
    assert shown == ["[base 1/1] COPY a /x", "[last 1/1] COPY --from=base /x /$UNSETa"]


def test_the_files_of_another_session_are_asked_for_there(daemon: Daemon) -> None:
    text = b"FROM scratch\nCOPY f /f\nCOPY --from=base /g /g\n"
    folders = Folders(dockerfile={"Dockerfile": text}, context={"f": b"theirs"}, other={"g": b"also"})

    async def use(build: Driver) -> None:
        async with tunnelled(build.caller, "other-session", folders.methods):
            solved = build.begin()
            sessions = {f"local-sessionid:{name}": "other-session" for name in ("context", "dockerfile", "other")}
            id = await build.solve(**{"context:base": "local:other", **sessions})
            answer = await build.ask("ReadFile", gateway.ReadFileRequest(id, "/f"), gateway.ReadFileResponse)
            assert answer.data == b"theirs"
            await build.give_back(id)
            await solved

    drive(daemon, use, methods=Folders().methods)


def test_a_client_without_a_context_may_build_what_needs_none(daemon: Daemon) -> None:
    folders = Folders(dockerfile={"Dockerfile": b"FROM scratch\nCOPY --from=base /a /b\n"}, other={"a": b"1"})
    assert solve(daemon, folders, "/b", context__base="local:other")[0] == b"1"
    folders = Folders(dockerfile={"Dockerfile": b"FROM scratch\nCOPY a /b\n"})
    with pytest.raises(LaminaError, match="no build context"):
        solve(daemon, folders, "/b")


def test_a_dockerfile_of_the_client_builds_a_folder_of_an_uploaded_tar(daemon: Daemon) -> None:
    folders = Folders(dockerfile={"Dockerfile": b"FROM scratch\nCOPY f /got\n"})
    uploaded = tar({"sub/dir/f": b"uploaded", "sub/Dockerfile": b"FROM nosuch\n"})

    async def pull(call: Call) -> None:
        await call.send(Piece(uploaded))

    async def use(build: Driver) -> None:
        solved = build.begin()
        id = await build.solve(context="http://buildkit-session/x", dockerfilekey="dockerfile", contextsubdir="sub/dir")
        answer = await build.ask("ReadFile", gateway.ReadFileRequest(id, "/got"), gateway.ReadFileResponse)
        assert answer.data == b"uploaded"
        await build.give_back(id)
        await solved

    drive(daemon, use, methods={**folders.methods, "/moby.upload.v1.Upload/Pull": pull})


def failure(daemon: Daemon, dockerfile: bytes, **attributes: str) -> LaminaError:
    errors: list[LaminaError] = []

    async def use(build: Driver) -> None:
        solved = build.begin()
        with pytest.raises(LaminaError) as raised:
            await build.solve(**attributes)
        errors.append(raised.value)
        await build.give_back(error=control.Status(2, "it failed"))
        with pytest.raises(LaminaError):
            await solved

    drive(daemon, use, methods=Folders(dockerfile={"Dockerfile": dockerfile}, context={"near": b"1"}).methods)
    return errors[0]


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        (b"FROM scratch\nFNTRYPOINT x\n", "unknown instruction: FNTRYPOINT (did you mean ENTRYPOINT?)"),
        (b"FROM scratch\nRUN --mont=type=cache x\n", "unknown flag: --mont (did you mean mount?)"),
        (
            b"FROM scratch\nCOPY nosuch /\n",
            'failed to compute cache key: failed to calculate checksum of ref context: "/nosuch": not found',
        ),
    ],
)
def test_mistakes_are_told_in_the_words_of_buildkit_with_their_lines(
    daemon: Daemon, dockerfile: bytes, words: str
) -> None:
    error = failure(daemon, dockerfile)
    assert words in error.message
    (source,) = [json.loads(detail.value) for detail in error.facts["details"] if "Source" in detail.type]
    assert [each["start"]["line"] for each in source["ranges"]] == [2]
    assert source["info"]["definition"]["def"]


def test_an_input_without_a_graph_is_refused(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        request = gateway.SolveRequest(frontend="dockerfile.v0", inputs={"context": control.Definition()})
        with pytest.raises(LaminaError, match="invalid nil input definition"):
            await build.ask("Solve", request, gateway.SolveResponse)
        await build.give_back()
        await solved

    drive(daemon, use)
