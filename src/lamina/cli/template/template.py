"""A parsed template, ready to render values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lamina.cli.template.evaluate import Evaluator
from lamina.cli.template.functions import FUNCTIONS, header_functions
from lamina.cli.template.nodes import Node
from lamina.cli.template.parser import parse


def strict(name: str) -> object:
    """For a key that is missing: an error."""
    raise KeyError(name)


def lenient(name: str) -> object:
    """For a key that is missing: nil."""
    return None


class Template(NamedTuple):
    """Make one with `parse`; it may be rendered any number of times."""

    nodes: tuple[Node, ...]

    @staticmethod
    def parse(text: str) -> Template:
        """Raises InvalidInput for text that is no template."""
        return Template(parse(text))

    def render(self, value: object, missing: Callable[[str], object] = strict) -> str:
        """The text for one value. Raises InvalidInput for a field that is not there, unless `missing` gives one."""
        return Evaluator(FUNCTIONS, missing, value).render(self.nodes, value)

    def render_header(self, headers: object) -> str:
        """The header line of a table: `headers` has the columns' titles in the place of their values."""
        return Evaluator(header_functions(), lenient, headers).render(self.nodes, headers)
