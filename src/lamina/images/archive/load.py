"""`load`: whatever an archive holds becomes images, all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.errors import InvalidInput, NotFound
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.archive import docker, layout
from lamina.images.archive.index_plan import plan_indexes, with_indexes
from lamina.images.archive.intake import Intake, take_in
from lamina.images.archive.plan import PlannedImage, check_layers
from lamina.images.catalog import ImageCatalog
from lamina.images.create import NewImage, create
from lamina.images.image import Image
from lamina.images.indexes import Indexes
from lamina.layers.tar.source import Readable
from lamina.progress import Output, Report


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that came out of an archive, and the names it came with."""

    image: Image
    references: tuple[Reference, ...]

    @property
    def id(self) -> Digest:
        """Return the image's ID."""
        return self.image.id


def load(catalog: ImageCatalog, stream: Readable, platform: Platform | None, report: Report) -> list[Loaded]:
    """Load an archive from a stream that is read once, compressed or not.

    Raise InvalidInput for what is no image archive or leads outside itself, Corrupt for wrong digests, NotFound for
    missing members or platforms, TooLarge, NoSpace; the store is then as it was.
    """
    store = catalog.store
    with store.lease() as lease:
        intake = take_in(store, lease, stream, report)
        planned = _plan(intake, platform)
        if not planned and platform is not None:
            raise NotFound(f"the archive holds no image for platform {platform}", platform=str(platform))
        indexes = plan_indexes(intake) if platform is None else []
        planned = with_indexes(planned, indexes)
        for image in planned:
            check_layers(store, lease, intake, image)
        created = create(catalog, [NewImage(p.config, p.manifest, p.references, p.parent) for p in planned])
        local_indexes = [Indexes(catalog).create(index.made(created.images), index.references) for index in indexes]
    beside = {image.id for index in local_indexes for _, image in index.images if image.id != index.main.id}
    named = {index.main.id: plan.references for index, plan in zip(local_indexes, indexes, strict=True)}
    loaded = [
        Loaded(image, (*plan.references, *named.get(image.id, ())))
        for image, plan in zip(created.images, planned, strict=True)
        if plan.references or image.id not in beside
    ]
    _tell(report, loaded, created.taken)
    return loaded


def _plan(intake: Intake, platform: Platform | None) -> list[PlannedImage]:
    if intake.has(docker.MANIFEST):
        planned = docker.plan(intake, layout.manifests_by_config(intake), platform)
        # An archive of several platforms lists only one image there, and all of them in its layout.
        return planned or (layout.plan(intake, platform) if platform and intake.has(layout.INDEX) else [])
    if intake.has(layout.INDEX):
        return layout.plan(intake, platform)
    if intake.has(docker.REPOSITORIES):
        return docker.plan_legacy(intake, platform)
    raise InvalidInput(
        "this is no image archive: it has neither manifest.json, index.json nor repositories",
        advice="A root file system in a tar is for `import`, not for `load`",
    )


def _tell(report: Report, loaded: list[Loaded], old_ids: dict[str, Digest]) -> None:
    """Report the lines that Docker's users know."""
    for item in loaded:
        for reference in item.references:
            if (old := old_ids.get(str(reference))) is not None:
                line = f"The image {reference.familiar()} already exists, renaming the old one with ID {old} to empty"
                report(Output(f"{line} string\n"))
            report(Output(f"Loaded image: {reference.familiar()}\n"))
        if not item.references:
            report(Output(f"Loaded image ID: {item.id}\n"))
