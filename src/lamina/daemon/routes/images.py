"""`/images`: list, inspect, history, tag, remove, prune, pull, push, import, save, load, search."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from aiohttp import web

from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.auth import auth_header, without_prompts
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.filters import flag
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Sink, bytes_response, progress_response
from lamina.daemon.http.upload import receiving
from lamina.daemon.render import image as render
from lamina.distribution import Found
from lamina.engine import Engine
from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.labelfilters import Filters
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.remove import Deleted
from lamina.progress import Message, Output, Report, Status

_FOUND, _MOST_FOUND = 25, 100  # results of a search


class ImageRoutes:
    """The handlers over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/images/json", self.list),
            Route("GET", "/images/search", self.search, Kind.WORK),
            Route("GET", "/images/get", self.save, Kind.WORK),
            Route("POST", "/images/load", self.load),
            Route("POST", "/images/create", self.create),
            Route("POST", "/images/prune", self.prune),
            Route("GET", "/images/{name*}/get", self.save, Kind.WORK),
            Route("GET", "/images/{name*}/history", self.history),
            Route("GET", "/images/{name*}/json", self.inspect),
            Route("POST", "/images/{name*}/push", self.push),
            Route("POST", "/images/{name*}/tag", self.tag),
            Route("DELETE", "/images/{name*}", self.remove),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        if name := call.text("filter"):  # before 1.25
            filters.setdefault("reference", []).append(name)
        found = await call.run(
            self._engine.images.list,
            all_images=call.flag("all"),
            filters=filters,
            shared_size=call.flag("shared-size"),
        )
        return reply([render.listed(item, call.version) for item in found])

    async def inspect(self, call: Call) -> web.StreamResponse:
        def work() -> dict[str, Any]:
            image = self._engine.images.get(call.places["name"])
            return render.inspect(image, self._engine.root, call.version)

        return reply(await call.run(work))

    async def history(self, call: Call) -> web.StreamResponse:
        steps = await call.run(self._engine.images.history, call.places["name"])
        return reply([render.history_step(step) for step in steps])

    async def tag(self, call: Call) -> web.StreamResponse:
        reference = named(call.text("repo"), call.text("tag"))
        if reference is None:
            raise InvalidInput("invalid reference format: repository name is missing")
        await call.run(self._engine.images.tag, call.places["name"], reference)
        return empty(201)

    async def remove(self, call: Call) -> web.StreamResponse:
        name, force, prune = call.places["name"], call.flag("force"), not call.flag("noprune")
        removed = await call.run(self._engine.images.remove, name, force=force, prune=prune)
        return reply([render.removal(item) for item in removed])

    async def prune(self, call: Call) -> web.StreamResponse:
        pruned = await call.run_cancellable(self._engine.images.prune, call.filters())
        gone = [item for item in pruned.removed if not isinstance(item, Deleted) or item.is_image]
        deleted = [render.removal(item) for item in gone]
        return reply({"ImagesDeleted": deleted or None, "SpaceReclaimed": pruned.reclaimed})

    async def create(self, call: Call) -> web.StreamResponse:
        """Pull, or import: Docker has one endpoint for both."""
        if call.text("fromImage"):
            return await self._pull(call)
        if not call.text("fromSrc"):
            raise InvalidInput("neither fromImage nor fromSrc was given")
        return await self._import(call)

    async def _pull(self, call: Call) -> web.StreamResponse:
        name, tag = call.text("fromImage"), call.text("tag")
        reference = named(name, tag) or Reference.parse(name)
        whole = reference.tag is None and reference.digest is None
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        options: dict[str, Any] = {"platform": platform(call), "all_tags": whole}
        options["all_platforms"] = call.flag("allPlatforms")  # lamina's own; Docker's clients do not send it

        def work(report: Report, cancellation: Cancellation) -> None:
            with without_prompts():
                self._engine.pull(
                    reference, credentials=credentials, report=report, cancellation=cancellation, **options
                )

        return await progress_response(call, work)

    async def _import(self, call: Call) -> web.StreamResponse:
        source = call.text("fromSrc")
        reference = named(call.text("repo"), call.text("tag"))
        options: dict[str, Any] = {"changes": call.texts("changes"), "platform": platform(call)}
        if call.text("message"):
            options["message"] = call.text("message")
        if source != "-":
            fetch = self._engine.import_url
            return await progress_response(
                call,
                lambda report, token: fetch(source, reference, report=report, cancellation=token, **options),
                done=_told_id,
            )
        take = self._engine.images.import_tar
        async with receiving(call) as upload:
            return await progress_response(
                call,
                lambda report, token: take(cast(BinaryIO, upload), reference, cancellation=token, **options),
                done=_told_id,
            )

    async def push(self, call: Call) -> web.StreamResponse:
        header = call.request.headers.get("X-Registry-Auth", "")
        credentials = auth_header(header) if header else auth_header((await call.body()).decode(errors="replace"))
        reference = named(call.places["name"], call.text("tag"))
        if reference is None:
            raise InvalidInput("invalid reference format")
        whole = reference.tag is None
        return await progress_response(
            call,
            lambda report, token: self._engine.push(
                reference, credentials=credentials, all_tags=whole, report=report, cancellation=token
            ),
        )

    async def save(self, call: Call) -> web.StreamResponse:
        names = (call.places["name"],) if "name" in call.places else call.texts("names")

        def work(sink: Sink, cancellation: Cancellation) -> None:
            with self._engine.images.archive(names) as pieces:
                sink.put(pieces)

        return await bytes_response(call, work, "application/x-tar")

    async def load(self, call: Call) -> web.StreamResponse:
        wanted, quiet = platform(call), call.flag("quiet")

        async with receiving(call) as upload:

            def work(report: Report, cancellation: Cancellation) -> None:
                told = _only_output(report) if quiet else report
                archive = cast(BinaryIO, upload)
                self._engine.images.load(archive, platform=wanted, report=told, cancellation=cancellation)

            return await progress_response(call, work)

    async def search(self, call: Call) -> web.StreamResponse:
        term = call.text("term")
        filters = call.filters()
        limit = call.number("limit")
        limit = _FOUND if limit is None else limit
        if not 1 <= limit <= _MOST_FOUND:
            raise InvalidInput(f"Limit {limit} is outside the range of [1, {_MOST_FOUND}]")
        credentials = auth_header(call.request.headers.get("X-Registry-Auth", ""))
        with without_prompts():
            found = await call.run(self._engine.search, term, limit=limit, credentials=credentials)
        return reply([_found(item) for item in found if _wanted(item, filters)])


def named(repository: str, tag: str) -> Reference | None:
    """The reference of two parameters; `tag` may be a digest. None without a repository. Raises InvalidInput."""
    if not repository:
        return None
    reference = Reference.parse(repository)
    if not tag:
        return reference
    if ":" in tag:
        return reference.with_digest(Digest.parse(tag))
    return reference.with_tag(tag)


def platform(call: Call) -> Platform | None:
    """The parameter `platform`: `linux/arm64`, or from 1.48 on in some places an object. Raises InvalidInput."""
    text = call.text("platform")
    if text.startswith("{"):
        found = call.json_parameter("platform", dict[str, str], {})
        text = "/".join(filter(None, (found.get("os"), found.get("architecture"), found.get("variant"))))
    return Platform.parse(text) if text else None


def _told_id(image: Image) -> list[Message]:
    return [Status(str(image.id))]


def _only_output(report: Report) -> Report:
    def told(message: Message) -> None:
        if isinstance(message, Output):
            report(message)

    return told


def _found(item: Found) -> dict[str, Any]:
    return {
        "star_count": item.stars,
        "is_official": item.official,
        "name": item.name,
        "is_automated": item.automated,
        "description": item.description,
    }


def _wanted(item: Found, filters: Filters) -> bool:
    stars = max((int(text) for text in filters.get("stars", ()) if text.isdecimal()), default=0)
    if "is-official" in filters and item.official != flag(filters, "is-official", False):
        return False
    if "is-automated" in filters and item.automated != flag(filters, "is-automated", False):
        return False
    return item.stars >= stars
