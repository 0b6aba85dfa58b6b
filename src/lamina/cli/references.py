"""Names of images on the command line: their parts, and the credentials for their registries."""

from __future__ import annotations

from lamina.cli.settings import ConfigFile
from lamina.credentials import CredentialFile, Credentials, registry_key

Auth = dict[str, str]


def registry_of(reference: str) -> str:
    """Return the registry that a reference names. The part before the first slash is one if it looks like a host."""
    first, slash, _ = reference.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    return first if is_host else "docker.io"


def auth_for(config: ConfigFile, reference: str) -> Auth | None:
    """Return the credentials for the registry of a reference. Return None without any, or if config.json is unreadable.

    Raise InvalidInput for damaged credentials, Unavailable for a helper that does not work.
    """
    if config.problem:
        return None
    registry = registry_of(reference)
    credentials = CredentialFile(config.path).get(registry)
    return to_auth(registry, credentials) if credentials else None


def all_auths(config: ConfigFile) -> dict[str, Auth]:
    """Return all credentials, for a build that may pull from any registry."""
    if config.problem:
        return {}
    return {name: to_auth(name, credentials) for name, credentials in CredentialFile(config.path).all().items()}


def to_auth(registry: str, credentials: Credentials) -> Auth:
    """Return Docker's AuthConfig, without empty fields."""
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.registry_token,
    }
    return {**{name: text for name, text in fields.items() if text}, "serveraddress": registry_key(registry)}


def split_reference(text: str) -> tuple[str, str]:
    """Return ("repository", "tag") of "repository:tag", or of "repository@digest". The second is "" if it is missing.

    A colon before the last slash belongs to the registry's port. Raise InvalidInput for an invalid name: the daemon
    could not recognise it from its two parts.
    """
    from lamina.formats.reference import Reference

    if text:
        Reference.parse(text)
    repository, at_sign, digest = text.partition("@")
    if at_sign:
        return repository, digest
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, ""
    return name, tag
