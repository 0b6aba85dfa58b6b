"""Builds as programs see them, and the verbs on builds and their cache."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING, Protocol
from lamina.progress import Report, ignore

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    import os
    from collections.abc import Mapping, Sequence
    from typing import IO

    from lamina.api.build import BuildRequest
    from lamina.api.build_cache import CacheObject
    from lamina.api.build_calls import CheckResult, OutlineResult, TargetsResult
    from lamina.api.build_history import BuildRecord
    from lamina.api.build_steps import BuildStep
    from lamina.api.memory_context import MemoryContext
    from lamina.credentials import Credentials
    from lamina.formats.matching import Filters
    from lamina.types.images import Image
    from lamina.types.resources import Pruned


class BuildResult(Protocol):
    """The image that a build made, and what it did with each step; of several platforms the one for this machine.

    `metadata` is what the outputs tell, by BuildKit's keys: `containerimage.digest`, `image.name`.

    A client hears of the steps only with `BuildRequest(explain=True)`, and so do both of differences.
    """

    @property
    def image(self) -> Image: ...

    @property
    def steps(self) -> tuple[BuildStep, ...]: ...

    @property
    def metadata(self) -> Mapping[str, str]: ...


class Builds(Protocol):
    """Builds, and the build cache.

    image = builds.build("my-app", BuildRequest(tags=("my-app",))).image
    """

    def build(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        """Build a directory, or files in memory; None for the address in `request.remote`.

        `credentials` are by registry, for base images, caches and outputs that are pushed. `secrets` are those of RUN
        --mount=type=secret by ID, of at most 500 KiB each; they reach no image and no record. Files of outputs are
        written where their `dest` says, and folders of `request.contexts` read, on the side of the caller. Raise
        CommandFailed when a step fails: its facts have `command`, `exit_code`, the last `output`, and `line`,
        `last_line` and `excerpt` of the Dockerfile, and with `request.keep_failed` the error is a StepFailed, which has
        the files as the command left them. Raise InvalidInput for a wrong Dockerfile, TooLarge for a
        secret, Forbidden for an ssh agent that is not the caller's, Unsupported for a kind of cache that there is not,
        NotFound, Cancelled.
        """

    def check(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> CheckResult:
        """Check a Dockerfile, and build nothing: the stages that `request.target` needs, or all stages.

        A file that cannot be built is part of the result, as `build_error`. Base images that are not here are looked
        up at their registry, with `credentials` by registry. Raise NotFound without a Dockerfile, InvalidInput,
        Cancelled.
        """

    def outline(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> OutlineResult:
        """Return the arguments, secrets and ssh agents that a target takes: the last stage, or the request's.

        Raise InvalidInput for a wrong Dockerfile or target, NotFound without one, Cancelled.
        """

    def targets(
        self,
        context: str | os.PathLike[str] | MemoryContext | None,
        request: BuildRequest | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> TargetsResult:
        """Return the stages that can be built.

        Raise InvalidInput for a wrong Dockerfile, NotFound without one, Cancelled.
        """

    def usage(self, filters: Filters | None = None) -> Sequence[CacheObject]:
        """Return what the build cache holds, what was used last first: layers of steps, cache mounts, saved contexts.

        `filters` are those of `prune`.
        """

    def prune(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        reserved: int = 0,
        max_used: int = 0,
        min_free: int = 0,
        cancellation: Cancellation = NEVER,
    ) -> Pruned:
        """Empty the build cache: objects that nothing else needs, the least recently used first, and unowned content.

        A step stays while an image with a name, the image of a build, or a container needs it. `filters` choose among
        the objects: id, type, description, until, unused-for, inuse, shared, private, mutable. In bytes, `reserved`
        stay in any case, `max_used` stay at most, and `min_free` are to be free on the disk; with `reserved` alone
        nothing above it stays. With `all` also what only saves work goes: the compressed forms of layers, and what is
        remembered of contexts. Raise InvalidInput for other filters, Cancelled.
        """

    def squash(
        self,
        reference: str,
        how: str = "all",
        *,
        base: str = "",
        tags: Sequence[str] = (),
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Return an image with the files of another one in fewer layers, and give it names.

        `how` is `all` for one layer, `from=base` for one above those of the image `base`, `every=N` for one of each N
        layers. The same image gives the same digests, and its history says what was merged. Raise InvalidInput for
        another `how` and for a base that the image was not built on, NotFound, NoSpace, Cancelled.
        """

    def export_mount(self, name: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        """Write the files of a cache mount to `sink` as a tar. `usage({"type": ["exec.cachemount"]})` lists the mounts.

        `name` is the mount's name, its ID, or the first digits of its ID. Raise NotFound, Conflict while a step has
        locked it, Cancelled.
        """

    def import_mount(self, name: str, source: IO[bytes], *, cancellation: Cancellation = NEVER) -> CacheObject:
        """Make the files of a tar, compressed or not, those of the cache mount `name`, in place of earlier ones.

        `name` is the `id` of `RUN --mount=type=cache`, or its target where it has none. Devices and pipes are left
        out. Raise Conflict while a step uses it, InvalidInput for a broken archive, Cancelled.
        """

    def remove_mount(self, name: str) -> None:
        """Delete a cache mount. Raise NotFound, Conflict while a step uses it."""

    def history(self) -> Sequence[BuildRecord]:
        """Return the records of builds, the latest first. They outlive the engine; there are at most 200."""

    def record(self, ref: str) -> BuildRecord:
        """Return the record of a build: its steps, its log, its trace. Raise NotFound."""

    def remove_record(self, ref: str) -> None:
        """Forget a build. Raise NotFound."""

    def keep_record(self, record: BuildRecord) -> BuildRecord:
        """Keep a record, such as one that another engine made, in place of the one with its ref. Raise InvalidInput."""
