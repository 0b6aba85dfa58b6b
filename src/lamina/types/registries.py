"""Registries as programs see them, and the verbs between images and registries."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING, Protocol
from lamina.progress import Report, ignore

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from collections.abc import Sequence

    from lamina.credentials import Credentials
    from lamina.formats.matching import Filters
    from lamina.types.images import Image


class SearchResult(Protocol):
    """A repository that a registry found. `name` is as `pull` takes it; the registry builds an `automated` one."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def stars(self) -> int: ...
    @property
    def official(self) -> bool: ...
    @property
    def automated(self) -> bool: ...


class RemoteImage(Protocol):
    """An image in a registry: its manifest or index, and the platforms that it is for ("linux/amd64")."""

    @property
    def digest(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def platform_names(self) -> tuple[str, ...]: ...


class Registries(Protocol):
    """Verbs between the images here and registries. `credentials` are for the registry that the name tells.

        (image,) = registries.pull("alpine:3.20")
        registries.push("registry.example/app", credentials=Credentials("me", "secret"))

    Every verb raises what the registry answers, and Unavailable when it cannot be reached.
    """

    def pull(
        self,
        reference: str,
        *,
        platform: str = "",
        all_tags: bool = False,
        all_platforms: bool = False,
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        """Bring an image from its registry: without a tag `latest`, with `all_tags` every tag of the name.

        With `all_platforms` (an engine or daemon of lamina's) the images for other platforms than `platform` (default:
        the engine's machine) come too, after it, each named by its digest. Where none is for `platform`, the first
        image gets the name. Raise NotFound, Unauthorized, Forbidden, RateLimited, Corrupt, NoSpace, Cancelled.
        """

    def push(
        self,
        reference: str,
        *,
        all_tags: bool = False,
        platform: str = "",
        credentials: Credentials | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """Send an image to the registry that its name tells: without a tag `latest`, with `all_tags` every tag.

        Raise NotFound for a name that is not here, Cancelled.
        """

    def import_url(
        self,
        url: str,
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Make an image of one layer from the tar at an address, which the engine fetches.

        Raise NotFound, Cancelled, and what `Images.import_tar` raises.
        """

    def search(
        self, term: str, *, limit: int = 25, filters: Filters | None = None, credentials: Credentials | None = None
    ) -> Sequence[SearchResult]:
        """Return repositories that match a term, which may begin with a registry.

        `filters` are Docker's (is-automated, is-official, stars). Raise InvalidInput for a limit that is not from 1 to
        100.
        """

    def inspect(self, reference: str, *, credentials: Credentials | None = None) -> RemoteImage:
        """Return what a registry says of an image, without pulling it."""

    def repositories(self, server: str, *, limit: int = 1000, credentials: Credentials | None = None) -> Sequence[str]:
        """Return the names of a registry's repositories, at most `limit`, as the registry writes them.

        Check a name before using it. Raise Unsupported or Unauthorized where the registry does not list, as Docker Hub.
        """

    def tags(self, reference: str, *, limit: int = 1000, credentials: Credentials | None = None) -> Sequence[str]:
        """Return the tags of a repository, at most `limit`, as its registry writes them."""

    def manifest(self, reference: str, *, credentials: Credentials | None = None) -> bytes:
        """Return the manifest or index of an image as its registry has it, verified, without pulling it."""

    def login(self, server: str, credentials: Credentials) -> Credentials:
        """Try credentials at a registry ("" for Docker Hub), and return those to keep. Raise Unauthorized."""
