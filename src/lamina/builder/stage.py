"""One stage while it is built: its image so far, and the config of the next image."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from lamina.builder.arguments import BuildArgs
from lamina.builder.buildkit_keys.stage_keys import StageKeys
from lamina.formats.config import History, ImageConfig, RunConfig
from lamina.formats.platform import Platform
from lamina.formats.times import format_time, parse_time
from lamina.images.config_changes import environment
from lamina.images.image import Image
from lamina.layers.layer import Layer
from lamina.layers.tree import MemoryTree, Tree
from lamina.layers.union import StackTree

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class Files:
    """The files of an image, opened when first asked for."""

    image: Image | None
    _below: StackTree | None = None
    _tree: StackTree | None = None

    @property
    def tree(self) -> Tree:
        if self.image is None or not self.image.layers:
            return MemoryTree()
        if self._tree is None:
            self._tree = StackTree(self.image.layers, self._below)
        return self._tree

    def after(self, image: Image) -> Files:
        """Return the files of `image`, which was made from this one: layers that are open are used again."""
        return Files(image, self._tree or self._below)


@dataclass(slots=True)
class StageState:
    """What a stage has become so far. `image` is None for FROM scratch before its first step.

    `time_ns` is the newest time of the base and of copied files. Steps are dated with it. `keys` are BuildKit's, in a
    build that exchanges a cache.
    """

    name: str
    image: Image | None
    config: RunConfig
    platform: Platform
    args: BuildArgs
    time_ns: int
    author: str = ""
    cmd_set: bool = False
    base: Image | None = None
    files: Files = field(default_factory=lambda: Files(None))
    keys: StageKeys | None = None

    @classmethod
    def begin(cls, name: str, base: Image | None, platform: Platform, args: BuildArgs) -> StageState:
        """Return a new stage on `base`; None is scratch. Its config has a PATH, and the base's ONBUILD triggers."""
        config = base.config.config if base else RunConfig()
        created = base.config.created if base else None
        epoch = args.epoch_ns
        return cls(
            name=name,
            image=base,
            config=with_path(config),
            platform=base.platform if base else platform,
            args=args,
            time_ns=epoch if epoch is not None else max(parse_time(created), 0) if created else 0,
            base=base,
            files=Files(base),
        )

    @property
    def image_id(self) -> str:
        """Return the ID of the image so far, empty before a first step on scratch."""
        return str(self.image.id) if self.image else ""

    @property
    def env(self) -> dict[str, str]:
        """Return the image's environment by name."""
        return environment(self.config)

    def words(self) -> dict[str, str]:
        """Return the values of `$NAME` in an instruction: arguments, and the environment, which wins."""
        return {**self.args.values(), **self.env}

    def dated(self, newest_ns: int) -> int:
        """Return the time of a step whose newest input has the time `newest_ns`."""
        return self.time_ns if self.args.epoch_ns is not None else max(self.time_ns, newest_ns)

    def child(self, config: RunConfig, created_by: str, layer: Layer | None, time_ns: int) -> ImageConfig:
        """Return the config of the image that a step makes."""
        before = self.image.config if self.image else None
        created = format_time(time_ns) if time_ns else None
        entry = History(created, created_by, "", self.author, layer is None)
        return ImageConfig.build(
            platform=self.platform,
            config=config,
            diff_ids=(*(before.diff_ids if before else ()), *((layer.diff_id,) if layer else ())),
            history=(*(before.history if before else ()), entry),
            created=created,
            author=self.author,
        )

    def move(self, image: Image, config: RunConfig) -> None:
        """Go on from `image`, the result of a step, with the step's `config`."""
        if self.image is None or image.config.diff_ids != self.image.config.diff_ids:
            self.files = self.files.after(image)
        self.image = image
        self.config = config
        if self.args.epoch_ns is None and image.config.created:
            self.time_ns = max(self.time_ns, parse_time(image.config.created))


def with_path(config: RunConfig) -> RunConfig:
    """Return the config with a PATH in its environment, as the classic builder gives every stage one."""
    if "PATH" in environment(config):
        return config
    return msgspec.structs.replace(config, env=(*config.env, f"PATH={DEFAULT_PATH}"))
