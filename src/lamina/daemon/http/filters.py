"""The `filters` parameter, in both of Docker's forms: `{"label": ["a=b"]}` and the older `{"label": {"a=b": true}}`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.labelfilters import Filters
from lamina.formats.times import parse_moment


def parse_filters(text: str) -> dict[str, list[str]]:
    """Raises InvalidInput for anything but a JSON object of lists of text or of objects with booleans."""
    if not text:
        return {}
    try:
        found = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid filter: {error}") from error
    return {name: [v for v in values if isinstance(values, list) or values[v]] for name, values in found.items()}


def check_names(filters: Filters, known: Collection[str]) -> None:
    """Raises InvalidInput for a filter that is not in `known`."""
    for name in filters:
        if name not in known:
            raise InvalidInput(f"invalid filter '{name}'")


def flag(filters: Filters, name: str, default: bool) -> bool:
    """A filter that is true or false. Raises InvalidInput for another word, or for both at once."""
    words = {word.lower() for word in filters.get(name, ())}
    if not words:
        return default
    if words <= {"1", "true"}:
        return True
    if words <= {"0", "false"}:
        return False
    raise InvalidInput(f"invalid filter '{name}={sorted(words)}'")


def any_fits(values: Iterable[str], texts: Sequence[str]) -> bool:
    """Whether one of `texts` is in a value; true where there are none. Docker matches names and ids this way."""
    return not texts or any(text in value for value in values for text in texts)


def until(filters: Filters) -> int | None:
    """The time the filter `until` names, in nanoseconds since the epoch. Raises InvalidInput."""
    given = filters.get("until", ())
    if len(given) > 1:
        raise InvalidInput("more than one until filter specified")
    return parse_moment(given[0]) if given else None
