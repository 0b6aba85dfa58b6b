"""Names of images as the API's parameters want them: apart, repository and tag."""

from __future__ import annotations


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
