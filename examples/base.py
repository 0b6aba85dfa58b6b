"""Makes the tar of a base image from Debian's packages: no registry is needed.

`busybox` (2 MB) needs the package busybox-static; `debian` runs debootstrap and needs root.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

FOLDERS = ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var")
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def busybox_tar(target: Path) -> None:
    """Write a runnable busybox system to `target`; the same bytes each time. SystemExit if busybox is missing."""
    busybox = shutil.which("busybox")
    if busybox is None:
        sys.exit("busybox is not installed: run `make setup` as root, or install the package busybox-static")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder in FOLDERS:
            _add(tar, folder, tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        _add(tar, "bin/busybox", data=Path(busybox).read_bytes(), mode=0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            _add(tar, f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
        for name, text in ETC.items():
            _add(tar, name, data=text.encode())


def _add(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    *,
    mode: int = 0o644,
    data: bytes = b"",
    link: str = "",
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, mode, len(data), link
    tar.addfile(member, BytesIO(data))


def debian_tar(target: Path, suite: str = "bookworm") -> None:
    """Bootstrap a minimal Debian with debootstrap (as root) and write it to `target`."""
    if shutil.which("debootstrap") is None:
        sys.exit("debootstrap is not installed: apt-get install debootstrap")
    tree = target.with_suffix(".tree")
    subprocess.run(["debootstrap", "--variant=minbase", suite, str(tree)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "-C", str(tree), "--numeric-owner", "--xattrs", "-cf", str(target), "."], check=True)
    shutil.rmtree(tree)
