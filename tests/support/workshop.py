"""An engine's rooms for building, without containers, and a look at what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lamina.api.build import BuildRequest
from lamina.builder.build_run import BuildRooms
from lamina.builder.builder import BuildResult, build
from lamina.builder.context.source import BuildContext, from_directory
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.tree import MemoryTree, Tree, walk
from lamina.layers.union import StackTree
from lamina.progress import Aux, Message, Output
from support.context import File, write_context

FILES: dict[str, File | str] = {"a.txt": "alpha\n", "run.sh": File("#!\n", mode=0o755), "dir/one": "1", "dir/two": "2"}
"""A small context."""


@dataclass
class Workshop:
    """Builds and looks at what came out. `said` is the output of the last build."""

    rooms: BuildRooms
    folder: Path
    said: str = ""
    aux: list[Mapping[str, object]] = field(default_factory=list)

    @property
    def images(self) -> Images:
        return self.rooms.images

    def context(self, dockerfile: str, files: Mapping[str, File | str] | None = None, name: str = "context") -> Path:
        """A folder with these files."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        write_context(folder, {**(files or {}), "Dockerfile": dockerfile})
        return folder

    def run(
        self,
        context: BuildContext,
        request: BuildRequest | None = None,
        secrets: Mapping[str, bytes] | None = None,
    ) -> BuildResult:
        self.said, self.aux = "", []
        with context:
            return build(context, request or BuildRequest(), self.rooms, self._hear, secrets=secrets)

    def build(
        self,
        dockerfile: str,
        files: Mapping[str, File | str] | None = None,
        request: BuildRequest | None = None,
        secrets: Mapping[str, bytes] | None = None,
    ) -> Image:
        return self.run(from_directory(self.context(dockerfile, files)), request, secrets).image

    def _hear(self, message: Message) -> None:
        if isinstance(message, Output):
            self.said += message.text
        elif isinstance(message, Aux):
            self.aux.append(message.value)


def tree(image: Image) -> Tree:
    return StackTree(image.layers) if image.layers else MemoryTree()


def listing(image: Image) -> dict[str, str]:
    """Every path of an image with kind, mode, owner and content or target."""
    files = tree(image)
    found: dict[str, str] = {}
    for node in walk(files):
        entry = node.entry
        text = entry.target
        if entry.type.value == "regular":
            with files.read(node) as content:
                text = content.read().decode("utf-8", "replace")
        if node.path:
            found[node.path] = f"{entry.type.value} {entry.mode:o} {entry.uid}:{entry.gid} {text}".rstrip()
    return found


def kinds(image: Image) -> dict[str, str]:
    """`listing` without contents."""
    return {path: " ".join(text.split(" ")[:3]) for path, text in listing(image).items()}
