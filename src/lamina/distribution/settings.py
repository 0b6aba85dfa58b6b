"""A client's settings: mirrors, insecure registries, certificates, proxies, limits and patience."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lamina.cancellation import Cancellation
from lamina.credentials import HUB_KEY
from lamina.formats.reference import DEFAULT_DOMAIN

HUB = "registry-1.docker.io"
ANY = "*"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently to try again: up to `attempts` times, waiting `first` seconds and then doubling.

    A server's Retry-After wins, up to `longest` seconds; beyond that the error is raised at once.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 60.0
    sleep: Callable[[Cancellation, float], object] = Cancellation.wait

    def pause(self, cancellation: Cancellation, failures: int, retry_after: float | None = None) -> None:
        """Wait after the failure number `failures` (from 1). Raise Cancelled."""
        grown: float = min(self.first * 2 ** (failures - 1), self.longest)
        self.sleep(cancellation, retry_after if retry_after is not None else grown * (0.75 + random.random() / 2))
        cancellation.check()


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxy URLs for each scheme, and the hosts that are asked directly. URLs may hold credentials: never shown."""

    http: str | None = field(default=None, repr=False)
    https: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Read HTTP_PROXY, HTTPS_PROXY and NO_PROXY in either case, as curl and Go do."""

        def read(name: str) -> str | None:
            return environment.get(name) or environment.get(name.lower()) or None

        hosts = tuple(host.strip() for host in (read("NO_PROXY") or "").split(",") if host.strip())
        return cls(read("HTTP_PROXY"), read("HTTPS_PROXY"), hosts)

    def for_url(self, scheme: str, host: str, port: int | None) -> str | None:
        """Return the proxy for a request, or None. Loopback is always asked directly, as Go does."""
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or is_loopback(host) or any(_excludes(rule, host, port) for rule in self.no_proxy):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's settings, all of them values: nothing is read from the environment here.

    `mirrors` maps a domain, or `*` for every one, to base URLs that are asked first when pulling. `insecure` holds
    hosts, host:port and networks in CIDR form that may speak plain HTTP or show certificates nobody vouches for;
    loopback always counts as such. `certificates` are directories laid out as Docker's certs.d.
    """

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: tuple[str, ...] = ()
    certificates: tuple[Path, ...] = (Path("/etc/docker/certs.d"),)
    proxies: Proxies = field(default_factory=Proxies)
    retry: Retry = field(default_factory=Retry)
    max_downloads: int = 3
    max_uploads: int = 5
    download_part: int = 4 << 20  # bytes of one request of a large blob
    parts_at_once: int = 4  # requests for one large blob
    fast_line: float = 64e6  # bytes a second of one connection that more of them would not make faster
    upload_chunk: int = 32 << 20  # bytes of one request of an upload
    connect_timeout: float = 15.0  # seconds
    read_timeout: float = 60.0  # seconds without a byte
    user_agent: str = "lamina"

    def is_insecure(self, domain: str) -> bool:
        """Return whether `domain` (host or host:port) may be spoken to without proof of who it is."""
        host = urlsplit(f"//{domain}").hostname or ""
        return is_loopback(host) or any(rule in (domain, host) or _in_network(rule, host) for rule in self.insecure)

    def mirrors_of(self, domain: str) -> tuple[str, ...]:
        """Return base URLs to ask before the registry itself."""
        return tuple(self.mirrors.get(domain, ())) + tuple(self.mirrors.get(ANY, ()))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that serves a registry's content: `scheme://host[:port][/path]`, before `/v2/`."""

    base: str
    domain: str  # host[:port], the key for certificates and credentials
    insecure: bool
    mirror: bool = False

    @property
    def host(self) -> str:
        """Return its host without a port."""
        return urlsplit(self.base).hostname or ""

    @property
    def key(self) -> str:
        """Return the name under which credentials for it are kept."""
        return HUB_KEY if self.domain == HUB else self.domain


def endpoints(domain: str, settings: Settings, *, for_pull: bool) -> list[Endpoint]:
    """Return where to ask for the content of `domain`, in order. Plain HTTP follows each insecure HTTPS endpoint."""
    places: list[Endpoint] = []
    for mirror in settings.mirrors_of(domain) if for_pull else ():
        parts = urlsplit(mirror if "://" in mirror else f"https://{mirror}")
        insecure = parts.scheme == "http" or settings.is_insecure(parts.netloc)
        places.append(
            Endpoint(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", parts.netloc, insecure, True)
        )
    host = HUB if domain == DEFAULT_DOMAIN else domain
    insecure = settings.is_insecure(host)
    places.append(Endpoint(f"https://{host}", host, insecure))
    if insecure:
        places.append(Endpoint(f"http://{host}", host, True))
    return places


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine by its address or by the name localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _in_network(rule: str, host: str) -> bool:
    try:
        return "/" in rule and ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False


def _excludes(rule: str, host: str, port: int | None) -> bool:
    name, colon, rule_port = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
    if colon and rule_port != str(port):
        return False
    name = name.removeprefix("*").lower()
    bare = name.removeprefix(".")
    return rule == ANY or host == bare or (bool(bare) and host.endswith("." + bare)) or _in_network(rule, host)
