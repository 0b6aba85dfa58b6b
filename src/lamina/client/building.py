"""Builds over the classic API: what `POST /build` takes, and the image it ends with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lamina.client.context import BuildContext
from lamina.client.images import Images
from lamina.client.messages import Auth
from lamina.errors import CommandFailed
from lamina.progress import Aux, Output, Report

Options = Mapping[str, Any]


def build_query(
    *,
    tags: Sequence[str] = (),
    dockerfile: str = "",
    build_args: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str] | None = None,
    target: str = "",
    platform: str | None = None,
    network: str | None = None,
    cache_from: Sequence[str] = (),
    no_cache: bool = False,
    pull: bool = False,
    squash: bool = False,
    remove: bool = True,
    force_remove: bool = False,
    quiet: bool = False,
    extra_hosts: Sequence[str] = (),
    limits: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The query parameters. `limits` are further ones under their own names (memory, cpushares, shmsize, …)."""
    return {
        "t": list(tags),
        "dockerfile": dockerfile or None,
        "buildargs": dict(build_args) if build_args else None,
        "labels": dict(labels) if labels else None,
        "target": target or None,
        "platform": platform,
        "networkmode": network,
        "cachefrom": json.dumps(list(cache_from)) if cache_from else None,
        "nocache": no_cache,
        "pull": pull,
        "squash": squash,
        "rm": True if remove else "0",
        "forcerm": force_remove,
        "q": quiet,
        "extrahosts": ",".join(extra_hosts) or None,
        **(limits or {}),
    }


def run_build(
    images: Images,
    context: BuildContext | None,
    query: Mapping[str, object],
    *,
    report: Report,
    auths: Callable[[], Mapping[str, Auth]] | None = None,
) -> str:
    """Build; the new image's ID. Without a context the query names a `remote` one.

    Raises CommandFailed where a step fails, with its exit code in the facts.
    """
    chunks, headers = (context.chunks, context.headers) if context else (None, {})
    if context:
        query = {**query, "dockerfile": context.dockerfile or None}
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
