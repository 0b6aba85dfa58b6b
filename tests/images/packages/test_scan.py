"""The packages that are found in an image's files, and what a hostile image makes of the search."""

from __future__ import annotations

import json
import random
import sqlite3
import struct
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.images.packages.package import Distribution, Package
from lamina.images.packages.rpm import rpm_packages
from lamina.images.packages.scan import scan
from lamina.images.packages.stanzas import dpkg_packages
from lamina.layers.union import StackTree
from support.gallery import Gallery

DPKG = b"""Package: zlib1g
Status: install ok installed
Source: zlib (1:1.2.13.dfsg-1)
Version: 1:1.2.13.dfsg-1
Architecture: amd64
Maintainer: Mark Brown <broonie@debian.org>
Description: compression library
 a continued line: with a colon

Package: gone
Status: deinstall ok config-files
Version: 1

"""
APK = b"C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:Timo <t@a.org>\nF:lib\n\nP:busybox\nV:1.36\n\n"
TABLE = "CREATE TABLE Packages (hnum INTEGER, blob BLOB)"
DEBIAN = b'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n'


def found(gallery: Gallery, *layers: Mapping[str, bytes]) -> dict[str, Package]:
    image = gallery.image(*layers)
    return {package.url: package for package in scan(StackTree(image.layers)).packages}


def header(**texts: str | int) -> bytes:
    """A header of rpm with these tags."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "license": 1014, "arch": 1022}
    index, data = b"", b""
    for name, value in texts.items():
        raw = value.to_bytes(4, "big") if isinstance(value, int) else value.encode() + b"\0"
        index += struct.pack(">IiiI", tags[name], 4 if isinstance(value, int) else 6, len(data), 1)
        data += raw
    return struct.pack(">II", len(texts), len(data)) + index + data


def sqlite_database(
    folder: Path, *headers: bytes, table: str = "CREATE TABLE Packages (hnum INTEGER, blob BLOB)"
) -> bytes:
    path = folder / "rpmdb.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(table)
        for number, raw in enumerate(headers):
            connection.execute("INSERT INTO Packages VALUES (?, ?)", (number, raw))
    connection.close()
    raw = path.read_bytes()
    path.unlink()
    return raw


def ndb_database(*headers: bytes) -> bytes:
    page = struct.pack("<4sIII", b"RpmP", 0, 1, 1) + bytes(16)
    blobs, block = b"", 4096 // 16
    for number, raw in enumerate(headers, 1):
        blob = struct.pack("<4sIII", b"BlbS", number, 1, len(raw)) + raw
        blob += bytes(-len(blob) % 16)
        page += struct.pack("<4sIII", b"Slot", number, block, len(blob) // 16)
        block += len(blob) // 16
        blobs += blob
    return page.ljust(4096, b"\0") + blobs


def test_debian_packages(gallery: Gallery) -> None:
    packages = found(gallery, {"var/lib/dpkg/status": DPKG, "etc/os-release": DEBIAN})
    (url,) = packages
    assert url == "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12&upstream=zlib"
    assert packages[url].supplier == "Mark Brown <broonie@debian.org>"
    assert packages[url].path == "var/lib/dpkg/status"


def test_packages_of_images_without_a_package_manager(gallery: Gallery) -> None:
    files = {"var/lib/dpkg/status.d/zlib": DPKG, "var/lib/dpkg/status.d/zlib.md5sums": b"0  usr/lib/x\n"}
    assert [package.name for package in found(gallery, files).values()] == ["zlib1g"]


def test_alpine_packages(gallery: Gallery) -> None:
    release = b"ID=alpine\nVERSION_ID=3.18.4\n"
    packages = found(gallery, {"lib/apk/db/installed": APK, "etc/os-release": release})
    assert sorted(packages) == [
        "pkg:apk/alpine/busybox@1.36?distro=alpine-3.18.4",
        "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4&upstream=musl",
    ]


@pytest.mark.parametrize("form", ["sqlite", "ndb"])
def test_rpm_packages(gallery: Gallery, tmp_path: Path, form: str) -> None:
    headers = [
        header(name="bash", version="5.2", release="1.fc39", arch="x86_64", license="GPLv3+"),
        header(name="dbus", version="1.14", release="4.fc39", epoch=1, arch="x86_64"),
        header(name="gpg-pubkey", version="18b8e74c"),
    ]
    if form == "sqlite":
        files = {"usr/lib/sysimage/rpm/rpmdb.sqlite": sqlite_database(tmp_path, *headers)}
    else:
        files = {"var/lib/rpm/Packages.db": ndb_database(*headers)}
    packages = found(gallery, {**files, "etc/os-release": b"ID=fedora\nVERSION_ID=39\n"})
    assert sorted(packages) == [
        "pkg:rpm/fedora/bash@5.2-1.fc39?arch=x86_64&distro=fedora-39",
        "pkg:rpm/fedora/dbus@1.14-4.fc39?arch=x86_64&distro=fedora-39&epoch=1",
    ]


def test_python_and_node_packages(gallery: Gallery) -> None:
    site = "usr/lib/python3/site-packages"
    files = {
        f"{site}/Flask_Cors-4.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: Flask_Cors\nVersion: 4.0\n\ntext\n",
        f"{site}/old.egg-info/PKG-INFO": b"Name: old\nVersion: 1\nLicense: MIT\n",
        "app/node_modules/left-pad/package.json": json.dumps({"name": "left-pad", "version": "1.3.0"}).encode(),
        "app/node_modules/@types/node/package.json": b'{"name": "@types/node", "version": "20.1.0", "license": "MIT"}',
        "app/node_modules/left-pad/test/package.json": b'{"name": "no", "version": "1"}',
        "app/package.json": b'{"name": "app", "version": "1"}',
    }
    assert sorted(found(gallery, files)) == [
        "pkg:npm/%40types/node@20.1.0",
        "pkg:npm/left-pad@1.3.0",
        "pkg:pypi/flask-cors@4.0",
        "pkg:pypi/old@1",
    ]


def test_a_later_layer_decides(gallery: Gallery) -> None:
    metadata = "lib/a.dist-info/METADATA"
    below = {metadata: b"Name: a\nVersion: 1\n\n", "lib/b.dist-info/METADATA": b"Name: b\nVersion: 1\n\n"}
    packages = found(gallery, below, {metadata: b"Name: a\nVersion: 2\n\n", "lib/.wh.b.dist-info": b""})
    assert list(packages) == ["pkg:pypi/a@2"]


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE Packages (hnum INTEGER, x BLOB, blob AS (zeroblob(900000000)))",
        "CREATE TABLE Packages (hnum INTEGER, x BLOB, blob AS (hex(zeroblob(hnum)) GLOB '*0*0*0*0*0*0*0*1') STORED)",
    ],
)
def test_no_database_runs_functions_of_its_own(tmp_path: Path, table: str) -> None:
    raw = sqlite_database(tmp_path, header(name="bash", version="1"), table=table)
    with pytest.raises(InvalidInput, match="no table of packages"):
        list(rpm_packages(raw, "p", Distribution()))


def test_a_header_that_names_one_text_many_times_takes_no_more_than_it_is_long(tmp_path: Path) -> None:
    entries, text = 1 << 16, b"x" * (8 << 20)
    raw = struct.pack(">II", entries, len(text)) + b"".join(
        struct.pack(">IiiI", 1000 + number, 6, 0, 1) for number in range(entries)
    )
    tracemalloc.start()
    try:
        (package,) = rpm_packages(ndb_database(raw + text), "p", Distribution())
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert package.name == "x" * 1024


def test_headers_that_lie_over_each_other_are_read_once(tmp_path: Path) -> None:
    raw = bytearray(ndb_database(header(name="bash", version="1") + bytes(1 << 16)))
    for number in range(2, 200):  # as many slots for the one blob
        raw[32 + 16 * (number - 1) : 32 + 16 * number] = struct.pack("<4sIII", b"Slot", number, 4096 // 16, 1)
    with pytest.raises(InvalidInput, match="over each other"):
        list(rpm_packages(bytes(raw), "p", Distribution()))


def test_lines_of_a_database_are_not_kept(tmp_path: Path) -> None:
    raw = DPKG + b"a: b\n" * (1 << 16) + b"".join(b"n%d: x\n" % number for number in range(1 << 15))
    tracemalloc.start()
    try:
        packages = list(dpkg_packages(raw, "p", Distribution()))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert [package.name for package in packages] == ["zlib1g"]


def test_damaged_files_are_told_and_hide_nothing_else(gallery: Gallery, tmp_path: Path) -> None:
    view = "CREATE VIEW Packages AS SELECT 1 AS hnum, x'00' AS blob"
    image = gallery.image(
        {
            "var/lib/dpkg/status": DPKG,
            "var/lib/rpm/rpmdb.sqlite": sqlite_database(tmp_path, table=view),
            "var/lib/rpm/Packages.db": b"RpmP",
            "a/node_modules/x/package.json": b"{",
            "b/x.dist-info/METADATA": b"\xff\xfe",
        }
    )
    result = scan(StackTree(image.layers))
    assert [package.name for package in result.packages] == ["zlib1g"]
    assert result.damaged == ("var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite")


def test_any_bytes_are_read_to_an_end(gallery: Gallery, tmp_path: Path) -> None:
    seed = random.Random(7)
    good = [
        sqlite_database(tmp_path, header(name="bash", version="1")),
        ndb_database(header(name="bash", version="1")),
        header(name="bash", version="1", release="2"),
    ]
    for number in range(60):
        raw = bytearray(good[number % 2])
        for _ in range(seed.randrange(1, 40)):
            raw[seed.randrange(len(raw))] = seed.randrange(256)
        name = ("rpmdb.sqlite", "Packages.db")[number % 2]
        image = gallery.image({f"var/lib/rpm/{name}": bytes(raw), "n": str(number).encode()})
        scan(StackTree(image.layers))
