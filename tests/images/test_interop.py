"""Archives go both ways between lamina and docker, podman, skopeo and umoci: same IDs, same layers."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.images.image import Image
from support.daemons import Daemon, dockerd, short_folder
from support.gallery import Gallery
from support.programs import need

pytestmark = [pytest.mark.root, pytest.mark.peer]
NAME = "example.com/team/app:v1"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


@pytest.fixture
def app(gallery: Gallery) -> Image:
    """An image of two layers, the second with a whiteout."""
    base = gallery.image({"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "old": b"old"}, names=["base:1"])
    return gallery.image({"srv/app": b"x" * 5000, ".wh.old": b""}, parent=base, names=[NAME], labels={"l": "1"})


@pytest.fixture
def archive(gallery: Gallery, app: Image, tmp_path: Path) -> Path:
    path = tmp_path / "saved.tar"
    with path.open("wb") as sink:
        gallery.images.save([NAME], sink)
    return path


def check_loaded(other: Gallery, app: Image, path: Path, *, name: str | None = NAME) -> None:
    with path.open("rb") as stream:
        (loaded,) = other.images.load(stream)
    assert loaded.id == app.id
    assert [reference.familiar() for reference in loaded.references] == ([name] if name else [])
    assert other.images.get(app.id).layer_sizes == app.layer_sizes
    assert list(other.store.verify()) == []


@pytest.fixture(scope="module")
def docker() -> Iterator[Daemon]:
    need("dockerd")
    with dockerd() as daemon:
        yield daemon


def test_docker_loads_it(docker: Daemon, archive: Path, app: Image) -> None:
    assert f"Loaded image: {NAME}" in docker.text("load", "-i", str(archive))
    (seen,) = json.loads(docker.text("image", "inspect", NAME))
    assert seen["Id"] == str(app.id)
    assert seen["RootFS"]["Layers"] == [str(diff_id) for diff_id in app.config.diff_ids]
    assert seen["Config"]["Labels"] == {"l": "1"}
    assert seen["Size"] == app.size
    steps = docker.text("history", "-q", "--no-trunc", NAME).split()
    assert steps == [str(app.id), "<missing>"]


def test_what_docker_saves(docker: Daemon, archive: Path, app: Image, other: Gallery, tmp_path: Path) -> None:
    docker.text("load", "-i", str(archive))
    docker.text("save", "-o", str(tmp_path / "docker.tar"), NAME)
    check_loaded(other, app, tmp_path / "docker.tar")
    docker.text("save", "-o", str(tmp_path / "nameless.tar"), str(app.id))
    other.images.remove(NAME)
    check_loaded(other, app, tmp_path / "nameless.tar", name=None)


def test_history_agrees_with_docker(docker: Daemon, archive: Path, other: Gallery) -> None:
    docker.text("load", "-i", str(archive))
    with archive.open("rb") as stream:
        other.images.load(stream)
    wanted = docker.text("history", "--no-trunc", "-H=false", "--format", "{{.ID}}\t{{.CreatedBy}}\t{{.Size}}", NAME)
    steps = other.images.history(NAME)
    assert [f"{step.id}\t{step.created_by}\t{step.size}" for step in steps] == wanted.splitlines()


def test_an_import_agrees_with_docker(docker: Daemon, gallery: Gallery, app: Image, tmp_path: Path) -> None:
    changes = [
        'CMD ["/bin/sh", "-c", "x"]',
        "ENV A=1 B='2 3'",
        "EXPOSE 80 81/udp",
        "WORKDIR /w/",
        "LABEL a=b",
        "USER 1",
    ]
    changes += ["VOLUME /v", "ENTRYPOINT e $A", "HEALTHCHECK --retries=3 CMD true", "ONBUILD RUN x"]
    flags = [part for change in changes for part in ("--change", change)]
    image_id = docker.text("import", *flags, "-m", "note", str(app.layers[0].tar), "imported")
    (seen,) = json.loads(docker.text("image", "inspect", image_id))
    with app.layers[0].tar.open("rb") as stream:
        image = gallery.images.import_tar(stream, message="note", changes=changes)
    ours = json.loads(json.dumps({key: value for key, value in image.config.config.to_docker().items() if value}))
    assert ours == {key: value for key, value in seen["Config"].items() if value}
    assert (seen["Comment"], seen["Size"]) == (image.comment, image.size)
    assert seen["RootFS"]["Layers"] == [str(image.config.diff_ids[0])]


@pytest.fixture
def podman() -> Iterator[list[str]]:
    program = need("podman")
    with short_folder("pod-") as folder:  # podman takes no run root longer than 50 characters
        yield [program, "--root", f"{folder}/p", "--runroot", f"{folder}/pr", "--storage-driver", "vfs"]


def test_podman_loads_it(podman: list[str], archive: Path, app: Image) -> None:
    run(*podman, "load", "-i", str(archive))
    (seen,) = json.loads(run(*podman, "image", "inspect", NAME))
    assert seen["Id"] == app.id.encoded
    assert seen["RootFS"]["Layers"] == [str(diff_id) for diff_id in app.config.diff_ids]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_what_podman_saves(
    podman: list[str], archive: Path, app: Image, other: Gallery, tmp_path: Path, form: str
) -> None:
    run(*podman, "load", "-i", str(archive))
    run(*podman, "save", "--format", form, "-o", str(tmp_path / "podman.tar"), NAME)
    check_loaded(other, app, tmp_path / "podman.tar")


@pytest.mark.parametrize("source", ["docker-archive", "oci-archive"])
def test_skopeo_copies_it(
    gallery: Gallery, app: Image, archive: Path, other: Gallery, tmp_path: Path, source: str
) -> None:
    skopeo = need("skopeo")
    seen = json.loads(run(skopeo, "inspect", "--config", f"{source}:{archive}"))
    assert seen["rootfs"]["diff_ids"] == [str(diff_id) for diff_id in app.config.diff_ids]
    for form in ("docker-archive", "oci-archive"):
        target = tmp_path / f"{form}.tar"
        run(skopeo, "--insecure-policy", "copy", f"{source}:{archive}", f"{form}:{target}:{NAME}")
        with target.open("rb") as stream:
            (loaded,) = other.images.load(stream)
        assert other.images.get(loaded.id).config.diff_ids == app.config.diff_ids
        assert loaded.references == app.references
        if (source, form) != ("docker-archive", "oci-archive"):  # there skopeo writes the config anew
            assert loaded.id == app.id


def test_umoci_unpacks_it_and_its_layouts_load(app: Image, archive: Path, other: Gallery, tmp_path: Path) -> None:
    umoci = need("umoci")
    layout = tmp_path / "layout"
    layout.mkdir()
    run("tar", "-xf", str(archive), "-C", str(layout))
    run(umoci, "unpack", "--image", f"{layout}:v1", str(tmp_path / "bundle"))
    root = tmp_path / "bundle/rootfs"
    assert (root / "srv/app").read_bytes() == b"x" * 5000
    assert not (root / "old").exists()
    (root / "added").write_text("by umoci")
    run(umoci, "repack", "--image", f"{layout}:v2", str(tmp_path / "bundle"))
    run(umoci, "rm", "--image", f"{layout}:v1")
    for extra in ("manifest.json", "repositories"):
        (layout / extra).unlink()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(layout, arcname=".")
    packed.seek(0)
    (loaded,) = other.images.load(packed)
    image = other.images.get(loaded.id)
    assert image.config.diff_ids[:2] == app.config.diff_ids
    assert len(image.layers) == 3
    assert other.images.manifest(image).digest == image.manifest_digest
