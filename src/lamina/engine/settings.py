"""The settings of an Engine."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from lamina.api.build_cache import CacheLimits
from lamina.distribution import Proxies
from lamina.distribution import Settings as RegistrySettings
from lamina.errors import Unsupported
from lamina.formats.reference import DEFAULT_DOMAIN
from lamina.linux.subordinate_ids import remapped_ids
from lamina.linux.user_namespaces import user_namespace
from lamina.network.settings import NetworkSettings
from lamina.sandbox.spec import Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Where things are and how they behave; empty and None mean: choose.

    `registry_mirrors` are asked before Docker Hub. `containers` is what containers get where they do not say otherwise.
    `build_cache` is what the build cache may hold, None for all that there is.
    `userns_remap` says who the users of containers are on the host, as in daemon.json: "default", or USER[:GROUP].
    """

    networks: NetworkSettings = field(default_factory=NetworkSettings)
    storage_driver: str | None = None
    runtime: str | None = None
    runtimes: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    max_downloads: int = 3
    max_uploads: int = 5
    live_restore: bool = True
    labels: tuple[str, ...] = ()
    userns_remap: str = ""
    containers: Defaults = field(default_factory=Defaults)
    build_cache: CacheLimits | None = None

    def container_defaults(self, exec_root: Path) -> Defaults:
        """Return `containers` with the users that they have; their namespace is kept in `exec_root`.

        Raise InvalidInput for users that are not there, Unsupported without root.
        """
        if not self.userns_remap:
            return self.containers
        if os.geteuid() != 0:
            raise Unsupported("userns-remap needs root, which this engine has not", advice="Leave it out")
        userns = user_namespace(exec_root / "users", remapped_ids(self.userns_remap))
        return replace(self.containers, userns=userns)

    def registries(self) -> RegistrySettings:
        """Return the part that the registry client takes, with the proxies of the environment."""
        mirrors = {DEFAULT_DOMAIN: self.registry_mirrors} if self.registry_mirrors else {}
        return RegistrySettings(
            mirrors=mirrors,
            insecure=self.insecure_registries,
            proxies=Proxies.from_environment(os.environ),
            max_downloads=self.max_downloads,
            max_uploads=self.max_uploads,
        )


def default_exec_root(root: Path) -> Path:
    """Return where an engine keeps what does not outlive a reboot: below /run for root, beside the data for others."""
    if os.geteuid() == 0:
        return Path("/run") / f"lamina-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"
    return root / "run"
