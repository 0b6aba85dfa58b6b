"""`--chown`: names looked up in the files of the image, numbers taken as they are.

Rule: moby's classic builder: a user without a group stands for the group too.
"""

from __future__ import annotations

from collections.abc import Iterator

from lamina.builder.copy.place import Owner
from lamina.builder.tree import Tree, find, read_all
from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import did_you_mean

_DIGITS = 20  # more are no id, and int() refuses thousands of them with an error of its own
_MAX_FILE = 16 << 20  # bytes of /etc/passwd or /etc/group that are looked at
MAX_ID = 2**32 - 2


def parse_owner(text: str, image: Tree) -> Owner:
    """The numbers behind `user[:group]`. Raises Problem for a name the image does not have."""
    parts = text.split(":")
    if len(parts) > 2:
        raise Problem(f"invalid chown string format: {text}", "Write user, or user:group.")
    user, group = parts[0], parts[-1]
    return Owner(_number(user, "user", "etc/passwd", image), _number(group, "group", "etc/group", image))


def _number(name: str, kind: str, path: str, image: Tree) -> int:
    digits = name.removeprefix("-").removeprefix("+")
    if digits.isdecimal() and digits.isascii():
        return _checked(int(name) if len(name) <= _DIGITS else -1, name)
    rows = dict(_rows(image, path))
    if name not in rows:
        wanted = "uid" if kind == "user" else "gid"
        raise Problem(
            f"unable to convert uid/gid chown string to host mapping: can't find {wanted} for {kind} {name}: "
            f"no such {kind}: {name}",
            did_you_mean(name, rows) or f"/{path} of the image does not have it; numbers always work.",
        )
    return rows[name]


def _checked(value: int, text: str) -> int:
    if not 0 <= value <= MAX_ID:
        raise Problem(f"invalid id {text} in --chown", f"Ids lie between 0 and {MAX_ID}.")
    return value


def _rows(image: Tree, path: str) -> Iterator[tuple[str, int]]:
    node = find(image, path)
    if node is None or node.is_directory:
        return
    text = read_all(image, node, _MAX_FILE).decode("utf-8", "replace")
    for line in reversed(text.splitlines()):
        fields = line.strip().split(":")
        if len(fields) > 2 and fields[2].isdecimal() and len(fields[2]) <= _DIGITS and not line.startswith("#"):
            yield fields[0], int(fields[2])
