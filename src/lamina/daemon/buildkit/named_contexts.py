"""Named contexts: what FROM and --from mean by a name that the client gave to an image, a folder, or an address.

Rule: moby/buildkit, frontend/dockerui/namedcontext.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lamina.api.build import BuildRequest
from lamina.builder.context.source import BuildContext
from lamina.builder.file_sums import Sums
from lamina.daemon.buildkit.filesync import Selection, receive_files
from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.graph import address_of
from lamina.daemon.buildkit.messages.control import Definition
from lamina.engine.builds import Builds
from lamina.errors import InvalidInput
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images

_WHOLE = "FROM scratch\nCOPY . /\n"  # a folder becomes an image: then COPY, FROM and mounts need no other rule for it


class NamedContexts:
    """The contexts of one build, each opened when a step first names it."""

    def __init__(self, builds: Builds, images: Images, client: Client, addresses: Mapping[str, str]) -> None:
        self._builds = builds
        self._images = images
        self._client = client
        self._addresses = addresses
        self._opened: dict[str, Image] = {}

    def find(self, name: str) -> Image | str | None:
        """Return the image or the other name that `name` means, None if it is no context's.

        Raise InvalidInput for an address of an unknown kind, and what the client's folder or the address raises.
        """
        name = next((form for form in _forms(name) if form in self._addresses), "")
        if not name:
            return None
        address = self._addresses[name]
        kind, _, rest = address.partition(":")
        if kind == "docker-image":
            return rest.removeprefix("//")
        if kind == "sha256":
            return self._images.get(address)
        if name not in self._opened:
            self._opened[name] = self._image_of(name, kind, rest, address)
        return self._opened[name]

    def _image_of(self, name: str, kind: str, rest: str, address: str) -> Image:
        client = self._client
        if kind == "local":
            with client.vertices.step(f"[context {name}] load from client"):
                tree = receive_files(client.session, Selection(rest), client.temporary, client.cancellation)
            context = BuildContext(_WHOLE, tree, Sums(tree.sums), close=tree.close)
        elif kind in ("https", "http", "git") or kind.startswith("git@"):
            with client.vertices.step(f"[context {name}] load {address}"):
                context = self._builds.remote_context(address, cancellation=client.cancellation)
                context = replace(context, dockerfile=_WHOLE)
        else:
            raise InvalidInput(f"unsupported context source {kind} for {name}")
        with context:
            return self._builds.build_context(context, BuildRequest(), cancellation=client.cancellation).image


def _forms(name: str) -> tuple[str, ...]:
    """Return the ways in which a client may have spelled a name."""
    try:
        reference = Reference.parse(name).with_default_tag()
    except InvalidInput:
        return (name,)
    short = reference.familiar().removesuffix(":latest")
    return (name, reference.familiar(), str(reference), short)


def addresses_of(attributes: Mapping[str, str], inputs: Mapping[str, Definition]) -> dict[str, str]:
    """Return the addresses of contexts by their names; a graph that the client brought stands for its one image.

    Raise InvalidInput for an input that was not brought, Unsupported for a graph that is more than an image.
    """
    contexts = {}
    for name, address in attributes.items():
        if name.startswith("context:"):
            kind, _, rest = address.partition(":")
            if kind == "input":
                if rest not in inputs:
                    raise InvalidInput(f"the client names an input {rest} that it did not bring")
                address = address_of(inputs[rest])
            contexts[name.removeprefix("context:").partition("::")[0]] = address
    return contexts
