"""Builds over the classic API: the request goes out, progress comes back, and it ends with an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from lamina.api.build import BuildRequest
from lamina.client.context import BuildContext
from lamina.client.images import Images
from lamina.client.messages import Auth
from lamina.errors import CommandFailed
from lamina.progress import Aux, Output, Report


def run_build(
    images: Images,
    context: BuildContext | None,
    request: BuildRequest,
    *,
    report: Report,
    auths: Callable[[], Mapping[str, Auth]] | None = None,
) -> str:
    """Build, and return the new image's ID. Without a context the request names a `remote` one.

    Raise CommandFailed when a step fails, with its exit code in the facts.
    """
    chunks, headers = (context.chunks, context.headers) if context else (None, {})
    if context:
        request = replace(request, dockerfile=context.dockerfile)
    query = request.to_query()
    image = ""
    for message in images.build(chunks, query, auths=auths() if auths else None, headers=headers):
        if isinstance(message, Aux) and "ID" in message.value:
            image = str(message.value["ID"])
        elif isinstance(message, Output) and message.text.startswith("sha256:"):
            image = message.text.strip()  # all that a quiet build says
        report(message)
    if not image:
        raise CommandFailed("the build ended without an image", exit_code=1)
    return image
