"""Named contexts: what FROM and --from mean by a name that the client gave to an image, a folder, or an address.

Rule: moby/buildkit, frontend/dockerui/namedcontext.go.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from lamina.api.build import BuildRequest
from lamina.builder.context.source import BuildContext, from_dockerfile
from lamina.builder.file_sums import Sums
from lamina.daemon.buildkit.filesync import Selection, receive_files
from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.layouts import LayoutName
from lamina.daemon.buildkit.messages.control import Definition
from lamina.engine.build_client import BuildClient
from lamina.engine.builds import Builds
from lamina.errors import InvalidInput
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images

_NOTHING = b"FROM scratch\n"
_WHOLE = "FROM scratch\nCOPY . /\n"  # a folder becomes an image: then COPY, FROM and mounts need no other rule for it


@dataclass(frozen=True, slots=True)
class Contexts:
    """What names stand for: addresses, and images that are made when they are first used."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Callable[[], Image]] = field(default_factory=dict)


class NamedContexts:
    """The contexts of one build, each opened when a step first names it."""

    def __init__(self, builds: Builds, images: Images, client: Client, contexts: Contexts) -> None:
        self._builds = builds
        self._images = images
        self._client = client
        self._addresses = contexts.addresses
        self._results = contexts.results
        self._opened: dict[str, Image] = {}

    def find(self, name: str) -> Image | str | None:
        """Return the image or the other name that `name` means, None if it is no context's.

        Raise InvalidInput for an address of an unknown kind, and what the client's folder or the address raises.
        """
        known = {**self._addresses, **self._results}
        name = next((form for form in _forms(name) if form in known), "")
        if not name:
            return None
        if name in self._results:
            if name not in self._opened:
                self._opened[name] = self._results[name]()
            return self._opened[name]
        address = self._addresses[name]
        kind, _, rest = address.partition(":")
        if kind == "docker-image" and rest != "//scratch":
            return rest.removeprefix("//")
        if name not in self._opened:
            self._opened[name] = self._image_of(name, kind, rest, address)
        return self._opened[name]

    def _image_of(self, name: str, kind: str, rest: str, address: str) -> Image:
        client = self._client
        if kind == "docker-image":
            context = from_dockerfile(_NOTHING)
        elif kind == "oci-layout":
            with client.vertices.step(f"[context {name}] {address}"):
                return LayoutName(rest.removeprefix("//")).image(client, None, self._images)
        elif kind == "local":
            with client.vertices.step(f"[context {name}] load from client") as vertex:
                hear = partial(client.vertices.hear, vertex)
                tree = receive_files(client.session, Selection(rest), client.temporary, client.cancellation, None, hear)
            context = BuildContext(_WHOLE, tree, Sums(tree.sums), close=tree.close)
        elif kind in ("https", "http", "git") or kind.startswith("git@"):
            with client.vertices.step(f"[context {name}] load {address}"):
                context = self._builds.remote_context(address, cancellation=client.cancellation)
                context = replace(context, dockerfile=_WHOLE)
        else:
            raise InvalidInput(f"unsupported context source {kind} for {name}")
        with context:
            return self._builds.build_context(
                context, BuildRequest(), BuildClient(cancellation=client.cancellation)
            ).image


def _forms(name: str) -> tuple[str, ...]:
    """Return the ways in which a client may have spelled a name."""
    try:
        reference = Reference.parse(name).with_default_tag()
    except InvalidInput:
        return (name,)
    short = reference.familiar().removesuffix(":latest")
    return (name, reference.familiar(), str(reference), short)


def contexts_of(
    attributes: Mapping[str, str],
    inputs: Mapping[str, Definition],
    solve: Callable[[Definition, bytes], Image],
) -> Contexts:
    """Return what a frontend's attributes name. `solve` makes the image of a graph, with the client's config for it.

    Raise InvalidInput for an input that was not brought.
    """
    addresses: dict[str, str] = {}
    results: dict[str, Callable[[], Image]] = {}
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
