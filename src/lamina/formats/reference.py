"""Names of images: the grammar of distribution/reference, with Docker's familiar short forms.

    reference = [domain "/"] path [":" tag] ["@" digest]

A first component is a domain only if it holds a dot, a colon or an upper-case letter, or is `localhost`; all else
belongs to Docker Hub, whose official images live under `library/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lamina.errors import InvalidInput
from lamina.formats.digest import Digest

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_PATH = 255  # characters, distribution/reference's RepositoryNameTotalLengthMax
MAX_TEXT = 2048  # characters of a whole reference: far above what the grammar's parts add up to in practice

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_DOMAIN_FORM = re.compile(_DOMAIN)
_PATH_FORM = re.compile(_PATH)
_TAG_FORM = re.compile(_TAG)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_ENDING = re.compile(rf"(?P<name>[^@]*?)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")


def is_tag(text: str) -> bool:
    """Return whether `text` has the form of a tag."""
    return _TAG_FORM.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Return whether `text` has the form of a repository name without a domain, as registries use it."""
    return len(text) <= MAX_PATH and _PATH_FORM.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A normalised name: `domain` and `path` are always there, `tag` and `digest` may be. `str()` is canonical."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if not _DOMAIN_FORM.fullmatch(self.domain):
            raise _invalid(self.domain, "the domain is malformed")
        if len(self.path) > MAX_PATH:
            raise InvalidInput(f"The repository name must not have more than {MAX_PATH} characters")
        if not _PATH_FORM.fullmatch(self.path):
            raise _invalid(self.path, "repository names are lower-case words joined by . _ - and /")
        if self.tag is not None and not _TAG_FORM.fullmatch(self.tag):
            raise _invalid(self.tag, "the tag is malformed")

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that a person wrote, normalised as Docker does it: `alpine` is docker.io/library/alpine.

        No tag is added. Raise InvalidInput for what does not fit the grammar and for bare 64-digit image IDs.
        """
        if _IDENTIFIER.fullmatch(text):
            raise InvalidInput(f"Invalid repository name {text!r}: it cannot be 64 hexadecimal digits", reference=text)
        parts = _ENDING.fullmatch(text) if 0 < len(text) <= MAX_TEXT else None
        if parts is None:
            raise _invalid(text, None)
        domain, path = _split(parts["name"])
        if path.lower() != path:
            raise _invalid(text, f"repository name ({path}) must be lowercase")
        digest = Digest.parse(parts["digest"]) if parts["digest"] else None
        try:
            return cls(domain, path, parts["tag"], digest)
        except InvalidInput as error:
            raise _invalid(text, error.facts.get("reason", error.message)) from error

    @property
    def name(self) -> str:
        """Return domain and path: `docker.io/library/alpine`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """Return the shortest name that means this one: `alpine`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL)
        return self.path if "/" in short else short

    def familiar(self) -> str:
        """Return the shortest form with tag and digest, as Docker shows it: `alpine:latest`, `alpine@sha256:…`."""
        return self.familiar_name + self._ending()

    def __str__(self) -> str:
        return self.name + self._ending()

    def _ending(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_default_tag(self) -> Reference:
        """Return this with the tag `latest`, unless it has a tag or a digest already."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> Reference:
        """Return this with another tag; a digest is dropped, because it named other content."""
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: Digest) -> Reference:
        """Return this pinned to `digest`, without a tag."""
        return Reference(self.domain, self.path, None, digest)

    def without_tag(self) -> Reference:
        """Return only the name."""
        return Reference(self.domain, self.path)


def _would_be_domain(component: str) -> bool:
    return component == "localhost" or "." in component or ":" in component or component.lower() != component


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not (first == LEGACY_DOMAIN or _would_be_domain(first)):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = (DEFAULT_DOMAIN if first == LEGACY_DOMAIN else first), rest
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    return domain, path


def _invalid(text: str, reason: str | None) -> InvalidInput:
    excerpt = text if len(text) <= 300 else text[:300] + "…"
    ending = f": {reason}" if reason else ""
    return InvalidInput(f"invalid reference format: {excerpt!r}{ending}", reference=excerpt, reason=reason)
