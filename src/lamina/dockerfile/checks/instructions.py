"""Checks of single instructions: ports, folders, secrets, commands, and sources that nothing can copy.

Rule: BuildKit's frontend/dockerfile, dockerfile2llb/validations.go and convert_expose.go.
"""

from __future__ import annotations

import posixpath
import re

from lamina.dockerfile.checks import rules
from lamina.dockerfile.checks.findings import Findings
from lamina.dockerfile.ignore import IgnoreMatcher
from lamina.dockerfile.instructions import Add, Arg, Cmd, Copy, Entrypoint, Env, Expose, Label, Workdir

_SECRET_WORDS = "apikey|auth|credential|credentials|key|password|pword|passwd|secret|token"
_SECRET = re.compile(rf"(?:_|^)(?:{_SECRET_WORDS})(?:_|$)", re.IGNORECASE)
_HARMLESS = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_EVERYTHING = ("*", "**", "**/*")  # lines of an ignore file that leave nothing of the context


def check_pairs(instruction: Env | Label, findings: Findings) -> None:
    """Note the old form without an equals sign, and secrets in ENV."""
    keyword = instruction.origin.keyword
    for pair in instruction.pairs:
        if pair.legacy:
            findings.add(rules.LEGACY_KEY_VALUE, instruction.origin, keyword)
        if isinstance(instruction, Env):
            _check_secret("ENV", pair.name, instruction, findings)


def check_argument(instruction: Arg, findings: Findings) -> None:
    """Note secrets in ARG."""
    for name, _ in instruction.arguments:
        _check_secret("ARG", name, instruction, findings)


def _check_secret(keyword: str, name: str, instruction: Env | Arg, findings: Findings) -> None:
    if _SECRET.search(name) and not _HARMLESS.search(name):
        findings.add(rules.SECRETS_IN_ARG_OR_ENV, instruction.origin, keyword, name)


def check_command(instruction: Cmd | Entrypoint, findings: Findings, *, has_shell: bool) -> None:
    """Note a command for a shell, unless the image chose its shell by SHELL."""
    if instruction.command.shell and not has_shell:
        findings.add(rules.JSON_ARGS_RECOMMENDED, instruction.origin, instruction.origin.keyword)


def check_workdir(instruction: Workdir, findings: Findings) -> None:
    """Note a relative folder, for the first WORKDIR of a stage."""
    if not instruction.path.startswith("/"):
        findings.add(rules.WORKDIR_RELATIVE_PATH, instruction.origin, instruction.path)


def check_ports(instruction: Expose, findings: Findings) -> None:
    """Note protocols in capitals, and addresses or ports of the host."""
    for port in instruction.ports:
        mapping, _, _ = port.partition("/")
        protocol = port[len(mapping) + 1 :]
        if protocol != protocol.lower():
            findings.add(rules.EXPOSE_PROTO_CASING, instruction.origin, port)
        if mapping.rpartition(":")[0].strip(":"):
            findings.add(rules.EXPOSE_INVALID_FORMAT, instruction.origin, port)


def check_sources(instruction: Copy | Add, ignored: IgnoreMatcher | None, findings: Findings) -> None:
    """Note sources in the context that the ignore file hides. A `!` line may bring any of them back: then none is."""
    if ignored is None or ignored.brings_back:
        return
    verb = "Add" if isinstance(instruction, Add) else "Copy"
    for source in instruction.sources:
        path = posixpath.normpath(source)
        is_root = path in (".", "/", "//")
        hidden = any(str(pattern) in _EVERYTHING for pattern in ignored.patterns) if is_root else None
        if hidden or (hidden is None and ignored.ignores(path.removeprefix("/")).ignored):
            findings.add(rules.COPY_IGNORED_FILE, instruction.origin, verb, path)
