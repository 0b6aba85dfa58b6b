"""What happened, told to whoever listens: the engine's event bus (Docker's `events`)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

KEPT = 1000  # how many past events `since` can look back on
KEPT_SIZE = 8 << 20  # and how many characters of text they may have together
LAG, LAG_SIZE = 16_384, 32 << 20  # events, and their characters, that a subscriber may be behind


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: `type` and `action` are Docker's words (`image`/`tag`, `container`/`die`)."""

    type: str
    action: str
    actor_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_ns: int = 0  # nanoseconds since the epoch, set by the bus

    @property
    def size(self) -> int:
        """Return the number of characters in the event, because clients choose labels and commands of any length."""
        return len(self.action) + sum(len(name) + len(value) for name, value in self.attributes.items())


class _Backlog:
    """Events in order, with their size."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events = deque(events)
        self.size = sum(event.size for event in self.events)

    def put(self, event: Event) -> None:
        self.events.append(event)
        self.size += event.size

    def take(self) -> Event:
        event = self.events.popleft()
        self.size -= event.size
        return event

    def exceeds(self, count: int, size: int) -> bool:
        return len(self.events) > count or self.size > size


class Subscription:
    """A live feed of events. Iterate it; `close` ends the iteration, from any thread, and may be called twice.

    When a subscriber falls too far behind (`LAG`, `LAG_SIZE`), its feed ends after the events that wait: a visible end
    is better than missing events.
    """

    def __init__(self, backlog: list[Event], on_close: Callable[[Subscription], None]) -> None:
        self._waiting = _Backlog(backlog)
        self._change = threading.Condition()
        self._ended = False
        self._on_close = on_close

    def __iter__(self) -> Iterator[Event]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting.events or self._ended)
                if not self._waiting.events:
                    return
                event = self._waiting.take()
            yield event

    def push(self, event: Event) -> None:
        """Put one event into the feed; never blocks."""
        with self._change:
            if not self._ended:
                self._waiting.put(event)
                self._ended = self._waiting.exceeds(LAG, LAG_SIZE)
            self._change.notify()

    def close(self) -> None:
        """End the feed, for whoever iterates it too."""
        self._on_close(self)
        with self._change:
            self._ended = True
            self._change.notify()


class EventBus:
    """Publishes events to subscribers and remembers the newest of them (`KEPT`, `KEPT_SIZE`). Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._past = _Backlog()
        self._subscribers: set[Subscription] = set()

    def publish(self, type: str, action: str, actor_id: str, attributes: Mapping[str, str] | None = None) -> None:
        """Stamp the event with the present time and hand it to every subscriber. Never blocks on a slow one."""
        event = Event(type, action, actor_id, dict(attributes or {}), time.time_ns())
        with self._lock:
            self._past.put(event)
            while self._past.exceeds(KEPT, KEPT_SIZE):
                self._past.take()
            for subscriber in self._subscribers:
                subscriber.push(event)

    def past(self, since_ns: int, until_ns: int) -> list[Event]:
        """Return remembered events with `since_ns <= time_ns <= until_ns`, oldest first."""
        with self._lock:
            return [event for event in self._past.events if since_ns <= event.time_ns <= until_ns]

    def subscribe(self, since_ns: int | None = None) -> Subscription:
        """Return a feed of events from now on. With `since_ns`, remembered events come first, without a gap."""
        with self._lock:
            backlog = [e for e in self._past.events if since_ns is not None and e.time_ns >= since_ns]
            subscription = Subscription(backlog, self._forget)
            self._subscribers.add(subscription)
        return subscription

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscribers.discard(subscription)
