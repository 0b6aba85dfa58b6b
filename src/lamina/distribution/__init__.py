"""The client side of registries: `pull` and `push` work with a store, `RegistryClient` speaks the protocol."""

from lamina.credentials import Credentials
from lamina.distribution.inspect import inspect
from lamina.distribution.pull import PulledImage, pull, pull_all
from lamina.distribution.push import Pushed, push
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.distribution.search import SearchResult, search
from lamina.distribution.settings import Proxies, Retry, Settings

__all__ = [
    "Credentials",
    "SearchResult",
    "Proxies",
    "PulledImage",
    "Pushed",
    "RegistryClient",
    "Repository",
    "Retry",
    "Settings",
    "inspect",
    "pull",
    "pull_all",
    "push",
    "search",
]
