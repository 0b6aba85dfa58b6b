"""Between registries and the images here: pull and push, each one short composition; search and login."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, cast
from urllib.parse import urlsplit

from lamina.builder.download import download
from lamina.builder.export.push import push_assembly
from lamina.builder.export.stored import stored
from lamina.cancellation import NEVER, Cancellation
from lamina.credentials import HUB_KEY, Credentials, registry_key
from lamina.distribution import PulledImage, RegistryClient, SearchResult, Settings, pull_all
from lamina.distribution import pull as pull_content
from lamina.distribution import push as push_content
from lamina.distribution import search as search_registry
from lamina.distribution.answer_errors import without_secrets
from lamina.distribution.attestations import attestation_documents
from lamina.distribution.inspect import Inspected, image_config
from lamina.distribution.inspect import inspect as inspect_remote
from lamina.errors import InvalidInput, NotFound, Unavailable
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.matching import Filters, flag
from lamina.formats.platform import Platform, choose
from lamina.formats.reference import DEFAULT_DOMAIN, Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.indexes import LocalIndex, NewIndex
from lamina.progress import Report, Status, ignore
from lamina.store.store import Store
from lamina.types import registries


class Registries(registries.Registries):
    """Registries as the engine uses them. Thread-safe; each verb has a client of its own, with its credentials."""

    def __init__(self, store: Store, images: Images, settings: Settings) -> None:
        self._store = store
        self._images = images
        self._settings = settings

    def pull(
        self,
        reference: str,
        *,
        platform: str = "",
        all_tags: bool = False,
        all_platforms: bool = False,
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        name = Reference.parse(reference)
        wanted_platform = Platform.parse(platform) if platform else None
        with self.client(name, credentials, "pull", cancellation) as client:
            if all_tags:
                _, tags = client.first(name, lambda repository: list(repository.tags()))
                names = [name.with_tag(tag) for tag in tags]
            else:
                names = [name.with_default_tag()]
            images: list[Image] = []
            for name in names:
                with self._store.lease(keep=True):
                    if all_platforms:
                        every = pull_all(name, self._store, report, client=client)
                        pulled = _first_for(wanted_platform or Platform.host(), every)
                    else:
                        pulled = [pull_content(name, wanted_platform, self._store, report, client=client)]
                    images += self._enter(name, pulled, report)
                    if all_platforms:
                        self._keep_index(name, pulled, client)
            return images

    def pull_base(
        self,
        reference: str,
        platform: Platform | None,
        *,
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Pull an image that is to have no name here but its digest. Raise what `pull` raises."""
        name = Reference.parse(reference).with_default_tag()
        with self.client(name, credentials, "pull", cancellation) as client, self._store.lease(keep=True):
            pulled = pull_content(name, platform, self._store, report, client=client)
            return self._enter(name, [pulled], report, named=False)[0]

    def _keep_index(self, name: Reference, pulled: Sequence[PulledImage], client: RegistryClient) -> None:
        """Let the name mean the index that all these images came with, if it lists nothing else but attestations."""
        index = pulled[0].index
        members = {item.manifest.digest: item for item in pulled}
        if index is None or name.tag is None or any(entry.digest not in members for entry in index.images):
            return
        _, documents = client.first(name, lambda repository: attestation_documents(repository, index))
        images = [(entry.digest, self._images.get(str(members[entry.digest].config.digest))) for entry in index.images]
        documents += [item.manifest.raw for item in pulled]
        self._images.indexes.create(NewIndex(index, images, documents), [name.with_tag(name.tag)])

    def _enter(
        self, reference: Reference, pulled_images: Sequence[PulledImage], report: Report, *, named: bool = True
    ) -> list[Image]:
        """Make images of what was pulled; the first one gets the name."""
        before = self._images.find(str(reference))
        first, *others = pulled_images
        names = _names(reference, first) if named else [_by_digest(reference, (first.index or first.manifest).digest)]
        entered = [(first, names)]
        entered += [(pulled, [_by_digest(reference, pulled.manifest.digest)]) for pulled in others]
        images = [self._images.create(item.config, manifest=item.manifest, references=names) for item, names in entered]
        image = images[0]
        fresh = before is None or before.id != image.id
        report(
            Status(f"Status: {'Downloaded newer image' if fresh else 'Image is up to date'} for {reference.familiar()}")
        )
        self._images.publish("pull", image, reference.familiar())
        return images

    def push(
        self,
        reference: str,
        *,
        all_tags: bool = False,
        platform: str = "",
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> None:
        name_to_push = Reference.parse(reference)
        names = self._tags_of(name_to_push) if all_tags else [name_to_push.with_default_tag()]
        with self.client(name_to_push, credentials, "push", cancellation) as client:
            for name in names:
                self._push(name, platform, client, report)

    def _push(self, name: Reference, platform: str, client: RegistryClient, report: Report) -> None:
        index = None if platform else self._images.indexes.find(str(name))
        if index is not None:
            self._push_index(name, index, client, report)
            return
        image = self._images.get(str(name), platform=platform)
        pushed = push_content(
            name,
            image.config,
            image.layers,
            self._store,
            report,
            client=client,
            manifest=self._images.manifest(image) if image.manifest_digest else None,
        )
        self._images.add_digest(image, name.without_tag().with_digest(pushed.digest))
        self._images.publish("push", image, name.familiar())

    def _push_index(self, name: Reference, index: LocalIndex, client: RegistryClient, report: Report) -> None:
        """Push an index with all its images. What the registry has then is what the name means here."""
        images = [image for _, image in index.images]
        with self._images.held(images):
            assembly = stored(self._images, index, client.cancellation)
            push_assembly(assembly, name, self._store, report, client=client)
            if assembly.index is not None and assembly.index.digest != index.index.digest:
                manifests = [(item.manifest.digest, item.image) for item in assembly.images]
                documents = [*(item.manifest.raw for item in assembly.images), *assembly.documents]
                self._images.indexes.create(NewIndex(assembly.index, manifests, documents), [name])
        self._images.publish("push", index.main, name.familiar())

    def _tags_of(self, reference: Reference) -> list[Reference]:
        listed = self._images.list()
        names = sorted({str(n) for item in listed for n in item.references if n.name == reference.name and n.tag})
        if not names:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        return [Reference.parse(name) for name in names]

    def import_url(
        self,
        url: str,
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        url = url if "://" in url else f"http://{url}"
        try:
            with download(url, cancellation) as answer:
                report(Status(f"Downloading from {without_secrets(url)}"))  # what fails before is an error of its own
                return self._images.import_tar(
                    cast(IO[bytes], answer),
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

    def search(
        self, term: str, *, limit: int = 25, filters: Filters | None = None, credentials: Credentials | None = None
    ) -> Sequence[SearchResult]:
        with RegistryClient(self._settings, lambda key: credentials) as client:
            return [item for item in search_registry(client, term, limit) if _fits(item, filters or {})]

    def inspect(self, reference: str, *, credentials: Credentials | None = None) -> Inspected:
        name = Reference.parse(reference)
        with self.client(name, credentials, "inspect") as client:
            return inspect_remote(client, name)

    def repositories(self, server: str, *, limit: int = 1000, credentials: Credentials | None = None) -> Sequence[str]:
        own = _key(server)
        domain = DEFAULT_DOMAIN if own == HUB_KEY else own
        with RegistryClient(self._settings, lambda key: credentials if key == own else None) as client:
            return list(client.catalog(domain, limit=limit))

    def tags(self, reference: str, *, limit: int = 1000, credentials: Credentials | None = None) -> Sequence[str]:
        name = Reference.parse(reference)
        with self.client(name, credentials, "list the tags of") as client:
            _, tags = client.first(name, lambda repository: list(repository.tags(limit=limit)))
            return tags

    def manifest(self, reference: str, *, credentials: Credentials | None = None) -> bytes:
        return self.inspect(reference, credentials=credentials).document.raw

    def config(
        self,
        reference: str,
        platform: Platform | None,
        *,
        credentials: Credentials | None = None,
        cancellation: Cancellation = NEVER,
    ) -> ImageConfig:
        """Return the config of an image without pulling it. Raise as `inspect` does, and Cancelled."""
        name = Reference.parse(reference)
        with self.client(name, credentials, "inspect", cancellation) as client:
            return image_config(client, name, platform or Platform.host())

    def login(self, server: str, credentials: Credentials) -> Credentials:
        key = _key(server) if server else HUB_KEY
        domain = DEFAULT_DOMAIN if key == HUB_KEY else key
        with RegistryClient(self._settings) as client:
            return client.login(domain, credentials)

    @contextmanager
    def client_for(
        self, reference: Reference, credentials: Mapping[str, Credentials], cancellation: Cancellation
    ) -> Iterator[RegistryClient]:
        """Provide a client that shows the reference's registry its own credentials among several by registry."""
        with self.client(reference, credentials_for(reference, credentials), "look into", cancellation) as client:
            yield client

    @contextmanager
    def client(
        self, reference: Reference, credentials: Credentials | None, verb: str, cancellation: Cancellation = NEVER
    ) -> Iterator[RegistryClient]:
        """Provide a client that shows `credentials` to the reference's own registry only, never to a mirror.

        The error for a registry that cannot be reached says what was tried: pull, push or inspect.
        """
        own_registry = HUB_KEY if reference.domain == DEFAULT_DOMAIN else reference.domain
        try:
            with RegistryClient(
                self._settings, lambda key: credentials if key == own_registry else None, cancellation
            ) as client:
                yield client
        except Unavailable as error:
            message = f"cannot {verb} {reference.familiar()}: {error.message}"
            raise Unavailable(message, advice=error.advice, **error.facts) from error


def _key(server: str) -> str:
    """Return the key under which a client names the registry. Raise InvalidInput for a malformed address."""
    try:
        key = registry_key(server)
        if urlsplit(f"//{key}").port == 0:
            raise ValueError("port 0 is none")
    except ValueError as error:
        raise InvalidInput(f"{server!r} is no address of a registry: {error}", server=server) from None
    return key


def credentials_for(reference: Reference, credentials: Mapping[str, Credentials]) -> Credentials | None:
    """Return the credentials for the reference's registry, among several by registry as in `X-Registry-Config`."""
    registry = HUB_KEY if reference.domain == DEFAULT_DOMAIN else reference.domain
    return next((login for name, login in credentials.items() if registry_key(name) == registry), None)


def _first_for(platform: Platform, pulled_images: Sequence[PulledImage]) -> list[PulledImage]:
    """Return the image that suits `platform` best, then the others in their order."""
    position = choose(platform, [pulled.config.platform for pulled in pulled_images]) or 0
    return [pulled_images[position], *pulled_images[:position], *pulled_images[position + 1 :]]


def _names(reference: Reference, pulled: PulledImage) -> list[Reference]:
    """Return the name that was asked for, and the digest under which the registry has it."""
    top = pulled.index or pulled.manifest
    digest = _by_digest(reference, top.digest)
    return [digest] if reference.tag is None else [reference if reference.digest is None else digest, digest]


def _by_digest(reference: Reference, digest: Digest) -> Reference:
    return replace(reference, tag=None, digest=None).with_digest(digest)


def _fits(item: SearchResult, filters: Filters) -> bool:
    stars = max((int(text) for text in filters.get("stars", ()) if text.isdecimal()), default=0)
    if "is-official" in filters and item.official != flag(filters, "is-official", False):
        return False
    if "is-automated" in filters and item.automated != flag(filters, "is-automated", False):
        return False
    return item.stars >= stars
