"""`userns-remap`: who is meant, and which ids they have."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.linux.subordinate_ids import SubordinateFiles, remapped_ids
from lamina.linux.user_namespaces import IdRange

NOBODY = pwd.getpwuid(65534).pw_name
GROUP = grp.getgrgid(65534).gr_name


@pytest.fixture
def files(tmp_path: Path) -> SubordinateFiles:
    files = SubordinateFiles(tmp_path / "subuid", tmp_path / "subgid")
    files.uids.write_text(f"# a comment\nother:1:2\n{NOBODY}:200000:1000\nbroken\n65534:700000:24\n")
    files.gids.write_text(f"{GROUP}:300000:1000\n{GROUP}:x:1\n")
    return files


@pytest.mark.parametrize("setting", [f"{NOBODY}:{GROUP}", "65534:65534", f"{NOBODY}:65534"])
def test_users_and_groups_by_name_and_number(files: SubordinateFiles, setting: str) -> None:
    ids = remapped_ids(setting, files)
    assert ids.uids == (IdRange(0, 200_000, 1000), IdRange(1000, 700_000, 24))
    assert ids.gids == (IdRange(0, 300_000, 1000),)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("nobody-of-that-name", "there is no user nobody-of-that-name"),
        (f"{NOBODY}:no-such-group", "there is no group no-such-group"),
        (f"{NOBODY}:", "invalid userns-remap"),
        (":root", "invalid userns-remap"),
        ("99999999999999999999", "there is no user"),
        ("root:root", "no ranges found for root"),
    ],
)
def test_what_cannot_be_mapped_is_said(files: SubordinateFiles, setting: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        remapped_ids(setting, files)


def test_the_hosts_root_is_given_to_nobody(files: SubordinateFiles) -> None:
    files.uids.write_text(f"{NOBODY}:0:1000\n")
    with pytest.raises(InvalidInput, match="gives the host's root"):
        remapped_ids(f"{NOBODY}:{GROUP}", files)


@pytest.mark.root
def test_the_default_user_is_made_with_ids_that_nobody_has(tmp_path: Path) -> None:
    """In a mount namespace with an /etc of its own."""
    script = (
        "import pwd\n"
        "from lamina.linux.subordinate_ids import remapped_ids\n"
        "print(remapped_ids('default').root, remapped_ids('default').root, pwd.getpwnam('dockremap').pw_shell)\n"
    )
    setup = (
        f"cp -a /etc {tmp_path}/etc && mount --bind {tmp_path}/etc /etc && "
        "userdel dockremap 2>/dev/null; echo other:100000:70000 > /etc/subuid; rm /etc/subgid; "
        f'exec {sys.executable} -c "$SCRIPT"'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", setup],
        env={**os.environ, "SCRIPT": script},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(170000, 100000) (170000, 100000) /bin/false\n"
