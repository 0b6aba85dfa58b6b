"""What secrets look like: by the name of a file, by its bytes, by the name of a variable.

The forms of tokens are those that their issuers document for secret scanning (GitHub's "About authentication",
GitLab's "Token overview", PyPI's and npm's help pages, AWS's "IAM identifiers", RFC 7468 for keys).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContentRule:
    """A text that files must not have. `literal` is part of every match: most files are passed over by it alone."""

    name: str
    reason: str
    literal: bytes
    pattern: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class FileRule:
    """A file that holds credentials when its path ends so and `pattern` is in it."""

    name: str
    reason: str
    path: str
    pattern: re.Pattern[bytes]


def _content(name: str, reason: str, literal: bytes, pattern: bytes) -> ContentRule:
    return ContentRule(name, reason, literal, re.compile(pattern))


def _file(name: str, reason: str, path: str, pattern: bytes) -> FileRule:
    return FileRule(name, reason, path, re.compile(pattern))


CONTENT_RULES = (
    _content(
        "private-key",
        "a private key in PEM",
        b" PRIVATE KEY-----",
        rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----\s{1,4}(?:[A-Za-z-]{1,40}: [^\r\n]{0,200}\s{1,4}){0,5}"
        rb"[A-Za-z0-9+/=]{32}",
    ),
    _content(
        "private-key", "a private key in PEM", b"BEGIN PRIVATE KEY", rb"-----BEGIN PRIVATE KEY-----\\n[A-Za-z0-9+/]{32}"
    ),
    _content("aws-access-key", "an access key of AWS", b"AKIA", rb"(?<![A-Za-z0-9])AKIA[A-Z2-7]{16}(?![A-Za-z0-9])"),
    _content("github-token", "a token of GitHub", b"gh", rb"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _content("github-token", "a token of GitHub", b"github_pat_", rb"github_pat_[A-Za-z0-9_]{82}"),
    _content("gitlab-token", "a token of GitLab", b"glpat-", rb"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20}"),
    _content("npm-token", "a token of npm", b"npm_", rb"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _content("pypi-token", "a token of PyPI", b"pypi-AgEIcHlwaS5vcmc", rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50}"),
    _content("slack-token", "a token of Slack", b"xox", rb"(?<![A-Za-z0-9])xox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}"),
    _content(
        "google-key", "a key of Google's APIs", b"AIza", rb"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"
    ),
    _content("stripe-key", "a live key of Stripe", b"k_live_", rb"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{24}"),
)

FILE_RULES = (
    _file("netrc", "passwords of hosts", r"[._]netrc", rb"(?m)\bpassword\s+\S"),
    _file("git-credentials", "passwords of git's hosts", r"\.git-credentials", rb"(?m)^https?://[^:/\s]+:[^@\s]+@"),
    _file(
        "git-credentials", "passwords of git's hosts", r"\.config/git/credentials", rb"(?m)^https?://[^:/\s]+:[^@\s]+@"
    ),
    _file(
        "npmrc",
        "a token or password of an npm registry",
        r"\.?npmrc",
        rb"(?m)(?:_authToken|_auth|_password)\s*=\s*[^\s$]",
    ),
    _file("yarnrc", "a token of an npm registry", r"\.yarnrc\.yml", rb"(?m)npmAuthToken:\s*[\"']?[^\s$\"']"),
    _file("pypirc", "a password of a package index", r"\.pypirc", rb"(?m)^[ \t]{0,99}password\s*[=:]\s*\S"),
    _file(
        "pip-config", "a password of a package index", r"pip\.conf", rb"(?m)index-url\s*=\s*https?://[^:/\s]+:[^@\s]+@"
    ),
    _file(
        "docker-config",
        "logins of registries",
        r"\.(?:docker/config\.json|dockercfg)",
        rb"\"(?:auth|identitytoken)\"\s*:\s*\"[^\"]",
    ),
    _file("containers-auth", "logins of registries", r"containers/auth\.json", rb"\"auth\"\s*:\s*\"[^\"]"),
    _file(
        "aws-credentials",
        "secret keys of AWS",
        r"\.aws/(?:credentials|config)",
        rb"(?mi)aws_secret_access_key\s*=\s*\S",
    ),
    _file(
        "google-credentials",
        "credentials of Google Cloud",
        r"gcloud/(?:application_default_credentials\.json|credentials\.db|legacy_credentials/.+)",
        rb"refresh_token|private_key|SQLite format",
    ),
    _file(
        "azure-credentials",
        "tokens of Azure",
        r"\.azure/(?:accessTokens|msal_token_cache|azureProfile)\.(?:json|bin)",
        rb"(?i)token",
    ),
    _file(
        "kube-config",
        "credentials of a Kubernetes cluster",
        r"(?:\.kube/config|kubelet\.conf|admin\.conf)",
        rb"(?m)^[ \t]{0,99}(?:client-key-data|token|password):\s*\S",
    ),
    _file("pgpass", "passwords of PostgreSQL", r"\.pgpass", rb"(?m)^[^#:\s][^:\n]*:[^:\n]*:[^:\n]*:[^:\n]*:\S"),
    _file("mysql-config", "a password of MySQL", r"\.my\.cnf", rb"(?m)^[ \t]{0,99}password\s*=\s*\S"),
    _file("vault-token", "a token of Vault", r"\.vault-token", rb"\S"),
    _file(
        "cargo-credentials",
        "a token of a crate registry",
        r"\.cargo/credentials(?:\.toml)?",
        rb"(?m)^[ \t]{0,99}token\s*=\s*\S",
    ),
    _file("gem-credentials", "a key of RubyGems", r"\.gem/credentials", rb"(?m):\s*rubygems_|_api_key:\s*\S"),
    _file(
        "terraform",
        "secrets that a plan has noted",
        r"terraform\.tfstate(?:\.backup)?",
        rb"\"(?:password|secret|token|private_key)[^\"]*\"\s*:\s*\"[^\"]",
    ),
    _file("shadow", "the hash of a password", r"etc/shadow-?", rb"(?m)^[^:\n]+:\$[0-9a-z]+\$[^:\n]+:"),
    _file(
        "dotenv",
        "variables that sound like secrets",
        r"\.env(?:\.[a-z]+)?",
        rb"(?mi)^[ \t]{0,99}(?:export[ \t]{1,9})?[A-Z0-9_]{0,60}"
        rb"(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY)[A-Z0-9_]{0,60}"
        rb"[ \t]{0,9}=[ \t]{0,9}[\"']?[^\s\"'$]",
    ),
    _file("shell-history", "commands that a person typed", r"\.(?:bash|zsh|psql|mysql|python)_history", rb"\S"),
)

_ANY_FILE = re.compile("(?:.*/)?(?:" + "|".join(f"(?P<r{n}>{rule.path})" for n, rule in enumerate(FILE_RULES)) + ")")


def file_rule(path: str) -> FileRule | None:
    """Return the rule for files with the name of `path`."""
    match = _ANY_FILE.fullmatch(path)
    return FILE_RULES[int((match.lastgroup or "r0")[1:])] if match else None


_NAMES = re.compile(
    r"(?i)(?:^|_)(?:secret|token|passw(?:or)?d|pwd|api_?key|access_?key(?!_id)|private_?key|credentials?|auth)(?:_|$)"
)
_HARMLESS = re.compile(
    r"(?i)(?:_(?:file|path|dir|url|uri|name|id|user|sha256|sha512|version|ttl|length)$)|^(?:gpg|ssh_auth_sock|xauthority)"
)
_ASSIGNED = re.compile(r"(?<![A-Za-z0-9_])([A-Za-z_][A-Za-z0-9_]{0,100})=(\"[^\"]*\"|'[^']*'|[^\s;&|]+)")
_REFERENCE = re.compile(r"[\"']?\$|[\"']?/|[\"']{2}$")


def is_secret_variable(name: str, value: str) -> bool:
    """Return whether a variable sounds like a secret and has a value that can be one: no path, no other variable."""
    if not value or _REFERENCE.match(value) or value.lower() in ("true", "false", "yes", "no", "none", "0", "1"):
        return False
    return bool(_NAMES.search(name)) and not _HARMLESS.search(name)


def assignments(instruction: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values that an instruction of the history sets: ENV, ARG, and the arguments of RUN."""
    for match in _ASSIGNED.finditer(instruction):
        yield match[1], match[2]
