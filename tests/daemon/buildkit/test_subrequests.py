"""What clients of the gateway ask for instead of an image, and what they learn of warnings and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lamina.daemon.buildkit.failures import Code
from lamina.daemon.buildkit.messages import control, gateway
from lamina.errors import InvalidInput, LaminaError, NotFound, Unsupported
from support.daemons import Daemon, lamina_daemon
from support.gateway import Driver, drive

FILE = b"""# base is the base
FROM scratch AS base
# VERSION chooses
ARG VERSION=1
FROM base AS Last
COPY d/f /
RUN --mount=type=secret,id=token,required=true --mount=type=ssh true
CMD run
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


def test_a_check_is_answered_without_the_context(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        answer = await build.request("frontend.lint")
        found = json.loads(answer["result.json"])
        names = [(warning["ruleName"], warning["location"]["ranges"][0]["start"]) for warning in found["warnings"]]
        rules = ["StageNameCasing", "CopyIgnoredFile", "JSONArgsRecommended"]
        assert names == list(zip(rules, [{"line": 5}, {"line": 6}, {"line": 8}], strict=True))
        assert found["sources"][0]["filename"] == "Dockerfile"
        assert (answer["result.statuscode"], answer["version"]) == (b"1", b"1.0.0")
        assert b"\nWARNING: StageNameCasing - https://" in answer["result.txt"]
        assert b"   5 | >>> FROM base AS Last\n" in answer["result.txt"]
        skipping = {"build-arg:BUILDKIT_DOCKERFILE_CHECK": "skip=all"}
        assert (await build.request("frontend.lint", **skipping))["result.statuscode"] == b"0"
        await build.give_back()
        assert (await solved).response == {}
        loaded = [vertex.name for status in await build.news() for vertex in status.vertexes]
        assert "[internal] load build context" not in loaded

    drive(daemon, use, dockerfile=FILE, ignore=b"d\n")


def test_targets_and_an_outline_are_described(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        targets = json.loads((await build.request("frontend.targets"))["result.json"])["targets"]
        assert [(target["name"], target.get("default", False)) for target in targets] == [
            ("base", False),
            ("last", True),
        ]
        assert targets[0]["description"] == "is the base"
        outline = json.loads((await build.request("frontend.outline"))["result.json"])
        (argument,) = outline["args"]
        assert (argument["name"], argument["value"], argument["description"]) == ("VERSION", "1", "chooses")
        assert [(need["name"], need.get("required", False)) for need in outline["secrets"]] == [("token", True)]
        assert [need["name"] for need in outline["ssh"]] == ["default"]
        of_base = json.loads((await build.request("frontend.outline", target="base"))["result.json"])
        assert (of_base["name"], "secrets" in of_base) == ("base", False)
        requests = json.loads((await build.request("frontend.subrequests.describe"))["result.json"])
        assert {request["name"] for request in requests} >= {"frontend.lint", "frontend.outline", "frontend.targets"}
        assert {request["metadata"][0]["name"] for request in requests} == {"result.json"}
        with pytest.raises(Unsupported, match=r"unsupported request frontend\.other"):
            await build.request("frontend.other")
        with pytest.raises(Unsupported, match=r"unsupported frontend capability x"):
            await build.request("frontend.targets", **{"frontend.caps": "moby.buildkit.frontend.subrequests,x"})
        with pytest.raises(InvalidInput, match='target stage "nowhere" could not be found'):
            await build.request("frontend.outline", target="nowhere")
        await build.give_back()
        await solved

    drive(daemon, use, dockerfile=FILE)


def test_a_file_that_cannot_be_built_is_an_answer_to_a_check(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        error = json.loads((await build.request("frontend.lint"))["result.json"])["buildError"]
        assert error["message"] == "dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)"
        assert error["location"]["ranges"] == [{"start": {"line": 2}, "end": {"line": 2}}]
        await build.give_back()
        await solved

    drive(daemon, use, dockerfile=b"FROM scratch\nCOPPY a /\n")


def test_findings_are_warnings_of_the_build(daemon: Daemon) -> None:
    async def use(build: Driver) -> None:
        solved = build.begin()
        await build.give_back(await build.solve())
        await solved
        news = await build.news()
        names = {vertex.digest: vertex.name for status in news for vertex in status.vertexes}
        (warning,) = [warning for status in news for warning in status.warnings]
        assert names[warning.vertex] == "[internal] load build definition from Dockerfile"
        assert warning.short == b"StageNameCasing: Stage name 'A' should be lowercase (line 1)"
        assert warning.detail == (b"Stage names should be lowercase",)
        assert warning.url.endswith("/stage-name-casing/")
        assert warning.info is not None
        assert warning.info.data.startswith(b"FROM scratch AS A\n")
        assert [line.start and line.start.line for line in warning.ranges] == [1]

    drive(daemon, use, dockerfile=b"FROM scratch AS A\nCOPY g /\n")


def test_an_error_carries_the_lines_of_the_dockerfile(daemon: Daemon) -> None:
    """buildx shows them, marked, below the name of the file."""

    async def use(build: Driver) -> None:
        solved = build.begin()
        request = gateway.SolveRequest(frontend="dockerfile.v0")
        call = build.caller.open(
            "/moby.buildkit.v1.frontend.LLBBridge/Solve", [("buildkit-controlapi-buildid", build.ref)]
        )
        await call.send(request)
        call.finish()
        with pytest.raises(LaminaError, match="not found") as caught:
            await call.one(gateway.SolveResponse)
        details = {detail.type.rpartition("/")[2]: json.loads(detail.value) for detail in caught.value.facts["details"]}
        source = details["errdefs.Source+json"]
        assert source["info"]["filename"] == "Dockerfile"
        assert source["ranges"] == [{"start": {"line": n}, "end": {"line": n}} for n in (2, 3)]
        assert details["errdefs.Vertex+json"]["digest"].startswith("sha256:")
        # A client ends its build with the error that it got. What was known of it stays known.
        failed = control.Status(Code.INVALID_ARGUMENT, "as before", caught.value.facts["details"])
        await build.give_back(error=failed)
        with pytest.raises(InvalidInput, match="as before") as again:
            await solved
        assert again.value.facts["details"] == failed.details
        assert not isinstance(again.value, NotFound)

    drive(daemon, use, dockerfile=b"FROM scratch\nCOPY nothing \\\n  /\n")
