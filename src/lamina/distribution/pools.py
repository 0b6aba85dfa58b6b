"""Connections: one pool for each endpoint's trust settings, with certs.d, insecure registries and proxies.

Where a registry sends its client (redirects, token servers, upload locations, foreign layers), the address that was
really reached is looked at: see `addresses`.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3

from lamina.cancellation import NEVER, Cancellation
from lamina.distribution.addresses import check_address, check_literal, is_here
from lamina.distribution.interrupt import Connections
from lamina.distribution.settings import Settings
from lamina.errors import InvalidInput

_CONNECTIONS = 16
_Key = tuple[str, str | None, bool | None]


class Pools:
    """Return the urllib3 manager for a URL. Thread-safe; `close` ends idle connections and may be called twice.

    `cancellation` interrupts all that its connections wait for. `check_server` gets the address of each server that is
    connected to, but for proxies, and raises where it must not be asked.
    """

    def __init__(
        self,
        settings: Settings,
        cancellation: Cancellation = NEVER,
        check_server: Callable[[str], None] | None = None,
    ) -> None:
        self.cancellation = cancellation
        self._settings = settings
        self._connections = Connections(cancellation)
        self._check_server = check_server
        self._watching = ExitStack()
        self._watching.enter_context(cancellation.on_cancel(self._connections.interrupt))
        self._lock = threading.Lock()
        self._managers: dict[_Key, urllib3.PoolManager] = {}

    def for_url(self, url: str, *, sent_by: str = "") -> urllib3.PoolManager:
        """Return the manager that trusts, proves and proxies as the settings say for this URL's host.

        `sent_by` is the host whose answer named this URL. The manager then raises Forbidden for addresses to which a
        registry has no reason to send anyone; so does this method where the URL holds such an address.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = self._settings.proxies.for_url(parts.scheme, host, parts.port)
        domain = parts.netloc.rpartition("@")[2] if parts.scheme == "https" else ""
        here = is_here(sent_by) if sent_by else None
        if here is not None:
            check_literal(host, here)
        key = (domain, proxy, here)
        with self._lock:
            if key not in self._managers:
                manager = self._make(domain, proxy)
                self._managers[key] = self._connections.adopt(manager, self._check(here))
            return self._managers[key]

    def _check(self, here: bool | None) -> Callable[[str], None] | None:
        return self._check_server if here is None else lambda address: check_address(address, here)

    def close(self) -> None:
        """Close idle connections."""
        self._watching.close()
        with self._lock:
            for manager in self._managers.values():
                for pool in map(manager.pools.get, manager.pools.keys()):
                    if pool is not None:
                        pool.close()
                manager.clear()
            self._managers.clear()

    def _make(self, domain: str, proxy: str | None) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=self._settings.connect_timeout, read=self._settings.read_timeout)
        context = tls_context(domain, self._settings) if domain else None
        if proxy is None:
            return urllib3.PoolManager(
                num_pools=8, maxsize=_CONNECTIONS, timeout=timeout, retries=False, ssl_context=context
            )
        parts = urlsplit(proxy)
        headers = None
        if parts.username:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=secret)
        bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return urllib3.ProxyManager(
            bare, proxy_headers=headers, maxsize=_CONNECTIONS, timeout=timeout, retries=False, ssl_context=context
        )


def tls_context(domain: str, settings: Settings) -> ssl.SSLContext:
    """Return the TLS settings for `domain`: CAs (`*.crt`) and client certificates (`*.cert`, `*.key`) of its certs.d.

    Raise InvalidInput, naming the file, for one that cannot be used.
    """
    context = ssl.create_default_context()
    files = _certificate_files(domain, settings.certificates)
    if settings.is_insecure(domain) and not any(file.suffix == ".crt" for file in files):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for, by name or address
    for file in files:
        try:
            if file.suffix == ".crt":
                context.load_verify_locations(cafile=file)
            else:
                context.load_cert_chain(file, file.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                f"The certificate {file} cannot be used", advice="Beside NAME.cert there must be NAME.key, both in PEM."
            ) from error
    return context


def _certificate_files(domain: str, directories: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for directory in directories:
        try:
            files += sorted(f for f in (directory / domain).iterdir() if f.suffix in (".crt", ".cert"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InvalidInput(f"The certificates in {directory / domain} cannot be read: {error.strerror}") from error
    return files
