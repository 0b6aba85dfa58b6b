"""Named contexts of BuildKit's clients: folders and layouts come over their session.

Rule: moby/buildkit, frontend/dockerui/namedcontext.go.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from lamina.builder.context.source import IGNORE_NAME, BuildContext
from lamina.builder.file_sums import Sums
from lamina.daemon.buildkit.definition import own_image
from lamina.daemon.buildkit.filesync import Selection, receive_files
from lamina.daemon.buildkit.frontend import Client, ignore_patterns
from lamina.daemon.buildkit.layouts import LayoutName
from lamina.daemon.buildkit.messages.control import Definition
from lamina.dockerfile.context_paths import context_paths
from lamina.dockerfile.dockerfile import parse
from lamina.engine.builds import Builds
from lamina.engine.named_contexts import WHOLE, ContextImages, MakeImage, NamedContexts, name_forms
from lamina.errors import InvalidInput
from lamina.images.image import Image
from lamina.images.images import Images


@dataclass(frozen=True, slots=True)
class Contexts:
    """What names stand for: addresses, and images that are made when they are first used."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, MakeImage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextUser:
    """Who uses contexts: a Dockerfile with its target, and the IDs of sessions by the folders that they offer."""

    dockerfile: str = ""
    target: str = ""
    sessions: Mapping[str, str] = field(default_factory=dict)


def named_contexts(
    builds: Builds, images: Images, client: Client, contexts: Contexts, user: ContextUser
) -> NamedContexts:
    """Return the contexts of one build. Raise InvalidInput for an address of an unknown kind."""
    opening = _Opening(builds, images, client, user)
    opened = {name: opening.context(name, address) for name, address in contexts.addresses.items()}
    named: dict[str, str | MakeImage] = {**opened, **contexts.results}
    return PolicedContexts(named, opening) if client.policy.policies else NamedContexts(named)


class PolicedContexts(NamedContexts):
    """The contexts of a build whose source policy may deny images, or put other sources in their place."""

    def __init__(self, contexts: Mapping[str, str | MakeImage], opening: _Opening) -> None:
        super().__init__(contexts)
        self._opening = opening

    def find(self, name: str) -> Image | str | None:
        context = super().find(name)
        if isinstance(context, Image) or own_image(context or name) is not None:
            return context
        return self._opening.allowed(context or name) or context


class _Opening:
    """Open the folders, layouts and addresses that the client named."""

    def __init__(self, builds: Builds, images: Images, client: Client, user: ContextUser) -> None:
        self._builds = builds
        self._images = images
        self._client = client
        self._user = user
        self._context_images = ContextImages(builds.build_context, client.cancellation)

    def context(self, name: str, address: str) -> str | MakeImage:
        """Return the name of an image, or what makes one. Raise InvalidInput."""
        image = self._context_images.named(address)
        if image is not None:
            return image
        kind, _, rest = address.partition(":")
        if kind == "oci-layout":
            return partial(self._layout, name, rest)
        if kind == "local":
            return self._context_images.of_files(partial(self._folder, name, rest))
        if kind in ("https", "http", "git") or kind.startswith("git@"):
            return self._context_images.of_files(partial(self._address, name, address))
        raise InvalidInput(f"unsupported context source {kind} for {name}")

    def allowed(self, name: str) -> Image | str | None:
        """Return what the source policy puts in the place of an image, None for nothing. Raise Forbidden."""
        other = self._client.policy.image(name)
        if other is None:
            return None
        kind, _, rest = other.partition("://")
        context = self.context(name, f"local:{rest}" if kind == "local" else other)
        return context if isinstance(context, str) else context()

    def _layout(self, name: str, rest: str) -> Image:
        client = self._client
        with client.vertices.step(f"[context {name}] oci-layout:{rest}"):
            return LayoutName(rest.removeprefix("//")).image(client, None, self._images)

    def _folder(self, name: str, folder: str) -> BuildContext:
        """Return the files of a client's folder that the Dockerfile reads, without those that the folder ignores."""
        client = self._client
        session = client.session_of(self._user.sessions.get(folder, ""))
        with client.vertices.step(f"[context {name}] load {IGNORE_NAME}"):
            ignore_file = Selection(folder, follow=(IGNORE_NAME,))
            tree = receive_files(session, ignore_file, client.temporary, client.cancellation)
            try:
                excluded = tuple(map(str, ignore_patterns(tree, IGNORE_NAME) or ()))
            finally:
                tree.close()
        file = parse(self._user.dockerfile)
        paths = context_paths(file, file.target(self._user.target), lambda other: name in name_forms(other))
        with client.vertices.step(f"[context {name}] load from client") as vertex:
            hear = partial(client.vertices.hear, vertex)
            selection = Selection(folder, exclude=excluded, follow=paths or ())
            tree = receive_files(session, selection, client.temporary, client.cancellation, None, hear)
        return BuildContext(WHOLE.decode(), tree, Sums(tree.sums), close=tree.close)

    def _address(self, name: str, address: str) -> BuildContext:
        client = self._client
        address, _ = client.policy.address(address)
        with client.vertices.step(f"[context {name}] load {address}"):
            return self._builds.files_of(address, cancellation=client.cancellation)


def contexts_of(
    attributes: Mapping[str, str],
    inputs: Mapping[str, Definition],
    solve: Callable[[Definition, bytes], Image],
) -> Contexts:
    """Return what a frontend's attributes name. `solve` makes the image of a graph, with the client's config for it.

    Raise InvalidInput for an input that was not brought.
    """
    addresses: dict[str, str] = {}
    results: dict[str, MakeImage] = {}
    for attribute, address in attributes.items():
        if not attribute.startswith("context:"):
            continue
        name = attribute.removeprefix("context:").partition("::")[0]
        kind, _, rest = address.partition(":")
        if kind == "input":
            if rest not in inputs:
                raise InvalidInput(f"the client names an input {rest} that it did not bring")
            results[name] = partial(solve, inputs[rest], _config(attributes.get(f"input-metadata:{rest}", "")))
        else:
            addresses[name] = address
    return Contexts(addresses, results)


def _config(metadata: str) -> bytes:
    """Return the config in an input's metadata: JSON, with the bytes in base64. Raise InvalidInput."""
    if not metadata:
        return b""
    try:
        config = json.loads(metadata).get("containerimage.config", "")
        return base64.b64decode(config, validate=True)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidInput("the metadata of an input cannot be read") from None
