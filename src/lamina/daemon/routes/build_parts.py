"""What the body of `POST /build` brings: the context, and in a body of parts also secrets and named contexts.

Docker's clients send the context as the body. With `Content-Type: multipart/form-data`, an extension of lamina's, each
part has a name: `secret:ID` is a secret, `context:NAME` the tar of a named context, and `context`, at last, what the
body is without parts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import BodyPartReader

from lamina.builder.context.source import BuildContext
from lamina.daemon.http.call import Call
from lamina.daemon.http.upload import PIECE, Upload, receiving
from lamina.engine.build_inputs import MOST_SECRET, CallerInputs, secret_too_large
from lamina.engine.builds import Builds
from lamina.errors import InvalidInput, TooLarge
from lamina.linux.processes import Caller

_MOST_PARTS = 100
_FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class BuildParts:
    """The parts of a request: secrets by ID, named contexts, and the context itself, None where nothing was sent."""

    upload: Upload | None
    secrets: dict[str, bytes] = field(default_factory=dict)
    contexts: dict[str, BuildContext] = field(default_factory=dict)

    def inputs(self, caller: Caller | None) -> CallerInputs:
        """Return what the build is given by the process at the other end of a unix socket, None over TCP."""
        return CallerInputs(self.secrets, self.contexts, caller, local=caller is not None)


@asynccontextmanager
async def receiving_parts(call: Call, builds: Builds) -> AsyncIterator[BuildParts]:
    """Receive the parts. The context is received while the block runs; named contexts are closed at its end.

    Raise InvalidInput, TooLarge.
    """
    request = call.request
    async with AsyncExitStack() as closing:
        if request.content_type != _FORM:
            body = request.content if request.body_exists else None
            yield BuildParts(await closing.enter_async_context(receiving(body)) if body is not None else None)
            return
        parts = BuildParts(None)
        async for name, part in _parts(call):
            kind, _, id = name.partition(":")
            if name == "context":
                upload = await closing.enter_async_context(receiving(part))
                parts = BuildParts(upload, parts.secrets, parts.contexts)
                break
            if not id or kind not in ("secret", "context") or id in parts.secrets or id in parts.contexts:
                raise InvalidInput(f"unexpected part {name!r} of a build", advice="See docs/build-api.md.")
            if kind == "secret":
                parts.secrets[id] = await _whole(part, id)
            else:
                async with receiving(part) as upload:
                    context = await call.run_cancellable(partial(builds.files_of, upload))
                closing.callback(context.close)
                parts.contexts[id] = context
        yield parts


class _Part:
    """A part of a body."""

    def __init__(self, part: BodyPartReader) -> None:
        self._part = part

    async def readany(self) -> bytes:
        return bytes(await self._part.read_chunk(PIECE))


async def _parts(call: Call) -> AsyncIterator[tuple[str, _Part]]:
    try:
        reader = await call.request.multipart()
        for _ in range(_MOST_PARTS):
            part = await reader.next()
            if part is None:
                return
            if not isinstance(part, BodyPartReader) or not part.name:
                raise InvalidInput("a part of a build has no name, or parts of its own")
            yield part.name, _Part(part)
    except ValueError as error:
        raise InvalidInput(f"the parts of the body cannot be read: {error}") from error
    raise TooLarge(f"a build has more than {_MOST_PARTS} parts", limit=_MOST_PARTS)


async def _whole(part: _Part, id: str) -> bytes:
    content = bytearray()
    while piece := await part.readany():
        content += piece
        if len(content) > MOST_SECRET:
            raise secret_too_large(id)
    return bytes(content)
