"""Two images are compared by what a container would see of them."""

from __future__ import annotations

import io
import tarfile

import pytest

from lamina.api.explorer import ImageDifference
from lamina.explorer import package_changes
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
    changes = [(change.name, change.before, change.after) for change in explorer.compare("x", "y").config]
    assert changes == [("Author", "me", None), ("Labels.k", "1", "2")]


def dpkg(version: str, program: bytes) -> dict[str, bytes]:
    """A small system of dpkg with two packages."""
    stanza = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
    return {
        "etc/os-release": b"ID=debian\nVERSION_ID=12\n",
        "var/lib/dpkg/status": (stanza.format("tool", version) + stanza.format("kept", "1")).encode(),
        "var/lib/dpkg/info/tool.list": b"/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/share/doc/tool\n",
        "usr/bin/tool": program,
        "usr/bin/kept": b"same",
    }


def test_an_upgraded_package_is_named_with_its_files(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image(dpkg("1.0-1", b"old"), names=["x"])
    gallery.image(dpkg("1.0-2", b"new"), names=["y"])
    difference = explorer.compare("x", "y")
    (change,) = difference.packages
    assert (change.kind, change.name, change.architecture) == ("deb", "tool", "amd64")
    assert (change.before, change.after, change.files) == ("1.0-1", "1.0-2", ("/usr/bin/tool",))
    assert {file.path for file in difference.files} == {"/usr/bin/tool", "/var/lib/dpkg/status"}


def test_packages_of_languages_are_compared_where_they_lie(gallery: Gallery, explorer: Explorer) -> None:
    def installed(version: str) -> dict[str, bytes]:
        information = f"site/demo-{version}.dist-info"
        return {
            f"{information}/METADATA": f"Name: Demo\nVersion: {version}\n\n".encode(),
            f"{information}/RECORD": f"demo/__init__.py,,\n{information}/METADATA,,\n../bin/demo,,\n".encode(),
            "site/demo/__init__.py": version.encode(),
            "bin/demo": version.encode(),
            "a/node_modules/@s/n/package.json": f'{{"name": "@s/n", "version": "{version}"}}'.encode(),
            "a/node_modules/@s/n/index.js": version.encode(),
            "b/node_modules/@s/n/package.json": b'{"name": "@s/n", "version": "1"}',
        }

    gallery.image(installed("1"), names=["x"])
    gallery.image(installed("2"), names=["y"])
    node, python = explorer.compare("x", "y").packages
    assert (node.name, node.before, node.after) == ("@s/n", "1", "2")
    assert node.files == ("/a/node_modules/@s/n/index.js", "/a/node_modules/@s/n/package.json")
    assert (python.name, python.before, python.after) == ("demo", "1", "2")
    assert {"/bin/demo", "/site/demo/__init__.py"} <= set(python.files)


def test_a_new_package_and_one_that_is_gone(gallery: Gallery, explorer: Explorer) -> None:
    installed = b"P:one\nV:1\nA:x86_64\nF:usr/bin\nR:one\n\n"
    gallery.image({"lib/apk/db/installed": installed, "usr/bin/one": b""}, names=["x"])
    gallery.image({"lib/apk/db/installed": installed.replace(b"one", b"two"), "usr/bin/two": b""}, names=["y"])
    difference = explorer.compare("x", "y")
    assert [(change.name, change.before, change.after, change.files) for change in difference.packages] == [
        ("one", "1", None, ("/usr/bin/one",)),
        ("two", None, "1", ("/usr/bin/two",)),
    ]


def test_a_list_of_files_that_no_program_wrote_hides_nothing_else(gallery: Gallery, explorer: Explorer) -> None:
    def installed(version: str) -> dict[str, bytes]:
        information = f"site/demo-{version}.dist-info"
        record = f"bin/demo,,\n{'x' * 200_000},,\n"
        return {
            f"{information}/METADATA": f"Name: demo\nVersion: {version}\n\n".encode(),
            f"{information}/RECORD": record.encode(),
            "site/bin/demo": version.encode(),
        }

    gallery.image(installed("1"), names=["x"])
    gallery.image(installed("2"), names=["y"])
    (change,) = explorer.compare("x", "y").packages
    assert change.files == ("/site/bin/demo",)


def test_packages_that_list_very_many_files_are_named_without_them(
    gallery: Gallery, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_changes, "_MOST_LOOKS", 4500)

    def installed(version: str) -> dict[str, bytes]:
        files = b"R:no\n" * 2000
        stanzas = b"".join(
            b"P:%s\nV:%s\nF:usr\n%sR:a\n\n" % (name, version.encode(), files) for name in (b"one", b"two")
        )
        return {"lib/apk/db/installed": stanzas, "usr/a": version.encode()}

    gallery.image(installed("1"), names=["x"])
    gallery.image(installed("2"), names=["y"])
    assert [change.files for change in explorer.compare("x", "y").packages] == [("/usr/a",), ()]
