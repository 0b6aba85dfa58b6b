"""Git repositories as trees: fetched without the user's configuration, dated by their commit.

A checkout gives every file the time at which it was made; here they get the commit's time instead, so that the same
commit gives the same image.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lamina.builder.context.git_address import GitAddress
from lamina.errors import InvalidInput, TooLarge, Unavailable
from lamina.linux.files import USUAL_UMASK
from lamina.linux.programs import run_bounded

# What git says of a repository whose objects are named by SHA-256, when its own are to be named by SHA-1.
_SHA256 = re.compile(r"mismatched algorithms|bad revision '[0-9a-f]{64}'")
_SECONDS = 600  # for one git command
_OUTPUT = 1 << 20  # bytes that one git command may write: a server can send messages without end
_QUOTE = 2000  # characters of git's last message that an error repeats
_MOST_MEMORY = 8 << 30  # bytes
# How the machine reaches servers: the variables of git's own that count.
_KEPT = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
# A repository's own settings cannot come from a server; these hold even if one did (git-config(1)).
_SETTINGS = (
    "protocol.allow=never",  # nor `file` or `ext`, which lead to local files and programs, in submodules
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.git.allow=always",
    "protocol.ssh.allow=always",
    "core.hooksPath=/dev/null",
    "core.logAllRefUpdates=false",  # a log has the time of this checkout
    "core.fsmonitor=false",
    "core.gitProxy=none",
    "credential.helper=",
    "safe.bareRepository=explicit",  # a folder in the tree that looks like a repository is none
)


def _inside(root: Path, folder: str) -> Path:
    path = (root / folder).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_dir():
        raise InvalidInput(f"error setting git context, not a directory within the repository: {folder!r}")
    return path


class Checkout(NamedTuple):
    """A folder with the files of a commit, and the commit's time in seconds since the epoch."""

    folder: Path
    commit: str
    seconds: int


def checkout(
    address: GitAddress, root: Path, *, keep_git: bool = False, commit: str = "", submodules: bool = True
) -> Checkout:
    """Fetch into the empty folder `root`. Return the folder that `address` names.

    `.git` is deleted unless `keep_git` or the address keeps it. Raise InvalidInput when git refuses, the folder is not
    in the repository, or its commit does not begin with `commit` and with that of the address; Unavailable without git.
    """
    if shutil.which("git") is None:
        raise Unavailable("git is not installed", advice="Install it, or send the files as a folder.")
    secrets = address.environment
    _fetch(address, root)
    _git(root, "checkout", "--quiet", "FETCH_HEAD")
    head = _git(root, "rev-parse", "HEAD").strip()
    for expected in (commit, address.commit):
        if not head.startswith(expected):
            raise InvalidInput(f"expected checksum to match {expected}, got {head}", expected=expected, found=head)
    if submodules and address.submodules:
        update = ("submodule", "update", "--init", "--recursive", "--quiet")
        _whole_if_needed(lambda depth: _git(root, *update, *depth, **secrets))
    seconds = int(_git(root, "log", "-1", "--format=%ct").strip() or 0)
    if keep_git or address.keep_git:
        _git(root, "read-tree", "HEAD")  # an index without the times of this checkout: the same commit, the same bytes
    else:
        shutil.rmtree(root / ".git", ignore_errors=True)
    folder = _inside(root, address.folder)
    _date(folder, seconds)
    return Checkout(folder, head, seconds)


def _fetch(address: GitAddress, root: Path) -> None:
    """Fetch what the address names. Raise InvalidInput, in BuildKit's words for a ref that is not there."""
    ref = address.ref or "HEAD"

    def fetch(depth: Sequence[str]) -> None:
        _git(root, "fetch", "--quiet", *depth, address.remote, "--", ref, **address.environment)

    _git(root, "init", "--quiet")
    try:
        _whole_if_needed(fetch)
    except InvalidInput as error:
        if "couldn't find remote ref" in error.message:
            raise InvalidInput(f"repository does not contain ref {ref}: {error.message}", **error.facts) from error
        if not _SHA256.search(error.message):
            raise
        shutil.rmtree(root / ".git")
        _git(root, "init", "--quiet", "--object-format=sha256")
        _whole_if_needed(fetch)


def _whole_if_needed(run: Callable[[Sequence[str]], object]) -> None:
    """Run git for a commit alone, and for the whole history where plain file servers cannot give a part of it."""
    try:
        run(("--depth", "1"))
    except InvalidInput:
        run(())


def _date(folder: Path, seconds: int) -> None:
    for path, directories, files in os.walk(folder, topdown=False):
        for name in (*files, *directories):
            os.utime(os.path.join(path, name), (seconds, seconds), follow_symlinks=False)
    os.utime(folder, (seconds, seconds))


def _git(root: Path, *arguments: str, **variables: str) -> str:
    """Run git and return its output. Raise InvalidInput when git refuses, or says or needs too much; Unavailable when
    it takes too long."""
    options = [word for setting in _SETTINGS for word in ("-c", setting)]
    command = ["prlimit", f"--as={_memory_limit()}", "git", *options, *arguments]
    try:
        result = run_bounded(
            command, limit=_OUTPUT, seconds=_SECONDS, cwd=root, environment=_environment(variables), umask=USUAL_UMASK
        )
    except Unavailable as error:
        raise Unavailable(f"git {arguments[0]} took more than {_SECONDS} seconds") from error
    except TooLarge as error:
        raise InvalidInput(f"git {arguments[0]} failed: it wrote more than {_OUTPUT} bytes of messages") from error
    if result.exit_code != 0:
        message = result.stderr.decode("utf-8", "replace").strip()
        raise InvalidInput(f"git {arguments[0]} failed: {message[-_QUOTE:]}", exit_code=result.exit_code)
    return result.stdout.decode("utf-8", "replace")


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which neither the user's nor the machine's configuration counts, nor any variable that
    would tell git where a repository is; `variables` do."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {
        **inherited,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "HOME": "/nonexistent",
        **variables,
    }


def _memory_limit() -> int:
    """Return how many bytes of addresses git may use: few objects can stand for very many files."""
    return min(_MOST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
