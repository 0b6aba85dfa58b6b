"""Images of a daemon: the `/images` part of the Engine API, with `/commit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from lamina.client.documents import Created, Image, Pruned
from lamina.client.messages import Auth, auth_header, encode_auth, messages
from lamina.client.transport import Transport, encode_name
from lamina.client.wire import Reply
from lamina.progress import Message, Output, Report, ignore

if TYPE_CHECKING:
    from lamina.formats.matching import Filters


class Images:
    """Verbs on images. A reference is a name, with tag or digest or none, or an ID or a unique start of one.

    Every method raises the kind of `lamina.errors` that the daemon's status stands for: NotFound for an unknown
    image, Conflict for one in use, InvalidInput for a bad name, and so on.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, reference: str) -> Image:
        """What inspect tells. Raises NotFound."""
        return Image(self._transport.json("GET", f"/images/{_path(reference)}/json"))

    def list(self, *, all: bool = False, filters: Filters | None = None, digests: bool = False) -> list[Image]:
        """Newest first. `all` shows the intermediate images of classic builds as well."""
        query = {"all": all, "filters": filters or None, "digests": digests}
        return [Image(item) for item in self._transport.json("GET", "/images/json", query)]

    def history(self, reference: str) -> Sequence[dict[str, Any]]:
        """Steps, newest first, in Docker's form: Id, Created, CreatedBy, Tags, Size, Comment."""
        return list(self._transport.json("GET", f"/images/{_path(reference)}/history"))

    def tag(self, reference: str, repository: str, tag: str = "") -> None:
        """Give the image another name; without `tag`, `latest`."""
        self._transport.json("POST", f"/images/{_path(reference)}/tag", {"repo": repository, "tag": tag or None})

    def remove(self, reference: str, *, force: bool = False, no_prune: bool = False) -> Sequence[dict[str, str]]:
        """Untag, and delete what nothing refers to any more; gives `{"Untagged": …}` and `{"Deleted": …}` in order."""
        query = {"force": force, "noprune": no_prune}
        return list(self._transport.json("DELETE", f"/images/{_path(reference)}", query))

    def prune(self, filters: Filters | None = None) -> Pruned:
        """Remove images that nothing names; all unused ones with the filter `{"dangling": ["false"]}`."""
        return Pruned(self._transport.json("POST", "/images/prune", {"filters": filters or None}))

    def pull(
        self,
        name: str,
        tag: str = "",
        *,
        platform: str | None = None,
        all_platforms: bool = False,
        auth: Auth | None = None,
        report: Report = ignore,
    ) -> None:
        """Bring an image from a registry; `tag` may be a digest; without one, every tag of the name comes.

        With `all_platforms` (a daemon of lamina's) the images for other platforms come too, each named by its digest.
        """
        query = {"fromImage": name, "tag": tag or None, "platform": platform, "allPlatforms": all_platforms or None}
        self._follow(self._transport.lines("POST", "/images/create", query, headers=auth_header(auth)), report)

    def push(
        self,
        name: str,
        tag: str = "",
        *,
        platform: str | None = None,
        auth: Auth | None = None,
        report: Report = ignore,
    ) -> None:
        """Send an image to the registry its name tells; without `tag` every tag of the name goes."""
        query = {"tag": tag or None, "platform": platform}
        path = f"/images/{_path(name)}/push"
        self._follow(self._transport.lines("POST", path, query, headers=auth_header(auth)), report)

    def import_tar(
        self,
        source: Iterable[bytes] | str,
        repository: str = "",
        tag: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str | None = None,
        report: Report = ignore,
    ) -> None:
        """Make a one-layer image from a tar, plain or compressed: a file, chunks, or a URL that the daemon fetches."""
        query: dict[str, object] = {"repo": repository or None, "tag": tag or None, "message": message or None}
        query |= {"changes": list(changes), "platform": platform}
        if isinstance(source, str):
            lines = self._transport.lines("POST", "/images/create", {"fromSrc": source, **query})
        else:
            content = {"Content-Type": "application/x-tar"}
            query["fromSrc"] = "-"
            lines = self._transport.lines("POST", "/images/create", query, body=source, headers=content)
        self._follow(lines, report)

    def save(self, references: Sequence[str], sink: IO[bytes], *, platform: str | None = None) -> None:
        """Write an archive of the images, with their names, that `load` of any engine reads."""
        self._archive(references, platform).pour(sink)

    def archive(self, references: Sequence[str], *, platform: str | None = None) -> Iterator[bytes]:
        """`save` as a stream of bytes."""
        reply = self._archive(references, platform)
        try:
            while chunk := reply.body.read1(1 << 20):
                yield chunk
        finally:
            reply.close()

    def load(self, source: Iterable[bytes], *, platform: str | None = None, report: Report = ignore) -> None:
        """Read an archive that `save` wrote, given as a file or chunks; what was loaded is told as Output messages."""
        query = {"quiet": report is ignore, "platform": platform}
        content = {"Content-Type": "application/x-tar"}
        self._follow(self._transport.lines("POST", "/images/load", query, body=source, headers=content), report)

    def loaded(self, source: Iterable[bytes], *, platform: str | None = None) -> Sequence[str]:
        """`load`, and the names and IDs of the images that came."""
        outputs: list[str] = []
        self.load(source, platform=platform, report=lambda m: outputs.append(m.text) if isinstance(m, Output) else None)
        return [line.partition(": ")[2].strip() for text in outputs for line in text.splitlines() if ": " in line]

    def commit(
        self,
        container: str,
        repository: str = "",
        tag: str = "",
        *,
        message: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> Created:
        """Make an image from what a container changed; `changes` are Dockerfile instructions."""
        query: dict[str, object] = {"container": container, "repo": repository or None, "tag": tag or None}
        query |= {"comment": message or None, "author": author or None, "changes": list(changes)}
        query["pause"] = True if pause else "0"
        return Created(self._transport.json("POST", "/commit", query, json_body={}))

    def search(
        self, term: str, *, limit: int | None = None, filters: Filters | None = None, auth: Auth | None = None
    ) -> Sequence[dict[str, Any]]:
        """Repositories that match a term, which may begin with a registry."""
        query = {"term": term, "limit": limit, "filters": filters or None}
        return list(self._transport.json("GET", "/images/search", query, headers=auth_header(auth)))

    def distribution(self, reference: str, *, auth: Auth | None = None) -> dict[str, Any]:
        """The descriptor and platforms of an image in its registry, without pulling it."""
        path = f"/distribution/{_path(reference)}/json"
        return dict(self._transport.json("GET", path, headers=auth_header(auth)))

    def build(
        self,
        context: Iterable[bytes] | None,
        options: Mapping[str, object],
        *,
        auths: Mapping[str, Auth] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Message]:
        """Build with the classic API. `context` is a tar in chunks, or None for a remote one named in `options`.

        `options` are the query parameters of `POST /build` (dockerfile, t, buildargs, labels, target, …).
        """
        extra = {"Content-Type": "application/x-tar", "X-Registry-Config": encode_auth(auths or {}), **(headers or {})}
        return messages(self._transport.lines("POST", "/build", options, body=context, headers=extra))

    def _archive(self, references: Sequence[str], platform: str | None) -> Reply:
        return self._transport.call("GET", "/images/get", {"names": list(references), "platform": platform})

    @staticmethod
    def _follow(lines: Iterator[Mapping[str, Any]], report: Report) -> None:
        for message in messages(lines):
            report(message)


def _path(reference: str) -> str:
    return encode_name(reference, safe="/:@")
