"""The checks of a Dockerfile at a build: before its first step, and once more when all its base images are here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from lamina.api.build import BuildRequest
from lamina.api.build_calls import CallResult, check_result, outline_result, targets_result
from lamina.builder.arguments import predefined_values
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext
from lamina.dockerfile.checks.check import Checked, check
from lamina.dockerfile.checks.findings import Finding
from lamina.dockerfile.checks.outline import outline_of, targets_of
from lamina.dockerfile.checks.scope import BaseFacts, FindBase, Surroundings, unknown_base
from lamina.dockerfile.dockerfile import Dockerfile, parse, parse_beginning
from lamina.errors import InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.platform import Platform
from lamina.images.config_changes import environment
from lamina.images.image import Image

FindImage = Callable[[str], Image | None]


def base_facts(config: ImageConfig) -> BaseFacts:
    """Return what an image's config decides about checks."""
    settings = config.config
    return BaseFacts(environment(settings), bool(settings.shell), settings.on_build, config.platform)


def surroundings_of(
    request: BuildRequest, file: Dockerfile, context: BuildContext, find_base: FindBase = unknown_base
) -> Surroundings:
    """Return what a check of a build's Dockerfile knows beside the file.

    Raise InvalidInput for a malformed platform.
    """
    host = Platform.host()
    first = request.platform.partition(",")[0]  # of several
    target = Platform.parse(first) if first else host
    predefined = predefined_values(target, host, request.target or file.stages[-1].name)
    return Surroundings(request.build_args, predefined, target, context.ignored, find_base)


def answer(context: BuildContext, request: BuildRequest, find_base: FindBase) -> CallResult:
    """Return what `request.call` asks for, without building: check, outline or targets.

    A file that cannot be understood is an answer to a check too. Raise InvalidInput for it otherwise, for an unknown
    target, and for another call.
    """
    raw = context.dockerfile.encode("utf-8", "surrogateescape")
    match request.call:
        case "check":
            return check_result(context.name, raw, _checked(context, request, find_base))
        case "targets":
            return targets_result(raw, targets_of(parse(context.dockerfile)))
        case "outline":
            file = parse(context.dockerfile)
            target = file.target(request.target)
            checked = check(file, surroundings_of(request, file, context), target=target)
            if checked.mistake is not None:
                raise checked.mistake
            return outline_result(raw, outline_of(file, target, checked))
    raise InvalidInput(f"unknown call {request.call!r}", advice="Known are check, outline and targets.")


def _checked(context: BuildContext, request: BuildRequest, find_base: FindBase) -> Checked | InvalidInput:
    """Check the stages that the target needs, all stages where no target is named."""
    try:
        file = parse(context.dockerfile)
        target = file.target(request.target) if request.target else None
        return check(file, surroundings_of(request, file, context, find_base), target=target)
    except InvalidInput as error:
        beginning = check_beginning(context, request)
        return error if beginning is None else replace(beginning, mistake=error, is_parsed=False)


def check_beginning(context: BuildContext, request: BuildRequest) -> Checked | None:
    """Check a Dockerfile up to the first instruction that is wrong. Return None where nothing can be said."""
    with suppress(InvalidInput):
        file = parse_beginning(context.dockerfile)
        if file is not None:
            return check(file, surroundings_of(request, file, context))
    return None


@dataclass(slots=True)
class BuildChecks:
    """The checks of one build. Each finding is told to the console once.

    `file` is whole, `target` the number of the stage that is built.
    """

    file: Dockerfile
    target: int
    surroundings: Surroundings
    console: Console
    _told: set[Finding] = field(default_factory=set)
    _is_waiting: bool = False  # for bases that are not here

    def begin(self, find_image: FindImage) -> None:
        """Check with the images that are here. Raise InvalidInput where findings fail the build."""

        def find_base(name: str, platform: Platform | None) -> BaseFacts | None:
            image = find_image(name)
            is_right = image is not None and (platform is None or image.platform.matches(platform))
            self._is_waiting |= not is_right
            return base_facts(image.config) if image is not None and is_right else None

        self._check(find_base)

    def finish(self, find_image: FindImage) -> None:
        """Check once more where a base was not here at first. Raise InvalidInput where findings fail the build."""
        if self._is_waiting:

            def find_base(name: str, platform: Platform | None) -> BaseFacts | None:
                image = find_image(name)
                return base_facts(image.config) if image is not None else None

            self._check(find_base)

    def _check(self, find_base: FindBase) -> None:
        checked = check(self.file, replace(self.surroundings, find_base=find_base), target=self.target)
        new = [finding for finding in checked.findings if finding not in self._told]
        self._told.update(new)
        self.console.findings(new)
        checked.refuse()
