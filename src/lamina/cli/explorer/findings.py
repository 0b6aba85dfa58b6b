"""What the explorer finds in an image, as lists to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from lamina.cli.explorer.labels import hidden_label, package_label, saving_label, secret_label
from lamina.formats.sizes import human_size
from lamina.types.explorer import Explorer


@dataclass(frozen=True, slots=True)
class Findings:
    """A title, the lines, and for each line the path that choosing it leads to; "" for none."""

    title: str
    lines: Sequence[Text]
    paths: Sequence[str]


def find_waste(explorer: Explorer, reference: str) -> Findings:
    """Return the files that nobody sees in the image."""
    report = explorer.report(reference)
    score = f"Efficiency {report.efficiency.score:.2%}"
    title = f"{score}; {report.hidden_files} hidden files, {human_size(report.hidden_bytes, 3)}"
    return Findings(title, [hidden_label(file) for file in report.hidden], [file.path for file in report.hidden])


def find_savings(explorer: Explorer, reference: str) -> Findings:
    """Return what the image could do without, and what to change."""
    savings = explorer.savings(reference)
    total = human_size(sum(saving.bytes for saving in savings), 3)
    paths = [saving.paths[0] if saving.paths else "" for saving in savings]
    return Findings(f"{len(savings)} savings, {total}", [saving_label(saving) for saving in savings], paths)


def find_secrets(explorer: Explorer, reference: str) -> Findings:
    """Return what looks like a secret that was left behind."""
    secrets = explorer.secrets(reference)
    paths = [secret.name if secret.where == "file" else "" for secret in secrets]
    return Findings(f"{len(secrets)} possible secrets", [secret_label(secret) for secret in secrets], paths)


def find_packages(explorer: Explorer, reference: str) -> Findings:
    """Return the packages with their licences."""
    packages = explorer.packages(reference)
    return Findings(
        f"{len(packages)} packages and their licences",
        [package_label(package) for package in packages],
        [package.path for package in packages],
    )


Finder = Callable[[Explorer, str], Findings]
