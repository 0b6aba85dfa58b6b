"""What is to be looked into, as people name it: an image, a container, an archive, an image at a registry."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lamina.api.explorer import LayerSummary
from lamina.cli.credentials import credentials_for
from lamina.cli.session import Session
from lamina.client.messages import registry_of
from lamina.errors import InvalidInput, NotFound, Unsupported
from lamina.types.explorer import Explorer

_ARCHIVE = "archive://"
_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".oci")


@dataclass(frozen=True, slots=True)
class Explored:
    """An explorer, the references under which it knows what was named, and the layers that it has told of already."""

    explorer: Explorer
    references: Sequence[str]
    layers: Mapping[str, tuple[LayerSummary, ...]] = field(default_factory=dict)


@contextmanager
def explored(session: Session, *names: str) -> Iterator[Explored]:
    """Provide an explorer of what is named.

    A name with a scheme means just that: container://, registry:// or archive://. Without one it is a file, an image,
    a container, or an image at the registry that it names, whichever is there first. Raise NotFound.
    """
    if any(_archive(name) for name in names):
        with _with_archives(session, names) as opened:
            yield opened
        return
    credentials = {}
    layers: dict[str, tuple[LayerSummary, ...]] = {}
    references = [_reference(session, name, layers) for name in names]
    for reference in references:
        scheme, _, name = reference.partition("://")
        if scheme == "registry" and (login := credentials_for(session.settings.config, name)) is not None:
            credentials[registry_of(name)] = login
    yield Explored(session.client.explorer.with_credentials(credentials), references, layers)


def _archive(name: str) -> Path | None:
    """Return the file that a name means; None for another kind of name."""
    if name.startswith(_ARCHIVE):
        return Path(name.removeprefix(_ARCHIVE))
    looks_like_one = name.startswith(("/", "./", "../")) or name.endswith(_SUFFIXES)
    return Path(name) if looks_like_one and Path(name).is_file() else None


def _reference(session: Session, name: str, layers: dict[str, tuple[LayerSummary, ...]]) -> str:
    """Return what a name means, and note the layers that finding it out has brought."""
    if "://" in name:
        return name
    explorer = session.client.explorer
    try:
        layers[name] = explorer.layers(name)
        return name
    except NotFound as error:
        problem = error
    try:
        layers[f"container://{name}"] = explorer.layers(f"container://{name}")
        return f"container://{name}"
    except (NotFound, InvalidInput):
        if registry_of(name) == "docker.io":
            problem.advice = f"For an image that is only at its registry, write registry://{name}"
            raise problem from None
        return f"registry://{name}"


@contextmanager
def _with_archives(session: Session, names: tuple[str, ...]) -> Iterator[Explored]:
    """Look into archives here, without a daemon. Images of the daemon that are compared with them are fetched."""
    from lamina.explorer.archives import Archives

    with Archives() as archives:
        references = []
        for name in names:
            path = _archive(name)
            if path is not None:
                try:
                    with path.open("rb") as file:
                        references.append(archives.add(file))
                except OSError as error:
                    raise InvalidInput(f"{path}: {error.strerror}", path=str(path)) from None
            elif "://" in name:
                advice = "Pull the image, or commit the container, and name the image."
                raise Unsupported(f"an archive cannot be compared with {name}", advice=advice)
            else:
                with tempfile.TemporaryFile() as file:
                    session.client.images.save([name], file)
                    file.seek(0)
                    references.append(archives.add(file))
        yield Explored(archives.explorer, references)
