"""The registry's configuration: a TOML file, in which every unknown key is an error."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard, get_args

import msgspec

from lamina.dockerfile.suggest import did_you_mean
from lamina.errors import InvalidInput

DAY = 86400.0
EVENTS = frozenset({"push", "delete", "pull"})


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What all parts of the configuration share."""


class Tls(Struct, frozen=True):
    """`certificate` and `key` are PEM files; with `client-ca` clients must show a certificate of that CA."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Grant(Struct, frozen=True):
    """`users` (names, `*` any known one, `anonymous` anyone) may do `actions` on `repositories` (globs, ** deep)."""

    users: tuple[str, ...]
    repositories: tuple[str, ...]
    actions: tuple[str, ...]


class Auth(Struct, frozen=True):
    """Who may do what. Without `htpasswd` everyone may do everything.

    `mode` is `basic` or `token`; tokens come from the registry's own endpoint and live `token-seconds`. Without any
    `grants`, every known user may do everything and nobody else anything. `signing-key` is a PEM file of an EC key;
    one is made and kept under the root where it is missing.
    """

    htpasswd: Path | None = None
    mode: str = "basic"
    realm: str | None = None
    service: str = "lamina-registry"
    signing_key: Path | None = None
    token_seconds: int = 300
    grants: tuple[Grant, ...] = ()


class Upstream(Struct, frozen=True):
    """A registry to pull through from: repositories below `prefix` are fetched from `domain` when missing here."""

    domain: str
    prefix: str = ""
    username: str = ""
    password_file: Path | None = None
    fresh_seconds: float = 300.0
    insecure: bool = False


class Retention(Struct, frozen=True):
    """Manifests of `repositories` (globs) go when no tag keeps them: see `retention`."""

    repositories: tuple[str, ...] = ("**",)
    keep_tags: tuple[str, ...] = ()
    keep_newest: int | None = None
    keep_pulled_days: float | None = None
    keep_pushed_days: float | None = None
    untagged: bool = True


class Hook(Struct, frozen=True):
    """A URL that hears of `events`: `push`, `delete`, `pull`.

    `secret-file` holds a key that signs bodies with HMAC-SHA256.
    """

    url: str
    events: tuple[str, ...] = ("push", "delete")
    secret_file: Path | None = None


class Config(Struct, frozen=True):
    """All settings. Sizes are in bytes, times in seconds.

    `sparse` says what may be missing when a manifest is pushed: `all`, only `children` of an index, or `none`.
    With `redirect` clients get large blobs from the object store itself, whose answers lack Docker-Content-Digest: only
    the redirect has it. `metrics` says who may read /metrics: `anyone`, `users` with credentials, or `nobody`.

    Web pages may not use the registry, unless `allowed-origins` has theirs, such as "https://ui.example". Over loopback
    and without accounts, clients must call it by an address, `localhost` or one of `allowed-hosts`.
    """

    listen: str = "127.0.0.1:5000"
    root: Path | None = None
    storage: str | None = None
    database: str | None = None
    tls: Tls | None = None
    auth: Auth = Auth()
    upstreams: tuple[Upstream, ...] = ()
    retention: tuple[Retention, ...] = ()
    hooks: tuple[Hook, ...] = ()
    immutable_tags: dict[str, tuple[str, ...]] = {}
    quotas: dict[str, int] = {}
    read_only: bool = False
    redirect: bool = False
    sparse: str = "all"
    manifest_limit: int = 4 << 20
    grace: float = DAY
    upload_seconds: float = DAY
    collect_every: float = 3600.0
    head_timeout: float = 30.0
    body_timeout: float = 60.0
    access_log: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    metrics: str = "anyone"

    def quota(self, repository: str) -> int | None:
        """Return the bytes a repository may have, or None for any number. The first pattern that fits counts."""
        return next((limit for pattern, limit in self.quotas.items() if matches(pattern, repository)), None)

    def is_immutable(self, repository: str, tag: str) -> bool:
        """Return whether a tag must stay with the manifest it has."""
        return any(
            matches(pattern, repository) and any(fnmatchcase(tag, immutable) for immutable in tags)
            for pattern, tags in self.immutable_tags.items()
        )


def load(path: Path) -> Config:
    """Read a configuration. Raise InvalidInput that names the file and the key."""
    try:
        return parse(tomllib.loads(path.read_text()), str(path))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error


def parse(document: dict[str, Any], where: str) -> Config:
    """Return the configuration in a decoded document; `where` names it in errors."""
    _refuse_unknown(document, Config, where, "")
    try:
        config = msgspec.convert(document, Config, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{where} is not a good configuration: {error}") from error
    for name, value, choices in (
        ("sparse", config.sparse, ("all", "children", "none")),
        ("auth.mode", config.auth.mode, ("basic", "token")),
        ("metrics", config.metrics, ("anyone", "users", "nobody")),
    ):
        if value not in choices:
            raise InvalidInput(f"{where}: {name} must be {_listed(choices, 'or')}, not {value!r}")
    if config.metrics == "users" and config.auth.htpasswd is None:
        raise InvalidInput(f'{where}: metrics = "users" needs auth.htpasswd, for there are no users without it')
    if unknown := {event for hook in config.hooks for event in hook.events} - EVENTS:
        raise InvalidInput(f"{where}: hooks tell of push, delete and pull, not of {sorted(unknown)[0]!r}")
    return config


def _refuse_unknown(document: dict[str, Any], kind: type[Struct], where: str, path: str) -> None:
    """Raise InvalidInput for the first key that a part of the configuration does not have, with what was meant."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in document.items():
        if key not in fields:
            place = f"{where}, {path}" if path else where
            keys = f"The keys are {_listed(sorted(fields), 'and')}."
            near = did_you_mean(key, fields)
            raise InvalidInput(f"{place}: there is no key {key!r}", advice=f"{near} {keys}" if near else keys)
        parts = value if isinstance(value, list | tuple) else [value]
        for inner in filter(_is_part, (fields[key], *get_args(fields[key]))):
            for part in parts:
                if isinstance(part, dict):
                    _refuse_unknown(part, inner, where, f"{path}.{key}" if path else key)


def _is_part(kind: Any) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _listed(words: Sequence[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise ValueError("a path is needed")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    translated = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))


def matches(pattern: str, repository: str) -> bool:
    """Return whether a repository's name fits a pattern."""
    return _compiled(pattern).fullmatch(repository) is not None
