"""A build under way: the rooms and values that its steps share, and how a step is looked up and committed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lamina.api.build import BuildRequest
from lamina.api.build_steps import Difference
from lamina.builder.arguments import HOST_NAME
from lamina.builder.cache.explain import differences
from lamina.builder.cache.records import CachedStep, Inputs
from lamina.builder.cache.step_cache import Step, StepCache
from lamina.builder.cache_exchange.cache_import import CachePlaces
from lamina.builder.cache_exchange.cache_options import inline_wanted
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext
from lamina.builder.file_sums import Sums
from lamina.builder.run.mount_points import MountPoints
from lamina.builder.run.step_helper import StepHelper
from lamina.builder.source_policy import ALLOW_ALL, SourcePolicy
from lamina.builder.stage import Files, StageState
from lamina.builder.stages import Stages
from lamina.builder.step_log import StepLog, StepUnderWay
from lamina.cancellation import Cancellation
from lamina.dockerfile.dockerfile import Dockerfile
from lamina.dockerfile.mounts import DeviceFlag, MountFlag
from lamina.dockerfile.suggest import did_you_mean
from lamina.errors import Forbidden, InvalidInput, NotFound, Unauthorized, Unavailable
from lamina.formats.config import RunConfig, chain_ids
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.times import parse_time
from lamina.images.catalog import no_such_image
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.layer import Layer
from lamina.store.leases import Lease
from lamina.store.store import Store

ResolveBase = Callable[[str, Platform | None, bool], Image]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image that a build took: its name in the Dockerfile, its platform, and the digest of its manifest or index."""

    name: str
    platform: Platform
    digest: Digest


@dataclass(frozen=True, slots=True)
class BuildUse:
    """What a build took from outside, for those who attest it.

    `downloads` are addresses with digests by algorithm. `secrets` and `agents` are IDs that RUN steps name, each with
    whether the step can do without. `networked` tells that a RUN step had a network. `context` is the digest of the
    commit that the context is of, by algorithm.
    """

    images: tuple[ImageSource, ...] = ()
    downloads: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    secrets: tuple[tuple[str, bool], ...] = ()
    agents: tuple[tuple[str, bool], ...] = ()
    networked: bool = False
    context: tuple[tuple[str, str], ...] = ()


class ContextNames(Protocol):
    """The named contexts of one build. A context takes the place of a stage and of an image with its name."""

    def has(self, name: str) -> bool:
        """Return whether a name is that of a context."""
        ...

    def find(self, name: str) -> Image | str | None:
        """Return the image or the name of the image that a context's name means, None if it is no context's.

        Raise what opening the context raises.
        """
        ...

    def epoch(self, name: str) -> int | None:
        """Return the time of what a context was made of in seconds since 1970, None where it has none.

        Raise as `find` does.
        """
        ...


class NoContexts:
    """The contexts of a build that has none."""

    def has(self, name: str) -> bool:
        return False

    def find(self, name: str) -> None:
        return None

    def epoch(self, name: str) -> None:
        return None


class CommandRunner(Protocol):
    """Run the command of a RUN step in a container, and return the layer of what it changed; None for no change.

    Raise CommandFailed with `exit_code` when the command ends with another status than 0.
    """

    def run(self, work: BuildRun, state: StageState, request: RunRequest) -> Layer | None: ...


class SshAgents(Protocol):
    """The ssh agents of the user, by ID, for RUN --mount=type=ssh."""

    def offers(self, id: str) -> bool:
        """Return whether there is an agent of this ID."""
        ...

    def serve(self, id: str, listener: socket.socket) -> Callable[[], None]:
        """Forward the connections of `listener` to an agent. Return what stops that and closes the listener."""
        ...


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One RUN step: the container's ID, what to run in it, and the flags of the instruction, expanded.

    `files` are seen in the container, executable, at their paths. An `insecure` step is privileged.
    """

    container_id: str
    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    mounts: tuple[MountFlag, ...] = ()
    network: str = "default"
    files: tuple[tuple[str, bytes], ...] = ()
    insecure: bool = False
    devices: tuple[DeviceFlag, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildRooms:
    """What a build needs from the engine.

    `resolve_base` gives the image behind a name as a Dockerfile has it, pulling it when it is not here, or always when
    its last argument says so. `runner` is called at the first RUN only, so that other builds need neither mounts nor
    privileges. Without a runner, RUN is refused. `temporary` is a folder on the data root's file system.
    `caches` opens the caches that a build imports; without it they are refused. `contexts` are the named ones, which
    take the place of stages. `policy` says what may be fetched.
    """

    store: Store
    images: Images
    resolve_base: ResolveBase
    temporary: Path
    runner: Callable[[], CommandRunner] | None = None
    caches: CachePlaces | None = None
    contexts: ContextNames = field(default_factory=NoContexts)
    policy: SourcePolicy = ALLOW_ALL


@dataclass(slots=True)
class BuildRun:
    """One build under way."""

    rooms: BuildRooms
    request: BuildRequest
    console: Console
    cache: StepCache
    file: Dockerfile
    context: BuildContext
    tags: tuple[Reference, ...]
    requested_platform: Platform | None
    secrets: Mapping[str, bytes]  # by ID
    cancellation: Cancellation
    stages: Stages
    stage: int = 0  # the one that is being built
    needs: Sequence[tuple[int, ...]] = ()  # of each stage, the stages that it is made from
    agents: SshAgents | None = None
    image_sums: dict[Digest | None, Sums] = field(default_factory=dict)
    image_files: dict[Digest | None, Files] = field(default_factory=dict)
    lease: Lease | None = None  # holds what the build makes and uses
    resolved: dict[str, Image] = field(default_factory=dict)  # by the names in the Dockerfile
    held: set[Digest] = field(default_factory=set)  # by `_hold`, so far
    closing: ExitStack = field(default_factory=ExitStack)  # what the build holds until its end
    mount_points: list[MountPoints] = field(default_factory=list)  # at most the ones of the last RUN step
    networks: dict[str, str] = field(default_factory=dict)  # IDs under which its RUN steps share a network, by its name
    helper: StepHelper = field(default_factory=StepHelper)  # of the RUN steps of the present stage
    sources: list[ImageSource] = field(default_factory=list)  # in the order in which they were resolved
    downloads: list[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=list)  # as BuildUse has them
    log: StepLog = field(default_factory=StepLog)
    current: StepUnderWay = field(default_factory=StepUnderWay)

    @property
    def host_name(self) -> str:
        """Return the host name that RUN steps see; empty for one of each container's own."""
        return self.request.build_args.get(HOST_NAME) or ""

    @property
    def exchanges_cache(self) -> bool:
        """Return whether the build reads or writes caches that other engines use too."""
        request = self.request
        exports = request.cache_exports or inline_wanted(request.cache_exports, request.build_args)
        return bool(request.cache_imports or exports)

    @property
    def platform(self) -> Platform:
        """Return the platform of images without a base."""
        return self.requested_platform or Platform.host()

    @property
    def project(self) -> str:
        """Return what this build has in common with earlier ones of the same Dockerfile."""
        return self.tags[0].familiar_name if self.tags else self.context.identity

    def step(self, state: StageState, created_by: str, config: RunConfig, content: str = "") -> Step:
        """Return the values that identify a step in the cache."""
        return Step(state.image, created_by, config, state.platform, content, state.args.epoch_ns)

    def resolve(self, name: str, platform: Platform | None) -> Image:
        """Return the image that `name` refers to, and hold it until the end of the build.

        Raise what `resolve_base` raises, and NotFound for an image that is removed meanwhile.
        """
        try:
            image = self.rooms.resolve_base(name, platform, self.request.pull)
        except (NotFound, Unavailable, Unauthorized, Forbidden) as error:
            near = self._near(name)
            if near is None:
                raise
            advice = f"{near} {error.advice}" if error.advice else near
            raise type(error)(error.message, advice=advice, **error.facts) from error
        if not self._hold(image):
            raise no_such_image(name)
        self.resolved[name] = image
        self.sources.append(ImageSource(name, image.platform, self._digest(name, image)))
        return image

    def _digest(self, name: str, image: Image) -> Digest:
        """Return the digest under which a registry knows an image by this name, else that of its manifest."""
        try:
            repository = Reference.parse(name).name
        except InvalidInput:  # a whole ID
            repository = ""
        digests = (each.digest for each in image.digest_references if each.name == repository and each.digest)
        return next(digests, None) or self.rooms.images.manifest(image).digest

    def use_base(self, base: Image | None) -> None:
        """Note the image that a stage begins with: the step is a hit if an earlier build began with it too."""
        current = self.current
        inputs = {"image": str(base.id) if base else "scratch"}
        if base is None or self.cache.result(current.place.keyword, inputs) is not None:
            current.outcome = "cached"
            return
        self._explain(inputs, None)
        self.cache.remember_base(base, current.place, inputs)

    def _near(self, name: str) -> str | None:
        """Return a hint at the stage or local image whose name is close to `name`."""
        images = [reference for listed in self.rooms.images.list() for reference in listed.references]
        names = [name for name in self.stages.names[: self.stage] if name]
        names += [form for reference in images for form in (reference.familiar(), reference.familiar_name)]
        return did_you_mean(name, [other for other in names if other != name])

    def _hold(self, image: Image) -> bool:
        """Keep the image's content until the end of the build. Return False when the image is gone already."""
        new = {image.id, *image.config.diff_ids} - self.held
        if self.lease is None or not all(self.lease.add(digest) for digest in new):
            return False
        self.held |= new
        return True

    def hit(self, state: StageState, step: Step) -> bool:
        """Go on from the cached image of a step. Return False when the cache does not have it."""
        image = None if self._runs_anew else self.cache.find(step, self.current.place.keyword)
        if image is None or not self._hold(image):
            return False
        self._cached()
        state.move(image, step.config)
        return True

    def inputs(self, state: StageState, inputs: Inputs) -> dict[str, str]:
        """Return `inputs` with what decides about the files of every step: the files below, platform and time."""
        layers = state.image.config.diff_ids if state.image else ()
        common = {"base": chain_ids(layers)[-1] if layers else "scratch", "platform": str(state.platform)}
        if state.args.epoch_ns is not None:
            common["time"] = str(state.args.epoch_ns)
        return {**common, **inputs}

    def reuse(self, state: StageState, step: Step, inputs: Inputs) -> bool:
        """Go on from the files that an earlier step made of the same inputs, in a new image.

        Return False when neither the cache nor an imported one has them.
        """
        if self._runs_anew:
            return False
        keyword = self.current.place.keyword
        result = self.cache.result(keyword, inputs)
        if result is not None and self._hold(result.image):
            layer, created = result.layer, result.image.config.created
        elif (imported := self._imported(state, keyword, inputs)) is not None:
            layer, created = imported[1], imported[0].created
        else:
            return False
        time_ns = state.time_ns
        if state.args.epoch_ns is None and created:
            time_ns = max(time_ns, parse_time(created))
        self._cached()
        self.commit(state, step, layer, time_ns, inputs)
        return True

    def _imported(self, state: StageState, keyword: str, inputs: Inputs) -> tuple[CachedStep, Layer | None] | None:
        below = state.image.config.diff_ids if state.image else ()
        keys = [(self.current.key, below), (self.current.linked_key, ())]
        certain = [(key, layers) for key, layers in keys if key is not None]
        return self.cache.imported(keyword, inputs, certain, self.console, self.cancellation)

    @property
    def _runs_anew(self) -> bool:
        """Return whether the request asks for the present stage without the cache."""
        name = self.file.stages[self.stage].name
        return bool(name) and any(name == each.lower() for each in self.request.no_cache_stages)

    def _cached(self) -> None:
        self.current.outcome = "cached"
        self.console.cached()

    def commit(
        self, state: StageState, step: Step, layer: Layer | None, time_ns: int, inputs: Inputs | None = None
    ) -> None:
        """Make the image of a step and go on from it. `inputs` are what decided about its files."""
        config = state.child(step.config, step.created_by, layer, time_ns)
        image = self.rooms.images.create(config, parent=state.image.id if state.image else None, built=True)
        if self.current.outcome == "run" and inputs is not None:
            self._explain(inputs, layer)
        self.cache.remember(step, image, self.current.place, inputs)
        state.move(image, step.config)

    def _explain(self, inputs: Inputs, layer: Layer | None) -> None:
        """Note why the present step had to run. Without `explain` nobody asks, and the search is spared."""
        current = self.current
        if not self.request.explain:
            return
        if not self.cache.enabled:
            current.differences = (Difference("no-cache"),)
            return
        rooms = self.rooms
        current.differences, current.omitted = differences(rooms.store, rooms.images, current.place, inputs, layer)

    def sums_of(self, image: Image | None) -> Sums:
        """Return the sums of an image's files that are known so far."""
        return self.image_sums.setdefault(image.id if image else None, Sums(of_image=True))

    def files_of(self, image: Image | None) -> Files:
        """Return the files of an image that a step copies from."""
        return self.image_files.setdefault(image.id if image else None, Files(image))
