"""What BuildKit's frontend knows of a stage at one of its steps, and the key of the stage's files.

Rule: moby/buildkit, frontend/dockerfile/dockerfile2llb/convert.go, and client/llb/meta.go for the order of variables:
each stands where it was last set.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.builder.buildkit_keys.key_records import SCRATCH, Output, image_record
from lamina.dockerfile import instructions as say
from lamina.formats.config import RunConfig, chain_ids
from lamina.images.config_changes import environment
from lamina.images.image import Image


@dataclass(slots=True)
class StageKeys:
    """A stage at one of its steps. `output` are the keys of its files, None from the first step without a key on."""

    output: Output | None
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = ""

    @classmethod
    def begin(cls, config: RunConfig, output: Output | None, base: StageKeys | None) -> StageKeys:
        """Return a stage with this config. `base` is the stage that it begins with, None for an image."""
        keys = cls(output, dict(base.environment) if base else {}, config.working_dir or "/", config.user)
        if base is not None:
            keys.directory = base.directory
        for name, value in environment(config).items():
            keys._set(name, value)
        return keys

    def advance(self, instruction: say.Instruction, values: Mapping[str, str]) -> None:
        """Go on behind an expanded instruction that changes no file. `values` are the arguments of the stage."""
        match instruction:
            case say.Env():
                for pair in instruction.pairs:
                    self._set(pair.name, pair.value)
            case say.Arg():
                for name, _ in instruction.arguments:
                    if name in values:
                        self._set(name, values[name])
            case say.User():
                self.user = instruction.user

    def directory_at(self, path: str) -> str:
        """Return the directory that WORKDIR goes to. An absolute path stays as it is written."""
        if path.startswith("/"):
            return path
        return clean(posixpath.join(self.directory, path)) if path else self.directory

    def _set(self, name: str, value: str) -> None:
        self.environment.pop(name, None)
        self.environment[name] = value


def output_of_image(image: Image | None) -> Output:
    """Return the keys of an image's files. An image without layers is like scratch."""
    layers = image.config.diff_ids if image is not None else ()
    return (image_record(str(chain_ids(layers)[-1])),) if layers else SCRATCH


def clean(path: str) -> str:
    """Return a path as Go's path.Clean does."""
    cleaned = posixpath.normpath(path)
    return f"/{cleaned.lstrip('/')}" if path.startswith("/") else cleaned
