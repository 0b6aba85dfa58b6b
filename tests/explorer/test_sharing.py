"""What two images share is told by layer and by file, and packages with their licences."""

from __future__ import annotations

from lamina.explorer.explorer import Explorer
from support.gallery import Gallery

COPYRIGHT = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: MIT\n"
STATUS = (
    b"Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
    b"Package: old\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n"
)


def test_layers_are_shared_and_equal_files_are_not(gallery: Gallery, explorer: Explorer) -> None:
    base = gallery.image({"base": b"b" * 10})
    gallery.image({"app": b"a" * 500, "x": b"1"}, parent=base, names=["one"])
    gallery.image({"moved/app": b"a" * 500, "y": b"22"}, parent=base, names=["two"])
    sharing = explorer.sharing("one", "two")
    assert [layer.size for layer in sharing.layers] == [10]
    assert (sharing.shared_bytes, sharing.own_bytes, sharing.other_bytes) == (10, 501, 502)
    assert [(file.path, file.other_path, file.size) for file in sharing.equal] == [("/app", "/moved/app", 500)]
    assert (sharing.equal_files, sharing.equal_bytes) == (1, 500)


def test_an_image_shares_all_of_itself(gallery: Gallery, explorer: Explorer) -> None:
    gallery.image({"a": b"1"}, names=["x"])
    sharing = explorer.sharing("x", "x")
    assert (sharing.shared_bytes, sharing.own_bytes, sharing.equal) == (1, 0, ())


def test_packages_have_their_licences_and_layer(gallery: Gallery, explorer: Explorer) -> None:
    files = {
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/tool/copyright": COPYRIGHT,
        "usr/share/doc/old/copyright": b"See /usr/share/common-licenses/GPL-2.\n",
    }
    python = {"usr/lib/python3/site/p-1.dist-info/METADATA": b"Name: p\nVersion: 1\nLicense: BSD\n"}
    node = {"srv/node_modules/@s/n/package.json": b'{"name": "@s/n", "version": "3", "license": "ISC"}'}
    gallery.image(files, python, node, names=["x"])
    packages = explorer.packages("x")
    assert [(package.kind, package.name, package.licenses, package.layer) for package in packages] == [
        ("deb", "old", ("GPL-2",), 0),
        ("deb", "tool", ("MIT",), 0),
        ("npm", "@s/n", ("ISC",), 2),
        ("pypi", "p", ("BSD",), 1),
    ]
