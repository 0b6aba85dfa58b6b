"""Named contexts: what FROM and --from mean by a name that the client gave to an image, a folder, or an address.

Rule: moby/buildkit, frontend/dockerui/namedcontext.go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lamina.api.build import BuildRequest
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext, from_dockerfile
from lamina.cancellation import NEVER, Cancellation
from lamina.engine.build_client import BuildClient
from lamina.engine.build_results import BuildContextVerb
from lamina.errors import InvalidInput
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.progress import ignore

WHOLE = b"FROM scratch\nCOPY . /\n"  # a folder becomes an image: then COPY, FROM and mounts need no other rule for it
_NOTHING = b"FROM scratch\n"
_IMAGE = "docker-image"

MakeImage = Callable[[], Image]
OpenContext = Callable[[], BuildContext]


class NamedContexts:
    """The contexts of one build by their names: the name of an image, or what makes one when a step first needs it."""

    def __init__(self, contexts: Mapping[str, str | MakeImage]) -> None:
        self._contexts = contexts
        self._images: dict[str, Image] = {}
        self._guard = threading.Lock()  # stages that are built at once make an image once

    def has(self, name: str) -> bool:
        """Return whether `name`, in any of its spellings, is a context's."""
        return bool(self._key(name))

    def _key(self, name: str) -> str:
        """Return the name of a context as the client spelled it, "" for other names."""
        return next((form for form in name_forms(name) if form in self._contexts), "") if name else ""

    def find(self, name: str) -> Image | str | None:
        """Return the image or the other name that `name` means, None if it is no context's.

        Raise what making the image raises.
        """
        name = self._key(name)
        if not name:
            return None
        context = self._contexts[name]
        if isinstance(context, str):
            return context
        with self._guard:
            if name not in self._images:
                self._images[name] = context()
            return self._images[name]

    def epoch(self, name: str) -> int | None:
        """Return the time of the files that a context was made of, in seconds since 1970, None where it has none."""
        self.find(name)
        context = self._contexts[self._key(name)]
        return context.epoch if isinstance(context, FilesImage) else None


@dataclass(slots=True)
class FilesImage:
    """Make the image of a context's files: a MakeImage. Then `epoch` is the time of the context, if it has one."""

    images: ContextImages
    open_context: OpenContext
    epoch: int | None = None

    def __call__(self) -> Image:
        with self.open_context() as context:
            self.epoch = context.epoch
            return self.images.image_of(context)


@dataclass(frozen=True, slots=True)
class ContextImages:
    """Make images of the files of contexts, and of nothing."""

    build_context: BuildContextVerb
    cancellation: Cancellation = NEVER

    def of_files(self, open_context: OpenContext) -> FilesImage:
        """Return what makes an image of all files of a context whose Dockerfile is `WHOLE`."""
        return FilesImage(self, open_context)

    def image_of(self, context: BuildContext) -> Image:
        """Return the image that the Dockerfile of an open context makes."""
        # A console of its own keeps this out of the lines and the records of builds.
        client = BuildClient(cancellation=self.cancellation, console=Console(ignore))
        return self.build_context(context, BuildRequest(), client).image

    def empty(self) -> Image:
        """Return an image without files."""
        return self.image_of(from_dockerfile(_NOTHING))

    def named(self, address: str) -> str | MakeImage | None:
        """Return what `docker-image://NAME` means, None for an address of another kind. `scratch` is an empty image.

        Raise InvalidInput without a name.
        """
        kind, _, rest = address.partition(":")
        if kind != _IMAGE:
            return None
        name = rest.removeprefix("//")
        if not name:
            raise InvalidInput(f"{address} names no image", advice="Write docker-image://NAME.")
        return self.empty if name == "scratch" else name


def name_forms(name: str) -> tuple[str, ...]:
    """Return the ways in which a client may have spelled a name."""
    try:
        reference = Reference.parse(name).with_default_tag()
    except InvalidInput:
        return (name,)
    short = reference.familiar().removesuffix(":latest")
    return (name, reference.familiar(), str(reference), short)
