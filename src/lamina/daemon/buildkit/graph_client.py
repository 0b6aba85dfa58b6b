"""What a BuildKit client offers to its graphs, over its session: images, folders, secrets, agents, permissions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property

from lamina.builder.file_sums import Sums
from lamina.builder.ops.outside import ForeignFiles
from lamina.daemon.buildkit.agents import ForwardedAgents
from lamina.daemon.buildkit.definition import own_image
from lamina.daemon.buildkit.filesync import Selection, receive_files
from lamina.daemon.buildkit.frontend import Client, Secrets
from lamina.daemon.buildkit.layouts import LayoutName
from lamina.engine.builds import Builds
from lamina.errors import InvalidInput
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.tar.source import Readable
from lamina.progress import Report

_MOST_PATTERNS = 10_000


class GraphClient:
    """One build's client, as its graphs see it: an Outside. Thread-safe."""

    def __init__(self, client: Client, builds: Builds, images: Images, entitlements: frozenset[str]) -> None:
        self._client = client
        self._builds = builds
        self._images = images
        self._entitlements = entitlements

    @cached_property
    def secrets(self) -> Mapping[str, bytes]:
        return Secrets(self._client)

    @cached_property
    def agents(self) -> ForwardedAgents:
        return ForwardedAgents(self._client)

    def allows(self, entitlement: str) -> bool:
        return entitlement in self._entitlements

    def image(self, name: str, platform: Platform | None, mode: str, report: Report) -> Image:
        own = own_image(name)
        if own is not None:
            return self._images.get(own)
        return self._builds.base_image(
            str(Reference.parse(name).with_default_tag()),
            platform,
            pull=mode == "pull",
            credentials=self._client.credentials,
            report=report,
            cancellation=self._client.cancellation,
        )

    def folder_files(self, name: str, attributes: Mapping[str, str], report: Report) -> ForeignFiles:
        client = self._client
        follow = _patterns(attributes, "local.followpaths")
        selection = Selection(
            name,
            include=_patterns(attributes, "local.includepattern"),
            exclude=_patterns(attributes, "local.excludepatterns"),
            follow=follow,
        )
        # A part of a folder must not take the place of the whole in what is kept for the next transfer.
        saved = None if follow or selection.include else self._builds.saved_contexts
        session = client.session_of(attributes.get("local.session", ""))
        tree = receive_files(session, selection, client.temporary, client.cancellation, saved, report)
        return ForeignFiles(tree, Sums(tree.sums), tree.close)

    def upload(self, path: str) -> AbstractContextManager[Readable]:
        return self._client.upload("buildkit-session", f"/{path}")

    def layout(self, name: str, platform: Platform | None, attributes: Mapping[str, str]) -> Image:
        layout = LayoutName(name, attributes.get("oci.store", ""), attributes.get("oci.session", ""))
        return layout.image(self._client, platform, self._images)


def _patterns(attributes: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Return the list of an attribute, which is written as JSON. Raise InvalidInput."""
    text = attributes.get(key)
    if not text:
        return ()
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if values is None and text.strip() == "null":
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidInput(f"the attribute {key} of a source is no list of texts")
    if len(values) > _MOST_PATTERNS:
        raise InvalidInput(f"the attribute {key} of a source has more than {_MOST_PATTERNS} values")
    return tuple(values)
