"""Addresses of git repositories, with what to fetch of them.

Rule: docs.docker.com, "Build context", "Git repositories": a fragment `#REF:FOLDER`, or a query.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from lamina.errors import InvalidInput
from lamina.formats.http import split_userinfo

_GIT = re.compile(r"(?:https?://.+\.git(?:[?#].*)?|git://.+|ssh://.+|git@.+|github\.com/.+)\Z")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_WHOLE_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KNOWN = ("ref", "tag", "branch", "commit", "checksum", "subdir", "keep-git-dir", "submodules")


def is_git(location: str) -> bool:
    """Return whether `location` names a repository, by moby's rule."""
    return bool(_GIT.match(location))


@dataclass(frozen=True, slots=True)
class GitAddress:
    """A repository, what to check out (empty: its default branch), and the folder that is the context.

    `userinfo` is "user:password" of an http(s) address, which `remote` is without. `commit` is what the commit must
    begin with, or empty. With `keep_git` the folder `.git` stays.
    """

    remote: str
    ref: str = ""
    folder: str = ""
    userinfo: str = field(default="", repr=False)
    commit: str = ""
    keep_git: bool = False
    submodules: bool = True

    @classmethod
    def parse(cls, location: str) -> GitAddress:
        """Raise InvalidInput for a query that is not known or contradicts itself or the fragment.

        Also for a ref that git would take for an option.
        """
        address, _, fragment = location.partition("#")
        remote, _, query = address.partition("?")
        if remote.startswith("github.com/"):
            remote = f"https://{remote}"
        ref, _, folder = fragment.partition(":")
        options = _options(query)
        ref = _one("ref", ref, options.get("ref"), _below("refs/tags", options), _below("refs/heads", options))
        folder = _one("subdir", folder, options.get("subdir"))
        commit = _one("commit", options.get("commit"), options.get("checksum"))
        if commit and not _COMMIT.fullmatch(commit):
            raise InvalidInput(f"invalid commit: {commit}", advice="Write 7 to 64 hexadecimal digits.")
        if ref.startswith("-"):
            raise InvalidInput(f"invalid refspec: {ref}", advice="Name a branch, a tag or a commit.")
        if not ref and _WHOLE_COMMIT.fullmatch(commit):
            ref = commit
        plain, userinfo = split_userinfo(remote)
        keep, submodules = _switch(options, "keep-git-dir", False), _switch(options, "submodules", True)
        return cls(plain, ref, folder, userinfo, commit, keep, submodules)

    @property
    def environment(self) -> dict[str, str]:
        """Return git's configuration that gives user and password to the repository's server, and to no other.

        Everybody may read the arguments of a process, and its owner alone the environment.
        """
        if not self.userinfo:
            return {}
        server = "/".join(self.remote.split("/", 3)[:3])
        basic = base64.b64encode(self.userinfo.encode("utf-8", "surrogateescape")).decode()
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{server}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }


def _options(query: str) -> dict[str, str]:
    """Return what a query asks for. Raise InvalidInput for a name that is not known or stands twice."""
    options = {}
    for name, values in parse_qs(query, keep_blank_values=True).items():
        if name not in _KNOWN:
            raise InvalidInput(f"unexpected query {name!r}", advice=f"Known are {', '.join(_KNOWN)}.")
        options[name] = _one(name, *values)
    return options


def _below(folder: str, options: dict[str, str]) -> str:
    """Return the whole name of the tag or the branch that is asked for."""
    name = options.get("tag" if folder == "refs/tags" else "branch", "")
    return name if not name or name.startswith(f"{folder}/") else f"{folder}/{name}"


def _one(what: str, *values: str | None) -> str:
    """Return the value that was given. Raise InvalidInput for two that differ."""
    distinct = {value for value in values if value}
    if len(distinct) > 1:
        raise InvalidInput(f"{what} conflicts in the address: {' and '.join(sorted(distinct))}", advice="Keep one.")
    return distinct.pop() if distinct else ""


def _switch(options: dict[str, str], name: str, default: bool) -> bool:
    """Return a switch; a name without a value means true."""
    text = options.get(name)
    if text is None:
        return default
    if text.lower() not in ("", "1", "t", "true", "0", "f", "false"):
        raise InvalidInput(f"invalid query {name}={text}", advice="Write true or false.")
    return text.lower() in ("", "1", "t", "true")
