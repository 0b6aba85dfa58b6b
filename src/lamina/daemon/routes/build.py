"""`/build`: the classic builder, its cache, and what BuildKit's endpoints answer here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from lamina.build.context.source import BuildContext, from_archive, from_directory
from lamina.build.options import BuildOptions, BuildResult
from lamina.daemon.http.auth import config_header
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Telling, progress_response
from lamina.daemon.http.upload import Upload, receiving
from lamina.daemon.routes.images import platform
from lamina.engine import Engine
from lamina.errors import Forbidden, InvalidInput, Unsupported
from lamina.formats.reference import Reference
from lamina.layers.tar.source import Readable
from lamina.progress import Report
from lamina.runtime.spec import Resources, Rlimit

# A client on the same machine may name the directory instead of sending it. The path is percent-encoded UTF-8; a body,
# where there is one, is the Dockerfile to use.
CONTEXT_HEADER = "X-Lamina-Context"


class Ulimit(msgspec.Struct, rename="pascal"):
    """A limit of setrlimit(2) by its name without RLIMIT_."""

    name: str
    soft: int = 0
    hard: int = 0


class BuildRoutes:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/build", self.build),
            Route("POST", "/build/prune", self.prune),
            Route("POST", "/build/cancel", self.cancel),
            Route("POST", "/session", self.buildkit),
            Route("POST", "/grpc", self.buildkit),
        ]

    async def build(self, call: Call) -> web.StreamResponse:
        options = build_options(call)
        credentials = config_header(call.request.headers.get("X-Registry-Config", ""))

        async with receiving(call) as upload:
            body_opener = self._opener(call, upload)

            def work(telling: Telling) -> BuildResult:
                with body_opener(telling) as context:
                    return self._engine.build(
                        context, options, credentials=credentials, report=telling, cancelled=lambda: telling.gone
                    )

            return await progress_response(call, work)

    def _opener(self, call: Call, upload: Upload) -> Any:
        """How the worker thread gets at the context: from the caller's directory, a URL, or the body."""
        dockerfile, remote = call.text("dockerfile"), call.text("remote")
        named = call.request.headers.get(CONTEXT_HEADER)
        if named is not None:
            caller = call.caller()
            if caller is None:
                raise Forbidden(f"{CONTEXT_HEADER} works over a unix socket only")
            root = Path(os.fsdecode(unquote_to_bytes(named)))
            if not root.is_absolute():
                raise InvalidInput(f"{CONTEXT_HEADER}: {named!r} is not an absolute path")
            has_body = call.request.body_exists

            def open_directory(report: Report) -> BuildContext:
                raw = upload.read() if has_body else None
                return from_directory(root, dockerfile, raw_dockerfile=raw or None, caller=caller)

            return open_directory
        if remote:
            return lambda report: self._engine.remote_context(remote, dockerfile)
        return lambda report: from_archive(cast(Readable, upload), self._engine.temporary, dockerfile)

    async def prune(self, call: Call) -> web.StreamResponse:
        """`all` takes what only saves work too. Steps go with their images, and with no other filter."""
        pruned = await call.run(self._engine.prune_build_cache, all=call.flag("all"))
        names = [str(digest) for digest in pruned.digests]
        return reply({"CachesDeleted": names or None, "SpaceReclaimed": pruned.bytes})

    async def cancel(self, call: Call) -> web.StreamResponse:
        """Builds end when their client goes away; ids are BuildKit's."""
        if not call.text("id"):
            raise InvalidInput("build ID not provided")
        return empty()

    async def buildkit(self, call: Call) -> web.StreamResponse:
        raise Unsupported(
            "this daemon has the classic builder and does not speak BuildKit's session protocol yet",
            advice="Build with DOCKER_BUILDKIT=0",
        )


def build_options(call: Call) -> BuildOptions:
    """The query parameters of a build. Raises InvalidInput, Unsupported."""
    if call.text("version", "1") == "2":
        raise Unsupported(
            "this daemon does not build with BuildKit yet", advice="Build with DOCKER_BUILDKIT=0 (version=1)"
        )
    if call.text("version", "1") not in ("", "1"):
        raise InvalidInput(f'invalid version "{call.text("version")}"')
    if call.text("isolation") not in ("", "default"):
        raise InvalidInput(f'Unsupported isolation: "{call.text("isolation")}"', advice="Leave it out on Linux.")
    if call.texts("securityopt"):
        raise InvalidInput("security options are not supported on linux")
    ulimits = call.json_parameter("ulimits", list[Ulimit], [])
    hosts = [host for text in call.texts("extrahosts") for host in text.split(",") if host]
    return BuildOptions(
        tags=tuple(Reference.parse(text).with_default_tag() for text in call.texts("t") if text),
        target=call.text("target"),
        build_args=call.json_parameter("buildargs", dict[str, str | None], {}),
        labels=call.json_parameter("labels", dict[str, str], {}),
        no_cache=call.flag("nocache"),
        pull=call.flag("pull"),
        squash=call.flag("squash"),
        remove=call.flag("rm", True) if call.text("rm") else True,
        force_remove=call.flag("forcerm"),
        quiet=call.flag("q"),
        platform=platform(call),
        cache_from=tuple(call.json_parameter("cachefrom", list[str], [])),
        network=call.text("networkmode") or "default",
        extra_hosts=tuple(hosts),
        resources=_resources(call),
        rlimits=tuple(Rlimit(f"RLIMIT_{item.name.upper()}", item.soft, item.hard) for item in ulimits),
        cgroup_parent=call.text("cgroupparent"),
        shm_size=call.number("shmsize") or 64 << 20,
    )


def _resources(call: Call) -> Resources:
    return Resources(
        memory=call.number("memory") or None,
        memory_swap=call.number("memswap") or None,
        cpu_shares=call.number("cpushares") or None,
        cpu_period=call.number("cpuperiod") or None,
        cpu_quota=call.number("cpuquota") or None,
        cpuset_cpus=call.text("cpusetcpus") or None,
        cpuset_mems=call.text("cpusetmems") or None,
    )
