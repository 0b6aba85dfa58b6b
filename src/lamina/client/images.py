"""Images of a daemon: the `/images` part of the Engine API."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.client import lists
from lamina.client.image_documents import AttestedStatement, HistoryStep, Image, PrunedImages, Removal
from lamina.client.messages import messages
from lamina.client.references import image_path, split_name
from lamina.client.sending import TAR
from lamina.formats.text import several_texts
from lamina.light import TYPE_CHECKING
from lamina.progress import Output, Report, Status, ignore
from lamina.types import images

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import IO, Any

    from lamina.client.transport import Transport
    from lamina.formats.matching import Filters


class Images(images.Images):
    """The verbs of `lamina.types.Images` on a daemon's images."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, reference: str, *, platform: str = "") -> Image:
        query = {"platform": platform or None}
        return Image(self._transport.json("GET", f"{image_path(reference)}/json", query))

    def list(self, *, all: bool = False, filters: Filters | None = None, shared_size: bool = False) -> list[Image]:
        documents = lists.images(self._transport, all=all, filters=filters, shared_size=shared_size)
        return [Image(item) for item in documents]

    def history(self, reference: str, *, platform: str = "") -> Sequence[HistoryStep]:
        if platform:
            self._transport.check_version("1.48", "the history for one platform")
        query = {"platform": platform or None}
        return [HistoryStep(item) for item in self._transport.json("GET", f"{image_path(reference)}/history", query)]

    def attestations(
        self, reference: str, *, platform: str = "", types: Sequence[str] = (), statements: bool = False
    ) -> Sequence[AttestedStatement]:
        query = {"platform": platform or None, "type": list(several_texts("types", types)), "statement": statements}
        answer = self._transport.json("GET", f"{image_path(reference)}/attestations", query)
        return [AttestedStatement(item) for item in answer]

    def tag(self, reference: str, name: str) -> None:
        repository, tag = split_name(name)
        self._transport.json("POST", f"{image_path(reference)}/tag", {"repo": repository, "tag": tag or None})

    def remove(
        self, reference: str, *, force: bool = False, prune: bool = True, platforms: Sequence[str] = ()
    ) -> Sequence[Removal]:
        if platforms:
            self._transport.check_version("1.50", "removing images for some platforms")
        query = {"force": force, "noprune": not prune, "platforms": list(several_texts("platforms", platforms))}
        return [Removal(item) for item in self._transport.json("DELETE", image_path(reference), query)]

    def removal_plan(self, reference: str, *, force: bool = False, prune: bool = True) -> PrunedImages:
        query = {"force": force, "noprune": not prune}
        return PrunedImages(self._transport.json("GET", f"{image_path(reference)}/removal", query))

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> PrunedImages:
        query = {"filters": filters or None}
        return PrunedImages(self._transport.json("POST", "/images/prune", query, cancellation=cancellation))

    def import_tar(
        self,
        source: Iterable[bytes],
        reference: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        cancellation: Cancellation = NEVER,
    ) -> Image:
        query = import_query("-", reference, message, changes, platform)
        lines = self._transport.lines(
            "POST", "/images/create", query, body=source, headers=TAR, cancellation=cancellation
        )
        return self.get(follow_import(lines))

    def load(
        self,
        source: Iterable[bytes],
        *,
        platform: str = "",
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        outputs: list[str] = []
        query = {"quiet": report is ignore, "platform": platform or None}
        lines = self._transport.lines(
            "POST", "/images/load", query, body=source, headers=TAR, cancellation=cancellation
        )
        for message in messages(lines):
            if isinstance(message, Output):
                outputs.append(message.text)
            report(message)
        names = [line.partition(": ")[2].strip() for text in outputs for line in text.splitlines() if ": " in line]
        return [self.get(name) for name in names]

    def save(
        self, references: Sequence[str], sink: IO[bytes], *, platform: str = "", cancellation: Cancellation = NEVER
    ) -> None:
        query = {"names": list(several_texts("references", references)), "platform": platform or None}
        self._transport.call("GET", "/images/get", query, cancellation=cancellation).pour(sink)


def import_query(source: str, reference: str, message: str, changes: Sequence[str], platform: str) -> dict[str, object]:
    """Return the parameters of an import."""
    repository, tag = split_name(reference)
    query: dict[str, object] = {"fromSrc": source, "repo": repository or None, "tag": tag or None}
    query["changes"] = list(several_texts("changes", changes))
    return query | {"message": message or None, "platform": platform or None}


def follow_import(lines: Iterator[Mapping[str, Any]], report: Report = ignore) -> str:
    """Report the progress of an import, and return the new image's ID."""
    last = ""
    for message in messages(lines):
        if isinstance(message, Status) and message.status.startswith("sha256:"):
            last = message.status
        report(message)
    return last
