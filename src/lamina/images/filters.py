"""Docker's image filters, from the API's map of lists to a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lamina.dockerfile.gomatch import compile_match
from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput
from lamina.formats.times import parse_moment

Filters = Mapping[str, Sequence[str]]
LIST_FILTERS = frozenset({"dangling", "label", "before", "since", "reference", "until"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@dataclass(frozen=True, slots=True)
class ImageFilters:
    """What to look for. `before` and `since` name images; `until` is in nanoseconds since the epoch."""

    dangling: bool | None = None
    labels: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: int | None = None
    references: tuple[str, ...] = ()

    @classmethod
    def parse(cls, filters: Filters, accepted: frozenset[str]) -> ImageFilters:
        """Raises InvalidInput for a filter that is not accepted here, or a value that cannot be."""
        for name in filters:
            if name not in accepted:
                raise InvalidInput(f"invalid filter '{name}'", advice=f"Known are {', '.join(sorted(accepted))}.")
        return cls(
            dangling=_boolean(filters.get("dangling", ())),
            labels=tuple(filters.get("label", ())),
            without_labels=tuple(filters.get("label!", ())),
            before=tuple(filters.get("before", ())),
            since=tuple(filters.get("since", ())),
            until=min((parse_moment(text) for text in filters.get("until", ())), default=None),
            references=tuple(_pattern(text) for text in filters.get("reference", ())),
        )

    def labels_match(self, labels: Mapping[str, str]) -> bool:
        """Whether labels are as asked: each `label`, and not all of `label!` (as dockerd reads them)."""
        if not all(_has(labels, wanted) for wanted in self.labels):
            return False
        return not self.without_labels or not all(_has(labels, unwanted) for unwanted in self.without_labels)


def _boolean(values: Sequence[str]) -> bool | None:
    if not values:
        return None
    if len(set(values)) == 1 and values[0] in _TRUE | _FALSE:
        return values[0] in _TRUE
    raise InvalidInput(f"invalid filter 'dangling={values[0]}'", advice="Write true or false.")


def _pattern(text: str) -> str:
    try:
        compile_match(text)
    except Problem as problem:
        raise InvalidInput(f"invalid filter 'reference={text}': {problem.message}") from None
    return text


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
