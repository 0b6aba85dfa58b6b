"""Builds by a daemon over the classic API: the request goes out, progress comes back, and it ends with an image."""

from __future__ import annotations

import os
from types import MappingProxyType

from lamina.cancellation import NEVER, Cancellation
from lamina.client.build_messages import BuildMessages
from lamina.client.context import BuildContext
from lamina.client.documents import Pruned
from lamina.client.image_documents import BuildResult, Image
from lamina.client.images import Images
from lamina.client.messages import auth_of, encode_auth, messages
from lamina.client.references import image_path
from lamina.client.sending import TAR
from lamina.client.transport import encode_name
from lamina.errors import CommandFailed, InvalidInput, NotFound, Unsupported
from lamina.formats.text import several_texts
from lamina.light import TYPE_CHECKING, NamedTuple, TypeVar
from lamina.progress import Report, ignore
from lamina.types import builds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO, Any

    from lamina.api.build import BuildRequest
    from lamina.api.build_cache import CacheObject
    from lamina.api.build_calls import CheckResult, OutlineResult, TargetsResult
    from lamina.api.build_history import BuildRecord
    from lamina.api.build_steps import BuildStep
    from lamina.api.memory_context import MemoryContext
    from lamina.client.transport import Transport
    from lamina.credentials import Credentials
    from lamina.formats.matching import Filters
    from lamina.types.failed_step import BuildSide

    Sent = tuple[Iterator[bytes] | None, dict[str, str | list[str]], dict[str, str]]


class SentBuild(NamedTuple):
    """The ID of the image that a build made, what became of its steps, and what its outputs tell."""

    image: str
    steps: tuple[BuildStep, ...]
    metadata: Mapping[str, str]


R = TypeVar("R")


class Builds(builds.Builds):
    """Builds by a daemon. `is_lamina` tells whether it is lamina's.

    `reads_in_place` tells whether it reads a directory by itself: lamina's does, over a unix socket.
    """

    def __init__(
        self,
        transport: Transport,
        reads_in_place: Callable[[], bool],
        is_lamina: Callable[[], bool],
        side: BuildSide,
    ) -> None:
        """With the rooms of `side` one works with a step that failed."""
        self._transport = transport
        self._side = side
        self._reads_in_place = reads_in_place
        self._is_lamina = is_lamina

    def build(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        from lamina.api.build import BuildRequest

        request, logins = request or BuildRequest(), credentials or {}
        more: dict[str, Any] = {"secrets": secrets, "report": report, "cancellation": cancellation}
        try:
            sent = self.send(self._context(context, request), request, credentials=logins, **more)
        except CommandFailed as error:
            if "image" not in error.facts:
                raise
            from functools import partial

            from lamina.types.failed_step import StepFailed

            build = partial(self.build, context, request, credentials=logins, **more)
            raise StepFailed(error, self._side, request.network, build) from error
        return BuildResult(Images(self._transport).get(sent.image), sent.steps, sent.metadata)

    def send(
        self,
        context: BuildContext | None,
        request: BuildRequest,
        *,
        credentials: Mapping[str, Credentials],
        secrets: Mapping[str, bytes] | None = None,
        report: Report,
        cancellation: Cancellation = NEVER,
    ) -> SentBuild:
        """Build a context that is ready to be sent.

        Raise CommandFailed when a step fails, with its exit code in the facts, and Unsupported for what the daemon
        would ignore.
        """
        from msgspec.structs import replace

        from lamina.api.build import outputs_of, with_absolute_folders, without_destinations
        from lamina.linux.output_files import OutputFiles

        self._check_extensions(request, secrets or {})
        outputs = outputs_of(request)
        content = None
        if any(option.type == "local" for option in (*request.cache_exports, *request.cache_imports)):
            from lamina.client.build_content import CacheFolders
            from lamina.linux.layout_folder import with_digests

            request = replace(request, cache_imports=with_digests(request.cache_imports, report))
            content = CacheFolders(request, self._transport, cancellation).answer
        if request.outputs:
            request = replace(request, outputs=without_destinations(outputs))
        request = replace(request, contexts=with_absolute_folders(request.contexts))
        folders = _folders(request.contexts)
        folders = {} if folders and self._reads_in_place() else folders
        chunks, query, headers = _sent(context, request, credentials, secrets or {}, folders)
        lines = self._transport.lines("POST", "/build", query, body=chunks, headers=headers, cancellation=cancellation)
        with OutputFiles(outputs, _unpack) as files:
            heard = BuildMessages(files.take, content)
            for message in messages(lines):
                if heard.is_text(message):
                    report(message)
        if not heard.image:
            raise CommandFailed("the build ended without an image", exit_code=1)
        return SentBuild(heard.image, tuple(heard.steps), heard.metadata)

    def _check_extensions(self, request: BuildRequest, secrets: Mapping[str, bytes]) -> None:
        """Raise Unsupported for what another daemon than lamina's would ignore."""
        extensions = (request.cache_exports, request.cache_imports, request.contexts, request.agents, secrets)
        if any(extensions) and not self._is_lamina():
            raise Unsupported(
                "this daemon builds over the classic API, which knows no --cache-to, no types of --cache-from, no"
                " --secret, no --ssh and no --build-context",
                advice="Ask lamina's daemon, or use docker buildx build.",
            )

    def check(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> CheckResult:
        from lamina.api.build_calls import CheckResult

        return self._ask("check", CheckResult, context, request, credentials or {}, cancellation)

    def outline(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> OutlineResult:
        from lamina.api.build_calls import OutlineResult

        return self._ask("outline", OutlineResult, context, request, credentials or {}, cancellation)

    def targets(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> TargetsResult:
        from lamina.api.build_calls import TargetsResult

        return self._ask("targets", TargetsResult, context, request, credentials or {}, cancellation)

    def _ask(
        self,
        call: str,
        kind: type[R],
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None,
        credentials: Mapping[str, Credentials],
        cancellation: Cancellation,
    ) -> R:
        from lamina.api.build import BuildRequest

        request = request or BuildRequest()
        return self.answer(call, kind, self._context(context, request), request, credentials, cancellation)

    def answer(
        self,
        call: str,
        kind: type[R],
        context: BuildContext | None,
        request: BuildRequest,
        credentials: Mapping[str, Credentials],
        cancellation: Cancellation = NEVER,
    ) -> R:
        """Send a context, and return the daemon's answer to `call`: check, outline or targets.

        Raise Unsupported for another daemon than lamina's: it would build.
        """
        from msgspec import convert
        from msgspec.structs import replace

        if not self._is_lamina():
            message = "this daemon builds over the classic API, and does nothing else with a Dockerfile"
            raise Unsupported(message, advice="Ask lamina's daemon, or use docker buildx build --call.")
        chunks, query, headers = _sent(context, replace(request, call=call), credentials)
        document = self._transport.json(
            "POST", "/build", query, body=chunks, headers=headers, cancellation=cancellation
        )
        return convert(document, kind)

    def usage(self, filters: Filters | None = None) -> tuple[CacheObject, ...]:
        from lamina.api.build_cache import cache_object_of, check_filters, matches

        check_filters(filters or {})
        usage = self._transport.json("GET", "/system/df", {"type": "build-cache", "verbose": True})
        documents = usage.get("BuildCache") or (usage.get("BuildCacheUsage") or {}).get("Items") or ()
        return tuple(each for each in map(cache_object_of, documents) if matches(each, filters or {}))

    def prune(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        reserved: int = 0,
        max_used: int = 0,
        min_free: int = 0,
        cancellation: Cancellation = NEVER,
    ) -> Pruned:
        query = {
            "filters": filters or None,
            "all": all,
            "reserved-space": reserved or None,
            "max-used-space": max_used or None,
            "min-free-space": min_free or None,
        }
        return Pruned(self._transport.json("POST", "/build/prune", query, cancellation=cancellation) or {})

    def squash(
        self,
        reference: str,
        how: str = "all",
        *,
        base: str = "",
        tags: Sequence[str] = (),
        cancellation: Cancellation = NEVER,
    ) -> Image:
        query = {"how": how, "base": base or None, "t": list(several_texts("tags", tags))}
        path = f"{image_path(reference)}/squash"
        answer = self._transport.json("POST", path, query, cancellation=cancellation)
        return Images(self._transport).get(answer["Id"])

    def export_mount(self, name: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        self._transport.call("GET", "/build/mounts", {"name": name}, cancellation=cancellation).pour(sink)

    def import_mount(self, name: str, source: IO[bytes], *, cancellation: Cancellation = NEVER) -> CacheObject:
        from lamina.api.build_cache import cache_object_of

        query = {"name": name}
        document = self._transport.json(
            "PUT", "/build/mounts", query, body=source, headers=TAR, cancellation=cancellation
        )
        return cache_object_of(document)

    def remove_mount(self, name: str) -> None:
        self._transport.json("DELETE", "/build/mounts", {"name": name})

    def history(self) -> tuple[BuildRecord, ...]:
        from lamina.api.build_history import BuildRecord

        return tuple(BuildRecord.of(each) for each in self._transport.json("GET", "/build/history"))

    def record(self, ref: str) -> BuildRecord:
        from lamina.api.build_history import BuildRecord

        return BuildRecord.of(self._transport.json("GET", f"/build/history/{encode_name(ref)}"))

    def remove_record(self, ref: str) -> None:
        self._transport.json("DELETE", f"/build/history/{encode_name(ref)}")

    def keep_record(self, record: BuildRecord) -> BuildRecord:
        self._transport.json("POST", "/build/history", json_body=record.to_json())
        return record

    def _context(
        self, context: str | os.PathLike[str] | MemoryContext | None, request: BuildRequest
    ) -> BuildContext | None:
        from lamina.client.context import in_place_context
        from lamina.client.context_tar import directory_context

        if context is None:
            if not request.remote:
                raise InvalidInput("there is nothing to build", advice="Give a context, or an address in `remote`")
            return None
        if isinstance(context, str | os.PathLike):
            make = in_place_context if self._reads_in_place() else directory_context
            return make(os.fspath(context), request.dockerfile)
        return BuildContext(iter([context.to_tar()]), request.dockerfile or "Dockerfile")


def _folders(contexts: Mapping[str, str]) -> dict[str, str]:
    """Return the named contexts that are folders here. Raise NotFound for one that is not there."""
    from lamina.api.build import is_address

    folders = {name: path for name, path in contexts.items() if not is_address(path)}
    for name, path in folders.items():
        if not os.path.isdir(path):
            raise NotFound(f"the build context {name} is no directory: {path}")
    return folders


def _sent(
    context: BuildContext | None,
    request: BuildRequest,
    credentials: Mapping[str, Credentials],
    secrets: Mapping[str, bytes] = MappingProxyType({}),
    folders: Mapping[str, str] = MappingProxyType({}),
) -> Sent:
    """Return body, query and headers of a request. `folders` are named contexts that go with it."""
    from msgspec.structs import replace

    auths = {name: auth_of(name, login) for name, login in credentials.items()}
    headers = {**TAR, "X-Registry-Config": encode_auth(auths), **(context.headers if context else {})}
    if context:
        request = replace(request, dockerfile=context.dockerfile)
    chunks = context.chunks if context else None
    if secrets or folders:
        from lamina.client.build_form import build_form
        from lamina.client.context_tar import folder_tar

        addresses = {name: text for name, text in request.contexts.items() if name not in folders}
        request = replace(request, contexts=addresses)
        tars = {name: folder_tar(path) for name, path in folders.items()}
        chunks, headers["Content-Type"] = build_form(chunks, secrets, tars)
    return chunks, request.to_query(), headers


def _unpack(tar: Path, folder: int) -> None:
    from lamina.layers.unpack import unpack_as_own

    unpack_as_own(tar, folder)
