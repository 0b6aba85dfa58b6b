"""The filters of `images` and `image prune`, read from the form in which Docker's clients send them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lamina.errors import InvalidInput
from lamina.formats.matching import Filters, compile_match
from lamina.formats.times import parse_moment

LIST_FILTERS = frozenset({"dangling", "label", "before", "since", "reference", "until"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@dataclass(frozen=True, slots=True)
class ImageFilters:
    """What to look for. `labels` has the filters `label` and `label!`, `before` and `since` name images.

    `until` is in nanoseconds since the epoch.
    """

    dangling: bool | None = None
    labels: Filters = field(default_factory=dict)
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: int | None = None
    references: tuple[str, ...] = ()

    @classmethod
    def parse(cls, filters: Filters, accepted: frozenset[str]) -> ImageFilters:
        """Read Docker's filters. Raise InvalidInput for a filter that is not accepted here, or an impossible value."""
        for name in filters:
            if name not in accepted:
                raise InvalidInput(f"invalid filter '{name}'", advice=f"Known are {', '.join(sorted(accepted))}.")
        return cls(
            dangling=_boolean(filters.get("dangling", ())),
            labels={name: filters[name] for name in ("label", "label!") if name in filters},
            before=tuple(filters.get("before", ())),
            since=tuple(filters.get("since", ())),
            until=min((parse_moment(text) for text in filters.get("until", ())), default=None),
            references=tuple(_pattern(text) for text in filters.get("reference", ())),
        )


def _boolean(values: Sequence[str]) -> bool | None:
    if not values:
        return None
    if len(set(values)) == 1 and values[0] in _TRUE | _FALSE:
        return values[0] in _TRUE
    raise InvalidInput(f"invalid filter 'dangling={values[0]}'", advice="Write true or false.")


def _pattern(text: str) -> str:
    try:
        compile_match(text)
    except InvalidInput as error:
        raise InvalidInput(f"invalid filter 'reference={text}': {error.message}") from None
    return text
