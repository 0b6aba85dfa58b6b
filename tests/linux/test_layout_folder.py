"""A folder in the form of an OCI image layout, and one that somebody else has prepared."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import CacheOption
from lamina.errors import Corrupt, InvalidInput, NotFound
from lamina.formats.descriptor import OCI_INDEX, Descriptor
from lamina.formats.digest import Digest
from lamina.linux.layout_folder import CONTAINERD_NAME, REF_NAME, LayoutFolder, with_digests
from lamina.progress import Message, Output

BLOB = b"bytes of a blob"
DIGEST = Digest.of(BLOB)
MANIFEST = Descriptor.of(OCI_INDEX, b"{}")
OTHER = Descriptor.of(OCI_INDEX, b"{ }")


def index(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    return listed


def test_blobs_are_added_and_read(tmp_path: Path) -> None:
    folder = LayoutFolder(tmp_path / "new/cache")
    folder.write(DIGEST, [BLOB[:4], BLOB[4:]])
    assert folder.size(DIGEST) == len(BLOB)
    with folder.open(DIGEST) as file:
        assert file.read() == BLOB
    assert folder.size(Digest.of(b"other")) is None
    assert os.listdir(tmp_path / "new/cache/blobs/sha256") == [DIGEST.encoded]


def test_a_blob_with_another_digest_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="does not have the digest"):
        LayoutFolder(tmp_path).write(DIGEST, [b"other"])
    assert os.listdir(tmp_path / "blobs/sha256") == []


def test_tags_keep_what_others_wrote(tmp_path: Path) -> None:
    folder = LayoutFolder(tmp_path)
    folder.finish(MANIFEST, "main")
    folder.finish(OTHER, "branch")
    foreign = {"mediaType": OCI_INDEX, "digest": str(DIGEST), "size": 3, "annotations": {"a": "b"}}
    document = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps(document | {"manifests": [foreign, *document["manifests"]]}))
    folder.finish(OTHER, "main")
    kept, *others = index(tmp_path)
    assert (kept["digest"], kept["annotations"], len(others)) == (str(DIGEST), {"a": "b"}, 2)
    tagged = [folder.tagged(tag) for tag in ("main", "branch", "none")]
    assert [each and each.digest for each in tagged] == [OTHER.digest, OTHER.digest, None]
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_no_link_of_a_folder_is_followed(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "folder"
    secret.mkdir()
    (secret / DIGEST.encoded).write_bytes(BLOB)
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs/sha256").symlink_to(secret)
    (folder / "index.json").symlink_to(secret / DIGEST.encoded)
    layout = LayoutFolder(folder)
    for wrong in (
        lambda: layout.size(DIGEST),
        lambda: layout.write(OTHER.digest, [b"{ }"]),
        lambda: layout.tagged("main"),
        lambda: layout.finish(MANIFEST, "main"),
    ):
        with pytest.raises(InvalidInput, match="leads through a symlink"):
            wrong()
    assert os.listdir(secret) == [DIGEST.encoded]
    (folder / "index.json").unlink()
    os.mkfifo(folder / "index.json")
    with pytest.raises(InvalidInput, match="is not a file"):
        layout.tagged("main")


def test_a_folder_without_a_cache_is_told_and_left_out(tmp_path: Path) -> None:
    said: list[Message] = []
    LayoutFolder(tmp_path / "full").finish(MANIFEST, "latest")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/index.json").write_text("[")
    names = ("full", "missing", "broken")
    options = [CacheOption("local", {"src": str(tmp_path / name)}) for name in names]
    options += [
        CacheOption("local", {"src": str(tmp_path / "full"), "tag": "v1"}),
        CacheOption("registry", {"ref": "a"}),
    ]
    read = with_digests(options, said.append)
    assert [each.attrs.get("digest") for each in read] == [str(MANIFEST.digest), None]
    texts = [message.text for message in said if isinstance(message, Output)]
    assert [text.split()[3] for text in texts] == [str(tmp_path / name) for name in ("missing", "broken", "full")]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "missing"):
        with pytest.raises(NotFound, match="is not a folder"):
            LayoutFolder(tmp_path / name).tagged("latest")


def layout_tar(path: Path, entries: list[dict[str, Any]], blobs: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        files = {f"blobs/{name}": content for name, content in blobs.items()}
        for name, content in (files | {"index.json": json.dumps({"manifests": entries}).encode()}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_images_of_an_archive_are_added_to_the_others(tmp_path: Path) -> None:
    folder = LayoutFolder(tmp_path / "layout")
    folder.finish(OTHER, "old")
    folder.finish(OTHER, "latest")
    folder.add_archive(layout_tar(tmp_path / "tar", [MANIFEST.to_json()], {f"sha256/{DIGEST.encoded}": BLOB}))
    assert folder.size(DIGEST) == len(BLOB)
    tagged = [folder.tagged(tag) for tag in ("old", "latest")]
    assert [each.digest for each in tagged if each] == [OTHER.digest, MANIFEST.digest]
    named = MANIFEST.to_json() | {"annotations": {REF_NAME: "1", CONTAINERD_NAME: "docker.io/library/app:1"}}
    for _ in range(2):
        folder.add_archive(layout_tar(tmp_path / "tar", [named], {}))
    assert [entry["annotations"] for entry in index(tmp_path / "layout")] == [
        {REF_NAME: "old"},
        {REF_NAME: "latest"},
        named["annotations"],
    ]


@pytest.mark.parametrize("name", [f"sha256/{OTHER.digest.encoded}", "sha256/../../escaped", "sha256/short", "md5"])
def test_an_archive_cannot_bring_other_files(tmp_path: Path, name: str) -> None:
    archive = layout_tar(tmp_path / "tar", [MANIFEST.to_json()], {name: BLOB})
    with pytest.raises((Corrupt, InvalidInput)):
        LayoutFolder(tmp_path / "layout").add_archive(archive)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]
