"""A command of a build that failed, as an error that one can work with."""

from __future__ import annotations

import io
import weakref

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import CommandFailed, LaminaError
from lamina.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from lamina.api.containers import HostConfig
    from lamina.api.explorer import ListedFile
    from lamina.types.builds import BuildResult
    from lamina.types.containers import Containers
    from lamina.types.explorer import Explorer
    from lamina.types.images import Images
    from lamina.types.run_results import Completed


class BuildSide(Protocol):
    """The rooms of the engine or the client whose build failed."""

    @property
    def images(self) -> Images: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def explorer(self) -> Explorer: ...


class LeftFiles:
    """The files as a failed command left them."""

    def __init__(self, explorer: Explorer, image: str) -> None:
        self._explorer = explorer
        self._image = image

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Links are not followed. Raise NotFound."""
        sink = io.BytesIO()
        self._explorer.read(self._image, path, sink)
        return sink.getvalue()

    def list(self, path: str = "/") -> tuple[ListedFile, ...]:
        """Return what is in a folder, with what the command did to it. Raise NotFound."""
        return self._explorer.files(self._image, path)


class StepFailed(CommandFailed):
    """A command of a build that failed, with its files until the error is dropped or closed; a context manager.

        try:
            engine.builds.build("my-app", BuildRequest(keep_failed=True))
        except StepFailed as failure:
            print(failure.shell("ls -l /src; env").stdout)

    The `facts` are those of CommandFailed. `image` is the ID of the image with the files. After a crash of the program
    or of the engine, the next start of the engine removes it.
    """

    def __init__(
        self, error: CommandFailed, side: BuildSide, network: str, build_again: Callable[[], BuildResult]
    ) -> None:
        super().__init__(error.message, advice=error.advice, **error.facts)
        self.image = str(error.facts["image"])
        self.files = LeftFiles(side.explorer, self.image)
        self._side = side
        self._network = network
        self._build_again = build_again
        self._release = weakref.finalize(self, _remove, side.images, self.image)

    def shell(
        self,
        command: str,
        *,
        host_config: HostConfig | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Completed:
        """Run a command by a shell in a container of the files, with the variables that the failed one had.

        Without `host_config` the network is that of the build. The container is removed at the end, and what the
        command changes is lost. Raise as `containers.run` does.
        """
        from lamina.api.containers import Config, HostConfig

        config = Config(image=self.image, entrypoint=("/bin/sh", "-c"), cmd=(command,))
        host_config = host_config or HostConfig(network_mode=self._network)
        run = self._side.containers.run
        return run(config, host_config, stdin=stdin, timeout=timeout, cancellation=cancellation)

    def retry(self) -> BuildResult:
        """Build again as before. Steps that ended well come from the cache. Raise as `builds.build` does."""
        self.close()
        return self._build_again()

    def close(self) -> None:
        """Remove the files. A second call does nothing. Steps above them stay as cache."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _remove(images: Images, image: str) -> None:
    try:
        images.remove(image, force=True, prune=False)
    except (LaminaError, OSError):  # the engine is closed, or the daemon gone: its next start removes it
        return
