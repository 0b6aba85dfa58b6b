"""Directives of a Dockerfile that this builder understands and does not act on yet."""

from __future__ import annotations

import re

from lamina.dockerfile.directives import Directive, check_options

_OWN_LANGUAGE = re.compile(r"(?:.*/)?dockerfile(?:-upstream)?(?:[:@].*)?")  # Docker's frontend, or a mirror of it


def not_followed(directive: Directive) -> str | None:
    """What to tell about a directive; None where nothing is lost by not acting on it."""
    if directive.name == "syntax" and not _OWN_LANGUAGE.fullmatch(directive.value.split(" ")[0]):
        return f"line {directive.line}: # syntax={directive.value} is not supported yet, the language is Docker's own"
    if directive.name == "check" and check_options(directive.value).error:
        return f"line {directive.line}: # check=error=true is not supported yet, no rule is checked"
    return None
