"""Filters by label: `key` asks for a label of that name, `key=value` for one with that value as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Filters = Mapping[str, Sequence[str]]
"""Docker's `filters` parameter: what is asked for, by the filter's name."""


def has_label(labels: Mapping[str, str], text: str) -> bool:
    """Return whether `labels` hold what one filter asks for."""
    key, equals, value = text.partition("=")
    return key in labels and (not equals or labels[key] == value)


def labels_match(labels: Mapping[str, str], filters: Filters) -> bool:
    """Return whether labels are as `label` and `label!` of `filters` ask.

    All of `label` must be there, and not all of `label!` (moby daemon/prune.go, matchLabels).
    """
    without = filters.get("label!", ())
    return all(has_label(labels, text) for text in filters.get("label", ())) and not (
        without and all(has_label(labels, text) for text in without)
    )
