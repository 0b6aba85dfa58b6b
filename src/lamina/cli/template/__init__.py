"""Go's text/template, as much of it as `--format` takes: the language of pkg.go.dev/text/template.

`Template.parse(text).render(value)`. Values are what JSON has, and objects with a `field` method (see `evaluate`).
Not taken: `define`, `template` and `block`, which a one-line format has no use for; they are an error, not silence.
"""

from lamina.cli.template.evaluate import Template

__all__ = ["Template"]
