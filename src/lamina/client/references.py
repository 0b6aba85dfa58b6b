"""Names of images as requests spell them: in paths, and as a repository and a tag."""

from __future__ import annotations

from lamina.client.transport import encode_name


def image_path(reference: str) -> str:
    """Return the path of an image's endpoints."""
    return f"/images/{encode_name(reference, safe='/:@')}"


def split_name(name: str) -> tuple[str, str]:
    """Return the repository and the tag, or digest, of a name; "" where there is none.

    A colon before the last slash is the registry's port. Raise InvalidInput for a malformed name, which the daemon
    could not recognise by its two parts.
    """
    from lamina.formats.reference import Reference

    if name:
        Reference.parse(name)
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    head, colon, tag = name.rpartition(":")
    return (name, "") if not colon or "/" in tag else (head, tag)
