"""Looking into image archives without an engine: `docker save`, OCI layouts, of any compression."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from lamina.errors import InvalidInput
from lamina.events import EventBus
from lamina.explorer.explorer import Explorer
from lamina.images.images import Images
from lamina.store.store import Store


class Archives:
    """The images of archives, in a store in a temporary folder. A context manager: the folder goes with it.

    with Archives() as archives, open("app.tar", "rb") as file:
        print(archives.explorer.report(archives.add(file)).size)
    """

    def __init__(self) -> None:
        self._closing = ExitStack()
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="lamina-explore-"))
        try:
            store = self._closing.enter_context(Store.open(Path(folder, "root")))
        except BaseException:
            self._closing.close()
            raise
        self._images = Images(store, EventBus())
        self.explorer = Explorer(self._images)
        """The verbs that look into what was added."""

    def add(self, source: IO[bytes]) -> str:
        """Return the reference of the first image in an archive. Raise InvalidInput for what is none, TooLarge."""
        images = self._images.load(source)
        if not images:
            raise InvalidInput("the archive holds no image")
        return str(images[0].id)

    def __enter__(self) -> Archives:
        return self

    def __exit__(self, *unused: object) -> None:
        self._closing.close()
