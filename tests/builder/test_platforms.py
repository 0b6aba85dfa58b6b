"""Which platforms a build is for, and what is refused before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.platforms import MOST, platforms_of
from lamina.errors import InvalidInput, Unsupported
from lamina.formats.platform import Platform
from lamina.linux.emulation import emulated_architectures
from support.workshop import Workshop, listing

ARM64 = "7f454c460201010000000000000000000200b700"
ENTRY = "enabled\ninterpreter /usr/bin/qemu\nflags: {flags}\noffset 0\nmagic {magic}\nmask ffff\n"


def entry(folder: Path, name: str, magic: str, flags: str = "OCF") -> None:
    (folder / name).write_text(ENTRY.format(magic=magic, flags=flags))


def test_emulators_are_read_from_the_kernels_list(tmp_path: Path) -> None:
    entry(tmp_path, "qemu-aarch64", ARM64)
    entry(tmp_path, "qemu-s390x", "7f454c4602020100000000000000000000020016")
    entry(tmp_path, "qemu-arm", "7f454c4601010100000000000000000002002800", flags="OC")
    entry(tmp_path, "python", "420d0d0a")
    (tmp_path / "off").write_text(ENTRY.format(magic=ARM64, flags="F").replace("enabled", "disabled"))
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "odd").write_text("")
    assert emulated_architectures(tmp_path) == ("arm64", "s390x")
    assert emulated_architectures(tmp_path / "missing") == ()


def test_a_list_of_platforms_has_each_once() -> None:
    text = "linux/amd64, linux/arm64,linux/x86_64,,linux/arm/v7"
    assert [str(each) for each in platforms_of(text)] == ["linux/amd64", "linux/arm64", "linux/arm/v7"]
    assert platforms_of("") == ()
    with pytest.raises(InvalidInput, match=f"{MOST} platforms at most"):
        platforms_of(",".join(f"linux/arm/v{number}" for number in range(MOST + 1)))


def foreign() -> str:
    """A platform whose programs run nowhere."""
    return "linux/ppc" if Platform.host().architecture != "ppc" else "linux/sparc"


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM scratch\nCOPY a.txt /\nRUN make\n",
        "FROM scratch AS base\nFROM base\nCOPY a.txt /\nRUN make\n",
        "FROM --platform=$TARGETPLATFORM scratch\nCOPY a.txt /\nRUN make\n",
    ],
)
def test_a_run_for_a_foreign_machine_is_refused_before_anything_is_built(workshop: Workshop, dockerfile: str) -> None:
    with pytest.raises(Unsupported, match=f"RUN cannot run programs for {foreign()}") as raised:
        workshop.build(dockerfile, {"a.txt": "1"}, BuildRequest(platform=foreign()))
    assert "COPY" not in workshop.said
    assert raised.value.facts["line"] == dockerfile.count("\n")
    assert "BUILDPLATFORM" in (raised.value.advice or "")


def test_copies_for_a_foreign_machine_need_no_emulator(workshop: Workshop) -> None:
    text = "FROM --platform=$BUILDPLATFORM scratch AS tools\nCOPY a.txt /\nFROM scratch\nCOPY --from=tools /a.txt /b\n"
    image = workshop.build(text, {"a.txt": "1"}, BuildRequest(platform=foreign()))
    assert str(image.platform) == foreign()


def test_the_version_of_the_system_belongs_to_the_platform(workshop: Workshop) -> None:
    text = "FROM scratch\nARG TARGETOSVERSION TARGETPLATFORM\nCOPY <<EOF /told\n$TARGETOSVERSION $TARGETPLATFORM\nEOF\n"
    image = workshop.build(text, {}, BuildRequest(platform="windows(10.0.2)/amd64"))
    assert listing(image)["told"].endswith("10.0.2 windows(10.0.2)/amd64")
    assert image.config.os_version == "10.0.2"
