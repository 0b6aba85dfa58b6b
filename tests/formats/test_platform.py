"""Platforms: normal forms, and which of several suits a machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.platform import Platform, choose


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/X86-64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/9.0", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("windows(10.0.17763+win32k)/amd64", "windows(10.0.17763+win32k)/amd64"),
        ("linux(+b+a)/amd64", "linux(+a+b)/amd64"),
        ("windows(1%2B2)/amd64", "windows(1%2B2)/amd64"),
        ("plan99/mips99", "plan99/mips99"),
    ],
)
def test_normal_forms(written: str, normal: str) -> None:
    assert str(Platform.parse(written)) == normal
    assert Platform.parse(normal) == Platform.parse(written)


def test_one_word_is_completed_from_the_host() -> None:
    host = Platform.host()
    assert Platform.parse("linux") == Platform("linux", host.architecture, host.variant)
    assert Platform.parse("s390x") == Platform(host.os, "s390x")
    assert Platform.parse("aarch64") == Platform(host.os, "arm64")


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/*", "*", "nothing-known", "linux/a b", "(x)/y"])
def test_malformed_platforms_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Platform.parse(text)


@given(st.text(max_size=40) | st.text(alphabet="linuxarm64/v8()+%.-", max_size=40))
def test_parse_is_stable(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InvalidInput:
        return
    assert platform.normalised() == platform


def test_choose_prefers_exact_then_older_variants_then_relatives() -> None:
    def offer(*names: str) -> list[Platform | None]:
        return [Platform.parse(name) for name in names]

    assert choose(Platform.parse("linux/amd64"), offer("linux/arm64", "linux/amd64")) == 1
    assert choose(Platform.parse("linux/amd64/v3"), offer("linux/amd64", "linux/amd64/v2")) == 1
    assert choose(Platform.parse("linux/amd64"), offer("linux/amd64/v3", "linux/386")) == 1
    assert choose(Platform.parse("linux/arm/v7"), offer("linux/arm/v5", "linux/arm/v6", "linux/arm/v8")) == 1
    assert choose(Platform.parse("linux/arm64"), offer("linux/amd64", "linux/arm/v7")) == 1
    assert choose(Platform.parse("linux/s390x"), offer("linux/amd64")) is None
    assert choose(Platform.parse("linux/s390x"), [Platform.parse("linux/amd64"), None]) == 1


def test_windows_versions_and_features() -> None:
    wanted = Platform("windows", "amd64", os_version="10.0.17763.1")
    assert Platform("windows", "amd64", os_version="10.0.17763.99").matches(wanted)
    assert not Platform("windows", "amd64", os_version="10.0.20348.1").matches(wanted)
    assert Platform("windows", "amd64", os_features=("win32k",)).matches(wanted)
    assert not Platform("linux", "amd64", os_features=("sse4",)).matches(Platform("linux", "amd64"))


def test_json_keeps_what_was_written() -> None:
    document = {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "1", "os.features": ["x"]}
    assert Platform.from_json(document, "image index").to_json() == document
