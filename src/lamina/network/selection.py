"""Which networks a list or a prune means: Docker's filters."""

from __future__ import annotations

from collections.abc import Callable

from lamina.errors import InvalidInput
from lamina.formats.matching import Filters, any_fits, check_names, flag, labels_match, until
from lamina.formats.times import parse_time
from lamina.network.model import Network

_LISTED = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_PRUNED = frozenset({"label", "label!", "until"})


def list_filter(filters: Filters, used: Callable[[Network], bool]) -> Callable[[Network], bool]:
    """Return what tells whether a network passes; `used` tells whether one has endpoints.

    Raise InvalidInput for an unknown filter or value.
    """
    check_names(filters, _LISTED)
    dangling = flag(filters, "dangling", False)
    for kind in filters.get("type", ()):
        if kind not in ("builtin", "custom"):
            raise InvalidInput(f"invalid filter: 'type'='{kind}'")

    def passes(network: Network) -> bool:
        kind = "builtin" if network.predefined else "custom"
        for name, value in (("driver", network.driver), ("scope", "local"), ("type", kind)):
            if filters.get(name) and value not in filters[name]:
                return False
        if "dangling" in filters and dangling != (kind == "custom" and not used(network)):
            return False
        ids, names = filters.get("id", ()), filters.get("name", ())
        return any_fits([network.id], ids) and any_fits([network.name], names) and labels_match(network.labels, filters)

    return passes


def prune_filter(filters: Filters) -> Callable[[Network], bool]:
    """Return what tells whether a network may go. Raise InvalidInput for an unknown filter or value."""
    check_names(filters, _PRUNED)
    before = until(filters)

    def passes(network: Network) -> bool:
        return labels_match(network.labels, filters) and (before is None or parse_time(network.created) <= before)

    return passes
