"""The images that builds begin with: from here, or from their registries."""

from __future__ import annotations

from collections.abc import Callable

from lamina.cancellation import Cancellation
from lamina.distribution import Credentials
from lamina.engine.registries import Registries
from lamina.errors import NotFound
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.progress import Report

AskCredentials = Callable[[Reference], Credentials | None]


class BaseImages:
    """The base images of one engine's builds. Thread-safe."""

    def __init__(self, images: Images, registries: Registries) -> None:
        self._images = images
        self._registries = registries

    def image(
        self,
        name: str,
        platform: Platform | None,
        pull: bool,
        ask: AskCredentials,
        report: Report,
        cancellation: Cancellation,
        *,
        named: bool,
    ) -> Image:
        """Return the image behind a name in a FROM: from here unless `pull` says otherwise, else from its registry."""
        here = None if pull else self._here(name, platform)
        if here is not None and (platform is None or here.platform.matches(platform)):
            return here
        reference = Reference.parse(name).with_default_tag()
        if here is not None and reference.digest is not None and self._images.indexes.find(name) is None:
            return here  # a digest of one manifest means this image, whatever platform is asked for
        credentials = ask(reference)
        try:
            if named or platform is None or platform.matches(Platform.host()):
                (image, *_) = self._registries.pull(
                    str(reference),
                    platform=str(platform or ""),
                    credentials=credentials,
                    report=report,
                    cancellation=cancellation,
                )
                return image
            return self._registries.pull_base(
                str(reference), platform, credentials=credentials, report=report, cancellation=cancellation
            )
        except NotFound:
            if here is None:
                raise
            return here

    def _here(self, name: str, platform: Platform | None) -> Image | None:
        """Return the image here that a name means, of an index the one for `platform` where it has one."""
        image = self._images.find(name)
        if image is None or platform is None or image.platform.matches(platform):
            return image
        index = self._images.indexes.find(name)
        return (index.image_for(platform) if index else None) or image
