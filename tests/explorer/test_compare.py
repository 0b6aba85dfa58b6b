"""Two images are compared by what a container would see of them."""

from __future__ import annotations

import io
import tarfile

from lamina.api.explorer import ImageDifference
from lamina.explorer.explorer import Explorer
from support.gallery import Gallery


def told(difference: ImageDifference) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(file.change, file.path, file.what) for file in difference.files]


def archive(*members: tuple[str, dict[str, object]]) -> io.BytesIO:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, attributes in members:
            member = tarfile.TarInfo(name)
            for attribute, value in attributes.items():
                setattr(member, attribute, value)
            tar.addfile(member)
    content.seek(0)
    return content


def test_layers_do_not_matter_and_files_do(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a": b"1\n", "b": b"2", "gone": b""}, names=["x"])
    gallery.image({"a": b"0"}, {"a": b"1\n", "b": b"3"}, {"d/new": b""}, names=["y"])
    assert told(explorer.compare("x", "y")) == [
        ("modified", "/b", ("content",)),
        ("added", "/d", ()),
        ("removed", "/gone", ()),
        ("added", "/d/new", ()),
    ]
    assert explorer.compare("x", "x").same


def test_small_texts_are_shown_line_by_line(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"conf": b"one\ntwo\n", "image.png": b"\0\1", "long": b"1\n" * 40000, "end": b"a\n"}, names=["x"])
    gallery.image({"conf": b"one\n2\n", "image.png": b"\0\2", "long": b"2\n" * 40000, "end": b"a"}, names=["y"])
    texts = {file.path: file.text for file in explorer.compare("x", "y").files}
    assert texts["/conf"] == "--- a/conf\n+++ b/conf\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
    assert texts["/end"].endswith("-a\n+a\n\\ No newline at end of file\n")
    assert texts["/image.png"] == texts["/long"] == ""


def test_attributes_are_told_apart(gallery: Gallery, explorer: Explorer) -> None:
    before = archive(
        ("mode", {"mode": 0o644}),
        ("owner", {"uid": 1}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "a"}),
        ("time", {"mtime": 1}),
        ("kind", {}),
    )
    after = archive(
        ("mode", {"mode": 0o4755}),
        ("owner", {"uid": 2}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "b"}),
        ("time", {"mtime": 2}),
        ("kind", {"type": tarfile.DIRTYPE}),
    )
    gallery.images.import_tar(before, "x")
    gallery.images.import_tar(after, "y")
    assert told(explorer.compare("x", "y")) == [
        ("modified", "/kind", ("type",)),
        ("modified", "/link", ("target",)),
        ("modified", "/mode", ("mode",)),
        ("modified", "/owner", ("owner",)),
    ]


def test_configurations_are_compared_value_by_value(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a": b"1"}, names=["x"], labels={"k": "1", "same": "s"}, author="me")
    gallery.image({"a": b"1"}, names=["y"], labels={"k": "2", "same": "s"})
    difference = explorer.compare("x", "y")
    assert [(change.name, change.before, change.after, change.files) for change in difference.packages] == [
        ("one", "1", None, ("/usr/bin/one",)),
        ("two", None, "1", ("/usr/bin/two",)),
    ]
