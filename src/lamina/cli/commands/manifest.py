"""`lamina manifest …`: images for several platforms under one name, put together from images in registries."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from lamina.cli.arguments import many, switch
from lamina.cli.manifest_lists import Drafts, Entry, joined
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.credentials import CredentialFile
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference

if TYPE_CHECKING:
    from lamina.distribution import RegistryClient

insecure_option = switch("--insecure", help="Talk to the registries without TLS, or without checking it")


def _drafts(session: Session) -> Drafts:
    return Drafts(session.settings.config.folder)


def _named(text: str) -> Reference:
    return Reference.parse(text).with_default_tag()


@contextmanager
def _registries(session: Session, insecure: bool, *names: Reference) -> Iterator[RegistryClient]:
    from lamina.distribution import RegistryClient, Settings

    trusted = tuple({name.domain for name in names}) if insecure else ()
    credentials = CredentialFile(session.settings.config.path)
    with RegistryClient(Settings(insecure=trusted), credentials.get) as client:
        yield client


def _look(reference: Reference, client: RegistryClient) -> Entry:
    from lamina.distribution.manifest_lists import describe, read

    manifest = read(reference, client)
    if isinstance(manifest, Index):
        raise InvalidInput(f"{reference.familiar()} is a list itself", advice="Name its images by digest")
    return Entry(reference, describe(reference, manifest, client), manifest)


@command("lamina manifest create team/app:1 team/app:1-amd64 team/app:1-arm64")
@argument("manifest_list")
@argument("manifests", metavar="MANIFEST [MANIFEST...]", many=True)
@switch("-a", "--amend", help="Change a list that is there already")
@insecure_option
def create(session: Session, manifest_list: str, manifests: tuple[str, ...], amend: bool, insecure: bool) -> None:
    """Begin a list of images, here, to be annotated and pushed."""
    target, names, drafts = _named(manifest_list), [_named(name) for name in manifests], _drafts(session)
    if drafts.has(target) and not amend:
        raise Conflict(f"there is a list {target} already", advice="Change it with --amend, or remove it first")
    with _registries(session, insecure, *names) as client:
        entries = [_look(name, client) for name in names]
    for entry in entries:
        drafts.save(target, entry)
    print(f"Created manifest list {target}")


@command("lamina manifest annotate --arch arm64 --variant v8 team/app:1 team/app:1-arm64")
@argument("manifest_list")
@argument("manifest")
@option("--arch", default="", help="Architecture")
@option("--os", "system", default="", help="Operating system")
@many("--os-features", help="Features of the operating system that it needs")
@option("--os-version", default="", help="Version of the operating system")
@option("--variant", default="", help="Variant of the architecture")
def annotate(
    session: Session,
    manifest_list: str,
    manifest: str,
    arch: str,
    system: str,
    os_features: tuple[str, ...],
    os_version: str,
    variant: str,
) -> None:
    """Say on which platform an image of a list runs."""
    target, drafts = _named(manifest_list), _drafts(session)
    entry = _entry(drafts, target, _named(manifest))
    current = entry.descriptor.platform or Platform("", "")
    added_features = [feature for text in os_features for feature in text.split(",")]
    platform = Platform(
        system or current.os,
        arch or current.architecture,
        variant or current.variant,
        os_version or current.os_version,
        tuple(dict.fromkeys([*current.os_features, *added_features])),
    )
    drafts.save(target, entry._replace(descriptor=replace(entry.descriptor, platform=platform)))


def _entry(drafts: Drafts, target: Reference, name: Reference) -> Entry:
    for entry in drafts.get(target):
        if entry.reference == name:
            return entry
    raise NotFound(f"the list {target.familiar()} has no image {name.familiar()}")


@command("""
    lamina manifest inspect registry.example.com/team/app:1
    lamina manifest inspect team/app:1 team/app:1-arm64
""")
@argument("names", metavar="[MANIFEST_LIST] MANIFEST", many=True)
@insecure_option
@switch("-v", "--verbose", help="With platforms and references")
def inspect(session: Session, names: tuple[str, ...], insecure: bool, verbose: bool) -> None:
    """Show a manifest or a list: one that is in the making here, else what the registry has."""
    if len(names) > 2:
        raise InvalidInput("one manifest can be shown, or one of a list")
    drafts, name = _drafts(session), _named(names[-1])
    if len(names) == 2:
        _show_one(_entry(drafts, _named(names[0]), name), verbose)
    elif drafts.has(name):
        _show_list(drafts.get(name), None, verbose)
    else:
        with _registries(session, insecure, name) as client:
            _show_remote(name, client, verbose)


def _show_remote(name: Reference, client: RegistryClient, verbose: bool) -> None:
    from lamina.distribution.manifest_lists import read

    document = read(name, client)
    if isinstance(document, Manifest):
        return _show(_look(name, client).document() if verbose else json.loads(document.raw), "\t")
    entries = []
    for listed in document.manifests if verbose else ():
        image_name = name.without_tag().with_digest(listed.digest)
        manifest = read(image_name, client)
        if isinstance(manifest, Manifest):
            entries.append(Entry(image_name, listed, manifest))
    return _show_list(entries, document, verbose)


def _show_one(entry: Entry, verbose: bool) -> None:
    _show(entry.document() if verbose else json.loads(entry.manifest.raw), "\t")


def _show(document: object, indent: int | str) -> None:
    print(json.dumps(document, indent=indent, ensure_ascii=False))


def _show_list(entries: list[Entry], index: Index | None, verbose: bool) -> None:
    if verbose:
        _show([entry.document() for entry in entries], "\t")
    else:
        _show(json.loads((index or joined(entries)).raw), 3)


@command("lamina manifest push --purge team/app:1")
@argument("manifest_list")
@insecure_option
@switch("-p", "--purge", help="Forget the list here afterwards")
def push(session: Session, manifest_list: str, insecure: bool, purge: bool) -> None:
    """Send a list to its registry, with those of its images that are in other repositories."""
    from lamina.cli.progress import Display
    from lamina.distribution.manifest_lists import push_list

    target, drafts = _named(manifest_list), _drafts(session)
    entries = drafts.get(target)
    for entry in entries:
        platform = entry.descriptor.platform
        if platform is None or not (platform.os and platform.architecture):
            advice = "Say them with `lamina manifest annotate`"
            raise InvalidInput(f"{entry.reference.familiar()} has no operating system or architecture", advice=advice)
    index, sources = joined(entries), [(entry.reference, entry.manifest) for entry in entries]
    with (
        _registries(session, insecure, target, *(entry.reference for entry in entries)) as client,
        Display(sys.stderr) as display,
    ):
        push_list(target, index, sources, display, client=client)
    print(index.digest)
    if purge:
        drafts.remove(target)


@command("lamina manifest rm team/app:1")
@argument("manifest_lists", metavar="MANIFEST_LIST [MANIFEST_LIST...]", many=True)
def rm(session: Session, manifest_lists: tuple[str, ...]) -> None:
    """Forget lists that are in the making here."""
    for name in manifest_lists:
        _drafts(session).remove(_named(name))
