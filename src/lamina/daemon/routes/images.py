"""The endpoints of `/images`: list, inspect, history, tag, remove, prune, pull, push, import, save, load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from aiohttp import web

from lamina.api.query import parse_json
from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, empty, json_reply, reply
from lamina.daemon.http.decoding import auth_header, without_prompts
from lamina.daemon.http.direct import bytes_response
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import Sink, progress_response
from lamina.daemon.http.upload import receiving
from lamina.daemon.render import image as render
from lamina.daemon.render.kept_items import KeptItems
from lamina.daemon.render.manifest import summary
from lamina.engine.registries import Registries
from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.indexes import ListedManifest
from lamina.images.remove import Deleted
from lamina.progress import Message, Output, Report, Status


class ImageRoutes:
    """The endpoints of images, pulled and pushed ones too."""

    def __init__(self, images: Images, registries: Registries, root: Path) -> None:
        """`root` is the engine's data root."""
        self._images = images
        self._listed = KeptItems(render.listed)
        self._registries = registries
        self._root = root

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/images/json", self.list),
            Route("GET", "/images/get", self.save, Kind.WORK),
            Route("POST", "/images/load", self.load),
            Route("POST", "/images/create", self.create),
            Route("POST", "/images/prune", self.prune),
            Route("GET", "/images/{name*}/get", self.save, Kind.WORK),
            Route("GET", "/images/{name*}/history", self.history),
            Route("GET", "/images/{name*}/json", self.inspect),
            Route("GET", "/images/{name*}/attestations", self.attestations),
            Route("GET", "/images/{name*}/removal", self.removal_plan),
            Route("POST", "/images/{name*}/push", self.push),
            Route("POST", "/images/{name*}/tag", self.tag),
            Route("DELETE", "/images/{name*}", self.remove),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        if call.version < (1, 25) and (name := call.text("filter")):
            filters.setdefault("reference", []).append(name)
        shared_size = call.version >= (1, 42) and call.flag("shared-size")
        manifests = call.version >= (1, 47) and call.flag("manifests")

        def work() -> bytes:
            images = self._images.list(all=call.flag("all"), filters=filters, shared_size=shared_size)
            if manifests:
                return dump([render.listed(item, call.version) | self._manifests(item.image) for item in images])
            return self._listed.array(images, call.version)

        return json_reply(await call.run(work))

    async def inspect(self, call: Call) -> web.StreamResponse:
        manifests = call.version >= (1, 48) and call.flag("manifests")
        only = platform(call) if call.version >= (1, 49) else ""
        if manifests and only:
            raise InvalidInput("conflicting options: manifests and platform options cannot both be set")

        def work() -> dict[str, Any]:
            image = self._images.get(call.places["name"], platform=only)
            document = render.inspect(image, self._root, call.version, chosen=bool(only))
            return document | (self._manifests(image, call.places["name"]) if manifests else {})

        return reply(await call.run(work))

    def _manifests(self, image: Image, name: str = "") -> dict[str, Any]:
        """Return `Manifests`: of the image, or of all that its name, or its first one, means."""
        names = [name] if name else [str(tag) for tag in image.references[:1]]
        index = next((found for each in names if (found := self._images.indexes.find(each))), None)
        if index is not None:
            listed = self._images.indexes.listed(index)
        else:
            manifest = self._images.manifest(image)
            listed = [ListedManifest(replace(manifest.descriptor, platform=image.platform), manifest, image)]
        return {"Manifests": [summary(each, self._containers(each.image)) for each in listed]}

    def _containers(self, image: Image | None) -> Sequence[str]:
        return [user.container_id for user in self._images.users(image.id)] if image else []

    async def history(self, call: Call) -> web.StreamResponse:
        only = platform(call) if call.version >= (1, 48) else ""

        def work() -> list[dict[str, Any]]:
            return [render.history_step(step) for step in self._images.history(call.places["name"], platform=only)]

        return reply(await call.run(work))

    async def attestations(self, call: Call) -> web.StreamResponse:
        """Return the statements about an image, with their JSON where `statement` asks for it."""
        platforms = call.texts("platform")
        if len(platforms) > 1:
            raise InvalidInput("only one platform value is currently supported")
        only, types, read = platform(call), call.texts("type"), call.flag("statement")

        def work() -> Sequence[dict[str, Any]]:
            found = self._images.attestations(call.places["name"], platform=only, types=types, statements=read)
            return [render.statement(each) for each in found]

        return reply(await call.run(work))

    async def tag(self, call: Call) -> web.StreamResponse:
        reference = named(call.text("repo"), call.text("tag"))
        if reference is None:
            raise InvalidInput("invalid reference format: repository name is missing")
        await call.run(self._images.tag, call.places["name"], str(reference))
        return empty(201)

    async def remove(self, call: Call) -> web.StreamResponse:
        name, force, prune = call.places["name"], call.flag("force"), not call.flag("noprune")
        platforms = [_platform(text) for text in call.texts("platforms")] if call.version >= (1, 50) else []

        removed = await call.run(self._images.remove, name, force=force, prune=prune, platforms=platforms)
        return reply([render.removal(item) for item in removed])

    async def prune(self, call: Call) -> web.StreamResponse:
        pruned = await call.run_cancellable(self._images.prune, call.filters())
        gone = [item for item in pruned.removed if not isinstance(item, Deleted) or item.is_image]
        deleted = [render.removal(item) for item in gone]
        return reply({"ImagesDeleted": deleted or None, "SpaceReclaimed": pruned.reclaimed})

    async def removal_plan(self, call: Call) -> web.StreamResponse:
        """Tell what a removal would do, in the form of a prune's answer. This endpoint is lamina's own."""
        name, force, prune = call.places["name"], call.flag("force"), not call.flag("noprune")
        plan = await call.run(self._images.removal_plan, name, force=force, prune=prune)
        removed = [render.removal(item) for item in plan.removed]
        return reply({"ImagesDeleted": removed, "SpaceReclaimed": plan.reclaimed})

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
                self._registries.pull(
                    str(reference), credentials=credentials, report=report, cancellation=cancellation, **options
                )

        return await progress_response(call, work)

    async def _import(self, call: Call) -> web.StreamResponse:
        source = call.text("fromSrc")
        reference = str(named(call.text("repo"), call.text("tag")) or "")
        options: dict[str, Any] = {"changes": call.texts("changes"), "platform": platform(call)}
        if call.text("message"):
            options["message"] = call.text("message")
        if source != "-":
            fetch = self._registries.import_url
            return await progress_response(
                call,
                lambda report, token: fetch(source, reference, report=report, cancellation=token, **options),
                done=_told_id,
            )
        take = self._images.import_tar
        async with receiving(call.request.content) as upload:
            return await progress_response(
                call,
                lambda report, token: take(cast(IO[bytes], upload), reference, cancellation=token, **options),
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
            lambda report, token: self._registries.push(
                str(reference),
                credentials=credentials,
                platform=platform(call),
                all_tags=whole,
                report=report,
                cancellation=token,
            ),
        )

    async def save(self, call: Call) -> web.StreamResponse:
        names, platform_name = (call.places["name"],) if "name" in call.places else call.texts("names"), platform(call)

        def work(sink: Sink, cancellation: Cancellation) -> None:
            with self._images.archive(names, platform=platform_name) as pieces:
                sink.put(pieces)

        return await bytes_response(call, work, "application/x-tar")

    async def load(self, call: Call) -> web.StreamResponse:
        platform_name, quiet = platform(call), call.flag("quiet")

        async with receiving(call.request.content) as upload:

            def work(report: Report, cancellation: Cancellation) -> None:
                filtered = _only_output(report) if quiet else report
                archive = cast(IO[bytes], upload)
                self._images.load(archive, platform=platform_name, report=filtered, cancellation=cancellation)

            # docker-py learns from the lines only what went wrong.
            return await progress_response(call, work, always_ok=True)


def named(repository: str, tag: str) -> Reference | None:
    """Return the reference of two parameters; `tag` may be a digest. None without a repository. Raise InvalidInput."""
    if not repository:
        return None
    reference = Reference.parse(repository)
    if not tag:
        return reference
    if ":" in tag:
        return reference.with_digest(Digest.parse(tag))
    return reference.with_tag(tag)


def platform(call: Call) -> str:
    """Return the parameter `platform`: `linux/arm64`, or from 1.48 on in some places an object. Raise InvalidInput."""
    return _platform(call.text("platform"))


def _platform(text: str) -> str:
    if text.startswith("{"):
        members = parse_json("platform", text, dict[str, str], {})
        text = "/".join(filter(None, (members.get("os"), members.get("architecture"), members.get("variant"))))
    return str(Platform.parse(text)) if text else ""


def _told_id(image: Image) -> list[Message]:
    return [Status(str(image.id))]


def _only_output(report: Report) -> Report:
    def told(message: Message) -> None:
        if isinstance(message, Output):
            report(message)

    return told
