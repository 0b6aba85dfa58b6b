"""Who the users of containers are on the host, by `userns-remap`, /etc/subuid and /etc/subgid.

Rule: subuid(5), and moby's cmd/dockerd and pkg/idtools. All ranges of a user are put one behind the other.
"""

from __future__ import annotations

import grp
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import InvalidInput
from lamina.linux.user_namespaces import IdMap, IdRange

DEFAULT_USER = "dockremap"  # of the setting "default", as with Docker
_FIRST, _LENGTH = 100_000, 65_536  # of the default user's ids, unless others have them (SUB_UID_MIN in login.defs(5))
_ADVICE = "Write user or user:group, as names or numbers, or default"


@dataclass(frozen=True, slots=True)
class SubordinateFiles:
    """The files that say which ids a user may give to containers."""

    uids: Path = Path("/etc/subuid")
    gids: Path = Path("/etc/subgid")


def remapped_ids(setting: str, files: SubordinateFiles | None = None) -> IdMap:
    """Return the map of `userns-remap`: "default", a user, or user:group, as names or numbers.

    "default" makes the user dockremap where there is none, with ranges of its own. Raise InvalidInput for a user or
    group that is not there or has no ranges.
    """
    files = files or SubordinateFiles()
    user, separator, group = setting.partition(":")
    if setting == "default":
        user = DEFAULT_USER
        _make_default(files)
    if not user or (separator and not group):
        raise InvalidInput(f"invalid userns-remap: {setting!r}", advice=_ADVICE)
    account = _user(user)
    own = _group(group or account.pw_name)
    return IdMap(
        _ranges(files.uids, (account.pw_name, str(account.pw_uid))), _ranges(files.gids, (own.gr_name, str(own.gr_gid)))
    )


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise InvalidInput(f"userns-remap: there is no user {name}", advice=_ADVICE) from None


def _group(name: str) -> grp.struct_group:
    try:
        return grp.getgrgid(int(name)) if name.isdigit() else grp.getgrnam(name)
    except (KeyError, OverflowError):
        raise InvalidInput(f"userns-remap: there is no group {name}", advice=_ADVICE) from None


def _ranges(path: Path, names: Sequence[str]) -> tuple[IdRange, ...]:
    mapped: list[IdRange] = []
    inside = 0
    for owner, first, length in _lines(path):
        if owner in names:
            mapped.append(IdRange(inside, first, length))
            inside += length
    if not mapped:
        raise InvalidInput(
            f"Can't create ID mappings: no ranges found for {names[0]} in {path}",
            advice=f"Add a line such as {names[0]}:{_FIRST}:{_LENGTH}",
        )
    return tuple(mapped)


def _lines(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield owner, first id and number of ids of each line that is one. Raise InvalidInput for the host's root."""
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        owner, _, numbers = line.strip().partition(":")
        first, _, length = numbers.partition(":")
        if not (first.isdigit() and length.isdigit() and int(length)) or owner.startswith("#"):
            continue
        if not int(first):
            raise InvalidInput(f"{path} gives the host's root to {owner}", advice="Correct that line")
        yield owner, int(first), int(length)


def _make_default(files: SubordinateFiles) -> None:
    """Make the default user and its ranges where they are missing. Raise InvalidInput where that fails."""
    try:
        pwd.getpwnam(DEFAULT_USER)
    except KeyError:
        program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if program is None:
            raise InvalidInput(f"there is no user {DEFAULT_USER}", advice="Make that user, or name another") from None
        command = [program, "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", DEFAULT_USER]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise InvalidInput(f"the user {DEFAULT_USER} cannot be made: {result.stderr.strip()}") from None
    for path in (files.uids, files.gids):
        lines = list(_lines(path))
        if DEFAULT_USER not in (owner for owner, _, _ in lines):
            first = max([_FIRST, *(start + length for _, start, length in lines)])
            gap = "\n" if lines and not path.read_text().endswith("\n") else ""
            with path.open("a") as file:
                file.write(f"{gap}{DEFAULT_USER}:{first}:{_LENGTH}\n")
            path.chmod(0o644)  # whatever the umask
