"""Paths free of symbolic links, followed inside a root, whatever holds the files: a tree of values, or descriptors.

Where a real directory is to be opened, the kernel follows links itself (`linux.openat2`).
"""

from __future__ import annotations

from collections.abc import Callable

from lamina.errors import InvalidInput

MOST_LINKS = 40  # as many as the kernel follows in one path (path_resolution(7))


def follow(path: str, link: Callable[[str, bool], str], *, strict: bool = True) -> str:
    """Return `path` relative to the root, without "." and "..", with every link followed inside the root.

    `link` gets a path that is free of links but for its last part, and whether anything, if only a "/", comes behind
    it. It returns the text of the link that is there, "" for anything else. What is missing is taken as it is written.
    Raise InvalidInput past `MOST_LINKS`; where not `strict`, take links for files from then on.
    """
    done: list[str] = []
    pending = path.split("/")[::-1]
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del done[-1:]
        elif part not in ("", "."):
            text = link("/".join((*done, part)), bool(pending)) if strict or links < MOST_LINKS else ""
            if not text:
                done.append(part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise InvalidInput(
                    f"too many levels of symbolic links in {path!r}",
                    advice="A symlink leads back to itself.",
                    path=path,
                )
            if text.startswith("/"):
                done.clear()
            pending.extend(text.split("/")[::-1])
    return "/".join(done)
