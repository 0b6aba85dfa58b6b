"""Names of images on the command line: their parts, and the credentials for their registries."""

from __future__ import annotations

from lamina.cli.settings import ConfigFile
from lamina.credentials import CredentialFile, Credentials, registry_key

Auth = dict[str, str]


def registry_of(reference: str) -> str:
    """The registry a reference names: what stands before the first slash, where it looks like a host."""
    first, slash, _ = reference.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    return first if is_host else "docker.io"


def auth_for(config: ConfigFile, reference: str) -> Auth | None:
    """Return what is known for the registry of a reference; None where nothing is, or config.json cannot be read.

    Raise InvalidInput for damaged credentials, Unavailable for a helper that does not work.
    """
    if config.problem:
        return None
    registry = registry_of(reference)
    known = CredentialFile(config.path).get(registry)
    return to_auth(registry, known) if known else None


def all_auths(config: ConfigFile) -> dict[str, Auth]:
    """Return all that is known, for a build that may pull from any registry."""
    if config.problem:
        return {}
    return {name: to_auth(name, known) for name, known in CredentialFile(config.path).all().items()}


def to_auth(registry: str, credentials: Credentials) -> Auth:
    """Docker's AuthConfig; what is empty is left out."""
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.registry_token,
    }
    return {**{name: text for name, text in fields.items() if text}, "serveraddress": registry_key(registry)}


def split_reference(text: str) -> tuple[str, str]:
    """("repository", "tag") of "repository:tag", or of "repository@digest"; the second is "" where there is none.

    A colon before the last slash is the registry's port. Raises InvalidInput for what is no name: the daemon, given
    the two parts, could no longer tell.
    """
    from lamina.formats.reference import Reference

    if text:
        Reference.parse(text)
    repository, at, digest = text.partition("@")
    if at:
        return repository, digest
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, ""
    return name, tag
