"""Which daemon a command talks to, and how: flag, then environment, then `config.json`.

The order among them: `-H`; `--context`; LAMINA_HOST; DOCKER_CONTEXT; DOCKER_HOST; `currentContext`; lamina's own
default socket.
"""

from __future__ import annotations

import os

from lamina.client.address import Address, default_socket, parse_address
from lamina.client.dial import Tls
from lamina.errors import InvalidInput
from lamina.formats import quick_json
from lamina.light import TYPE_CHECKING, NamedTuple, cached_property

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


class Endpoint(NamedTuple):
    """Where to connect. `host` is "" for lamina's default socket; `tls` None leaves TLS to flags and environment."""

    context: str
    host: str
    tls: Tls | None = None


class Settings:
    """The daemon to use for one command, and how to reach it."""

    def __init__(self, flags: Mapping[str, Any], endpoint: Endpoint, config: ConfigFile) -> None:
        self._flags = flags
        self._endpoint = endpoint
        self.config = config

    @property
    def context(self) -> str:
        """Return the name of the context in use; "default" without any."""
        return self._endpoint.context

    @property
    def is_default(self) -> bool:
        """Return whether this is lamina's own default daemon, which a command may start."""
        return not self._endpoint.host

    @cached_property
    def tls(self) -> Tls | None:
        return self._endpoint.tls or _tls(self._flags, config_folder(self._flags.get("config", "")))

    @cached_property
    def address(self) -> Address:
        if self.is_default:
            return Address("unix", path=default_socket())
        return parse_address(self._endpoint.host, tls=self.tls is not None)

    @property
    def version(self) -> str | None:
        """Return DOCKER_API_VERSION. With it the client does not negotiate."""
        return os.environ.get("DOCKER_API_VERSION") or None

    @property
    def headers(self) -> dict[str, str]:
        """Return HttpHeaders of config.json."""
        return {str(name): str(value) for name, value in self.config.mapping("HttpHeaders").items()}


def read_settings(flags: Mapping[str, Any]) -> Settings:
    """Return the settings. Raise InvalidInput for contradicting flags, NotFound for an unknown context."""
    config = ConfigFile(config_folder(flags.get("config", "")))
    return Settings(flags, _endpoint(flags, config), config)


def _endpoint(flags: Mapping[str, Any], config: ConfigFile) -> Endpoint:
    hosts = flags.get("hosts") or ()
    name = flags.get("context") or ""
    if len(hosts) > 1:
        raise InvalidInput("more than one host was given", advice="Give -H once")
    if hosts and name:
        raise InvalidInput("--host and --context contradict each other", advice="Give one of them")
    environment = os.environ
    host = hosts[0] if hosts else ""
    if not host and not name:
        host = environment.get("LAMINA_HOST", "")
    if not host and not name:
        name = environment.get("DOCKER_CONTEXT", "")
        host = "" if name else environment.get("DOCKER_HOST", "")
        name = name if name or host else config.text("currentContext")
    if host or name in ("", "default"):
        return Endpoint("default", host or (environment.get("DOCKER_HOST", "") if name else ""))
    from lamina.cli.contexts import ContextStore

    stored = ContextStore(config.folder).get(name)
    return Endpoint(name, stored.host, stored.tls)


def _tls(flags: Mapping[str, Any], folder: str) -> Tls | None:
    verify = bool(flags.get("tlsverify") or os.environ.get("DOCKER_TLS_VERIFY"))
    if not (verify or flags.get("tls") or os.environ.get("DOCKER_TLS")):
        return None
    files = os.environ.get("DOCKER_CERT_PATH") or folder

    def chosen(flag: str, name: str) -> str:
        path = os.path.join(files, name)
        return flags.get(flag) or (path if os.path.exists(path) else "")

    ca, cert, key = chosen("tlscacert", "ca.pem"), chosen("tlscert", "cert.pem"), chosen("tlskey", "key.pem")
    return Tls(ca, cert, key, verify)


class ConfigFile:
    """The user's `config.json` in `folder`. A missing file counts as empty.

    If the file cannot be read, `problem` says why, and commands go on without it.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = str(folder)
        self._file = os.path.join(self._folder, "config.json")
        self.document: dict[str, Any] = {}
        self.problem = ""
        try:
            document = quick_json.loads(self._read())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.problem = f"{self._file}: {error.strerror}"
            return
        except (ValueError, RecursionError) as error:
            self.problem = f"{self._file} is not valid JSON: {error}"
            return
        if isinstance(document, dict):
            self.document = document
        else:
            self.problem = f"{self._file} holds no JSON object"

    @property
    def folder(self) -> Path:
        """Return where the file and its neighbours are: contexts, certificates."""
        from pathlib import Path  # importing it takes a third of the time that Python takes to start

        return Path(self._folder)

    @property
    def path(self) -> Path:
        """Return the file's path."""
        return self.folder / "config.json"

    def _read(self) -> bytes:
        with open(self._file, "rb", buffering=0) as file:
            return file.readall()

    def text(self, key: str) -> str:
        """Return a value that is a string, else ""."""
        value = self.document.get(key)
        return value if isinstance(value, str) else ""

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a value that is an object, else an empty one."""
        value = self.document.get(key)
        return value if isinstance(value, dict) else {}

    def save(self) -> None:
        """Replace the file atomically. It is readable by its owner only, because it may hold credentials.

        Raise InvalidInput if the file could not be read, because its content would be lost.
        """
        import json

        if self.problem:
            raise InvalidInput(self.problem, advice="Mend or remove the file first")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f"config.json.{os.getpid()}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.document, file, indent="\t")
            file.write("\n")
        temporary.replace(self.path.resolve())


def config_folder(flag: str = "") -> str:
    """Return the folder of `--config`, else of `DOCKER_CONFIG`, else ~/.docker."""
    return flag or os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
