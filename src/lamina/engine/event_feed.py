"""Docker's filters on events, and events as a program takes them: those of a span of time, until it is cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from lamina.cancellation import Cancellation
from lamina.events import Event, EventBus
from lamina.formats.matching import Filters, check_names, labels_match
from lamina.formats.times import parse_moment

# Filters that name an object: they fit events of that type about it.
_OBJECTS = frozenset(
    {"config", "container", "daemon", "image", "network", "node", "plugin", "secret", "service", "volume"}
)
LONGEST = 1e8  # seconds, about three years: what a timer can hold is bounded
FILTERS = _OBJECTS | {"event", "label", "scope", "type"}


def feed(bus: EventBus, since: str, until: str, filters: Filters, cancellation: Cancellation) -> Iterator[Event]:
    """Return the events from `since`, or from now, up to `until`, or without end.

    Subscribe before returning, so that nothing that happens from then on is missed. Raise InvalidInput for a filter or
    a time; the iterator raises Cancelled.
    """
    check_names(filters, FILTERS)
    start = parse_moment(since) if since else None
    end = parse_moment(until) if until else None
    if end is not None and end <= time.time_ns():
        return iter([event for event in bus.past(start or 0, end) if fits(event, filters)])
    return _follow(bus, start, end, filters, cancellation)


def _follow(
    bus: EventBus, start: int | None, end: int | None, filters: Filters, cancellation: Cancellation
) -> Iterator[Event]:
    subscription = bus.subscribe(start)

    def events() -> Iterator[Event]:
        with ExitStack() as closing:
            closing.callback(subscription.close)
            closing.enter_context(cancellation.on_cancel(subscription.close))
            if end is not None:
                timer = threading.Timer(min((end - time.time_ns()) / 1e9, LONGEST), subscription.close)
                timer.daemon = True
                timer.start()
                closing.callback(timer.cancel)
            yield from (event for event in subscription if fits(event, filters))
        cancellation.check()

    return events()


def fits(item: Event, filters: Filters) -> bool:
    """Return whether an event is one that was asked for."""
    kinds, actions, scopes = filters.get("type"), filters.get("event"), filters.get("scope")
    if kinds and item.type not in kinds:
        return False
    if actions and not any(item.action == a or item.action.startswith(f"{a}:") for a in actions):
        return False
    if scopes and "local" not in scopes:
        return False
    if not labels_match(item.attributes, {"label": filters.get("label", ())}):
        return False
    named = [(kind, filters[kind]) for kind in _OBJECTS if filters.get(kind)]
    return not named or any(item.type == kind and _is_about(item, texts) for kind, texts in named)


def _is_about(item: Event, texts: Sequence[str]) -> bool:
    names = (item.attributes.get("name"), item.attributes.get("image"))
    return any(item.actor_id.startswith(text) or text in names for text in texts)
