"""A build context with every kind of file whose hash is part of BuildKit's keys."""

from __future__ import annotations

from support.context import File

FILES: dict[str, File | str] = {
    "a.txt": "alpha\n",
    "b.txt": "beta\n",
    "<odd> & 1": "odd\n",
    "dir/one": "1",
    "dir/sub/two": File("2", mode=0o755),
    "dir/inner": File(link="one"),
    "empty": File(directory=True, mode=0o700),
    "file-link": File(link="a.txt"),
    "dir-link": File(link="dir"),
    "archive.tar": File(archive={"in/tar": File("t"), "link": File(link="in/tar")}),
}
