"""Between registries and the images here: pull and push, each one short composition; search and login."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from lamina.builder.download import download
from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import HUB_KEY, Credentials, registry_key
from lamina.distribution import Found, PulledImage, RegistryClient, Settings, pull_all
from lamina.distribution import pull as pull_content
from lamina.distribution import push as push_content
from lamina.distribution import search as search_registry
from lamina.distribution.answer_errors import without_secrets
from lamina.distribution.inspect import Inspected
from lamina.distribution.inspect import inspect as inspect_remote
from lamina.errors import InvalidInput, NotFound, Unavailable
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform, choose
from lamina.formats.reference import DEFAULT_DOMAIN, Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.progress import Report, Status, ignore
from lamina.store.store import Store


class Registries:
    """Registries as the engine uses them. Thread-safe; each verb has a client of its own, with its credentials."""

    def __init__(self, store: Store, images: Images, settings: Settings) -> None:
        self._store = store
        self._images = images
        self._settings = settings

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials | None = None,
        all_tags: bool = False,
        all_platforms: bool = False,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        """Brings in the image `reference` names, or with `all_tags` every tag of its repository.

        With `all_platforms` the images for other platforms than `platform` (this machine's) come as well, after it,
        each under the digest of its manifest; where none is for `platform`, the first one gets the name.
        Raises NotFound, Unauthorized, Forbidden, RateLimited, Unavailable, Corrupt, NoSpace, Cancelled.
        """
        with self._client(reference, credentials, "pull", cancellation) as client:
            if all_tags:
                _, tags = client.first(reference, lambda repository: list(repository.tags()))
                wanted = [reference.with_tag(tag) for tag in tags]
            else:
                wanted = [reference.with_default_tag()]
            images: list[Image] = []
            for one in wanted:
                with self._store.lease(keep=True):
                    if all_platforms:
                        whole = pull_all(one, self._store, report, client=client)
                        found = _first_for(platform or Platform.host(), whole)
                    else:
                        found = [pull_content(one, platform, self._store, report, client=client)]
                    images += self._enter(one, found, report)
            return images

    def _enter(self, reference: Reference, found: Sequence[PulledImage], report: Report) -> list[Image]:
        """Makes images of what was pulled; the first one gets the name."""
        before = self._images.find(str(reference))
        first, *others = found
        named = [(first, _names(reference, first))]
        named += [(one, [_by_digest(reference, one.manifest.digest)]) for one in others]
        images = [self._images.create(one.config, manifest=one.manifest, references=names) for one, names in named]
        image = images[0]
        fresh = before is None or before.id != image.id
        report(
            Status(f"Status: {'Downloaded newer image' if fresh else 'Image is up to date'} for {reference.familiar()}")
        )
        self._images.publish("pull", image, reference.familiar())
        return images

    def push(
        self,
        reference: Reference,
        *,
        credentials: Credentials | None = None,
        all_tags: bool = False,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """Sends the image `reference` names, or with `all_tags` every tag of the repository.

        Raises NotFound for a name that is not here, and what the registry answers, Cancelled.
        """
        names = self._tags_of(reference) if all_tags else [reference.with_default_tag()]
        with self._client(reference, credentials, "push", cancellation) as client:
            for name in names:
                image = self._images.get(str(name))
                manifest = self._images.manifest(image) if image.manifest_digest else None
                pushed = push_content(
                    name,
                    image.config,
                    image.layers,
                    self._store,
                    report,
                    client=client,
                    manifest=manifest,
                )
                self._images.add_digest(image, name.without_tag().with_digest(pushed.digest))
                self._images.publish("push", image, name.familiar())

    def _tags_of(self, reference: Reference) -> list[Reference]:
        listed = self._images.list()
        names = sorted({str(n) for item in listed for n in item.references if n.name == reference.name and n.tag})
        if not names:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        return [Reference.parse(name) for name in names]

    def import_url(
        self,
        url: str,
        reference: Reference | None = None,
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: Platform | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Make an image of the tar behind an address, as `Images.import_tar` does.

        Raises NotFound, Unavailable, Cancelled, and what `import_tar` raises.
        """
        report(Status(f"Downloading from {url}"))
        try:
            with download(url, cancellation) as answer:
                return self._images.import_tar(
                    cast(BinaryIO, answer),
                    reference,
                    message=message or f"Imported from {url}",
                    changes=changes,
                    platform=platform,
                    cancellation=cancellation,
                )
        except (NotFound, Unavailable) as error:
            raise type(error)(
                f"cannot fetch {without_secrets(url)}: {error.message}", advice=error.advice, **error.facts
            ) from error

    def search(self, term: str, *, limit: int = 25, credentials: Credentials | None = None) -> Sequence[Found]:
        """Repositories that match `term`, which may begin with a registry."""
        with RegistryClient(self._settings, lambda key: credentials) as client:
            return search_registry(client, term, limit)

    def inspect(self, reference: Reference, *, credentials: Credentials | None = None) -> Inspected:
        """What the registry says of an image, without pulling it."""
        with self._client(reference, credentials, "inspect") as client:
            return inspect_remote(client, reference)

    def login(self, server: str, credentials: Credentials) -> Credentials:
        """Whether credentials are good for `server`; gives what to keep. Raises Unauthorized, Unavailable, and
        InvalidInput for what is no address."""
        key = _key(server) if server else HUB_KEY
        domain = DEFAULT_DOMAIN if key == HUB_KEY else key
        with RegistryClient(self._settings) as client:
            return client.login(domain, credentials)

    @contextmanager
    def _client(
        self, reference: Reference, credentials: Credentials | None, verb: str, cancellation: Cancellation = NEVER
    ) -> Iterator[RegistryClient]:
        """A client that shows `credentials` to the reference's own registry only, never to a mirror.

        A registry that cannot be reached is told with what it was to do.
        """
        wanted = HUB_KEY if reference.domain == DEFAULT_DOMAIN else reference.domain
        try:
            with RegistryClient(
                self._settings, lambda key: credentials if key == wanted else None, cancellation
            ) as client:
                yield client
        except Unavailable as error:
            message = f"cannot {verb} {reference.familiar()}: {error.message}"
            raise Unavailable(message, advice=error.advice, **error.facts) from error


def _key(server: str) -> str:
    """Under which a client names the registry. Raises InvalidInput for what is no address."""
    try:
        key = registry_key(server)
        if urlsplit(f"//{key}").port == 0:
            raise ValueError("port 0 is none")
    except ValueError as error:
        raise InvalidInput(f"{server!r} is no address of a registry: {error}", server=server) from None
    return key


def credentials_for(reference: Reference, known: Mapping[str, Credentials]) -> Credentials | None:
    """Those of the reference's registry, among several by registry as `X-Registry-Config` names them."""
    wanted = HUB_KEY if reference.domain == DEFAULT_DOMAIN else reference.domain
    return next((found for name, found in known.items() if registry_key(name) == wanted), None)


def _first_for(platform: Platform, found: Sequence[PulledImage]) -> list[PulledImage]:
    """The one that suits `platform` best, then the others in their order."""
    position = choose(platform, [one.config.platform for one in found]) or 0
    return [found[position], *found[:position], *found[position + 1 :]]


def _names(reference: Reference, pulled: PulledImage) -> list[Reference]:
    """The name that was asked for, and the digest under which the registry has it."""
    top = pulled.index or pulled.manifest
    digest = _by_digest(reference, top.digest)
    return [digest] if reference.tag is None else [reference if reference.digest is None else digest, digest]


def _by_digest(reference: Reference, digest: Digest) -> Reference:
    return replace(reference, tag=None, digest=None).with_digest(digest)
