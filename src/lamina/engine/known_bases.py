"""What a check learns of base images: from those that are here, and from the configs that registries have of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lamina.builder.checking import base_facts
from lamina.cancellation import Cancellation
from lamina.distribution import Credentials
from lamina.dockerfile.checks.scope import BaseFacts
from lamina.engine.registries import Registries
from lamina.errors import Cancelled, LaminaError
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.images import Images

AskCredentials = Callable[[Reference], Credentials | None]


@dataclass(frozen=True, slots=True)
class KnownBases:
    """Finds base images for one check. With `pull` their registry is asked first."""

    images: Images
    registries: Registries
    ask: AskCredentials
    pull: bool
    cancellation: Cancellation

    def find(self, name: str, platform: Platform | None) -> BaseFacts | None:
        """Return what an image decides about checks, None where nobody knows: a FindBase. Raise Cancelled."""
        here = self.images.find(name)
        if here is not None and not self.pull and (platform is None or here.platform.matches(platform)):
            return base_facts(here.config)
        try:
            credentials = self.ask(Reference.parse(name))
            config = self.registries.config(name, platform, credentials=credentials, cancellation=self.cancellation)
        except Cancelled:
            raise
        except LaminaError:  # a check without a registry says what it can
            return base_facts(here.config) if here is not None else None
        return base_facts(config)
