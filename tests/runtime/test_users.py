"""USER and --user as Docker resolves them, by the image's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.runtime.spec import User
from lamina.runtime.users import FILE_LIMIT, read_in_root, resolve

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\n# note\nbroken\n"
GROUP = b"root:x:0:\nwww:x:34:\ndisk:x:6:web,root\naudio:x:29:web\n"


@pytest.mark.parametrize(
    ("given", "user", "home"),
    [
        ("", User(0, 0, (6,)), "/root"),
        ("root", User(0, 0, (6,)), "/root"),
        ("web", User(33, 34, (6, 29)), "/srv"),
        ("33", User(33, 34, (6, 29)), "/srv"),
        ("web:audio", User(33, 29), "/srv"),
        ("web:77", User(33, 77), "/srv"),
        ("1234", User(1234, 0), "/"),
        ("1234:5678", User(1234, 5678), "/"),
    ],
)
def test_resolves(given: str, user: User, home: str) -> None:
    account = resolve(given, PASSWD, GROUP)
    assert (account.user, account.home) == (user, home)


def test_added_groups_come_on_top() -> None:
    assert resolve("web", PASSWD, GROUP, ["audio", "99"]).user.additional_gids == (6, 29, 99)


@pytest.mark.parametrize("given", ["nobody", "web:none", "4294967296"])
def test_unknown_names_are_named(given: str) -> None:
    with pytest.raises(InvalidInput):
        resolve(given, PASSWD, GROUP)


def test_links_do_not_lead_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").symlink_to("../../secret")
    (root / "secret").write_text("inside")
    assert read_in_root(root, "/etc/passwd") == b"inside"
    assert read_in_root(root, "/etc/none") == b""


@pytest.mark.parametrize("path", ["/proc/kmsg", "/sys/kernel/uevent_seqnum"])
def test_files_that_the_kernel_makes_up_are_not_read(path: str) -> None:
    assert Path(path).stat().st_mode & 0o170000 == 0o100000
    assert read_in_root("/", path) == b""


def test_a_long_file_is_read_to_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "passwd").open("wb") as file:
        file.truncate(1 << 40)
    assert len(read_in_root(tmp_path, "/passwd")) == FILE_LIMIT
