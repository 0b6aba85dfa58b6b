"""Credentials for the registries that names of images on the command line tell, from Docker's config.json."""

from __future__ import annotations

from lamina.cli.settings import ConfigFile
from lamina.client.messages import registry_of
from lamina.credentials import CredentialFile, Credentials


def credentials_for(config: ConfigFile, reference: str) -> Credentials | None:
    """Return what is known for the registry of a reference; None where nothing is, or config.json cannot be read.

    Raise InvalidInput for damaged credentials, Unavailable for a helper that does not work.
    """
    return None if config.problem else CredentialFile(config.path).get(registry_of(reference))


def all_credentials(config: ConfigFile) -> dict[str, Credentials]:
    """Return all that is known, for a build that may pull from any registry."""
    return {} if config.problem else CredentialFile(config.path).all()
