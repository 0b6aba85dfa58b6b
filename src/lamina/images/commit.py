"""`commit`: what a container changed becomes a layer on top of its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from lamina.formats.config import Healthcheck, History, ImageConfig, RunConfig
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.catalog import Catalog
from lamina.images.changes import apply_changes
from lamina.images.create import NewImage, create
from lamina.images.image import Image
from lamina.images.times import now
from lamina.layers.builder import LayerBuilder


class Changed(Protocol):
    """What can tell its changes as a layer: a snapshot."""

    def write_diff(self, builder: LayerBuilder) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOptions:
    """How to make the image. `container` is the container's config; `config`, where given, what is wanted instead:
    what it leaves open comes from the container's.

    `created_by` is what the history shows, by default the container's command. `extra` holds further members of the
    image's config.
    """

    container: RunConfig
    config: RunConfig | None = None
    changes: Sequence[str] = ()
    author: str = ""
    message: str = ""
    created_by: str | None = None
    created: str | None = None
    references: Sequence[Reference] = ()
    platform: Platform | None = None
    extra: dict[str, object] = field(default_factory=dict)


def commit(catalog: Catalog, base: Image | None, snapshot: Changed, options: CommitOptions) -> Image:
    """Make the image. A container that changed no files gives an image without a new layer.

    The caller pauses the container. Raises InvalidInput for a bad change, NoSpace; the store is then as it was.
    """
    config = inherit(apply_changes(options.config or options.container, options.changes), options.container)
    with catalog.store.lease():
        with catalog.store.layers.create() as work:
            with LayerBuilder(work.tar, work.index) as builder:
                snapshot.write_diff(builder)
                ingested = builder.finish()
            layer = work.commit(ingested) if ingested.entries else None
        when = options.created or now()
        created_by = " ".join(options.container.cmd or ()) if options.created_by is None else options.created_by
        step = History(when, created_by, options.message, options.author, empty_layer=layer is None)
        made = ImageConfig.build(
            platform=options.platform or (base.platform if base else None),
            config=config,
            diff_ids=[*(base.config.diff_ids if base else ()), *([layer.diff_id] if layer else ())],
            history=[*(base.config.history if base else ()), step],
            created=when,
            author=options.author,
            extra={"comment": options.message, **options.extra} if options.message else options.extra,
        )
        new = NewImage(made, references=options.references, parent=base.id if base else None)
        return create(catalog, [new]).images[0]


def inherit(config: RunConfig, below: RunConfig) -> RunConfig:
    """`config`, with what it leaves open taken from the one below: how dockerd merges container and image configs."""
    names = {entry.partition("=")[0] for entry in config.env}
    env = (*config.env, *(entry for entry in below.env if entry.partition("=")[0] not in names))
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        cmd = cmd or below.cmd
        entrypoint = below.entrypoint if entrypoint is None else entrypoint
    return msgspec.structs.replace(
        config,
        user=config.user or below.user,
        exposed_ports={**below.exposed_ports, **config.exposed_ports},
        env=env,
        labels={**below.labels, **config.labels},
        cmd=cmd,
        entrypoint=entrypoint,
        healthcheck=_checked(config.healthcheck, below.healthcheck),
        working_dir=config.working_dir or below.working_dir,
        volumes={**below.volumes, **config.volumes},
        stop_signal=config.stop_signal or below.stop_signal,
    )


def _checked(own: Healthcheck | None, below: Healthcheck | None) -> Healthcheck | None:
    if own is None or below is None:
        return own or below
    return msgspec.structs.replace(
        own,
        test=own.test or below.test,
        interval=own.interval or below.interval,
        timeout=own.timeout or below.timeout,
        start_period=own.start_period or below.start_period,
        start_interval=own.start_interval or below.start_interval,
        retries=own.retries or below.retries,
    )
