"""What happened, told to whoever listens: the engine's event bus (Docker's `events`)."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

KEPT = 1000  # how many past events `since` can look back on


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: `type` and `action` are Docker's words (`image`/`tag`, `container`/`die`)."""

    type: str
    action: str
    actor_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_ns: int = 0  # nanoseconds since the epoch, set by the bus


class Subscription:
    """A live feed of events. Iterate it; `close` ends the iteration, from any thread, and may be called twice."""

    def __init__(self, backlog: list[Event], on_close: Callable[[Subscription], None]) -> None:
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._on_close = on_close
        for event in backlog:
            self._queue.put(event)

    def __iter__(self) -> Iterator[Event]:
        while (event := self._queue.get()) is not None:
            yield event

    def push(self, event: Event) -> None:
        """Put one event into the feed; never blocks."""
        self._queue.put(event)

    def close(self) -> None:
        """End the feed, for whoever iterates it too."""
        self._on_close(self)
        self._queue.put(None)


class EventBus:
    """Publishes events to subscribers and remembers the newest `KEPT` of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._past: deque[Event] = deque(maxlen=KEPT)
        self._subscribers: set[Subscription] = set()

    def publish(self, type: str, action: str, actor_id: str, attributes: Mapping[str, str] | None = None) -> None:
        """Stamp the event with the present time and hand it to every subscriber. Never blocks on a slow one."""
        event = Event(type, action, actor_id, dict(attributes or {}), time.time_ns())
        with self._lock:
            self._past.append(event)
            for subscriber in self._subscribers:
                subscriber.push(event)

    def past(self, since_ns: int, until_ns: int) -> list[Event]:
        """Remembered events with `since_ns <= time_ns <= until_ns`, oldest first."""
        with self._lock:
            return [event for event in self._past if since_ns <= event.time_ns <= until_ns]

    def subscribe(self, since_ns: int | None = None) -> Subscription:
        """A feed of events from now on, preceded by remembered ones from `since_ns` where given; no gap between."""
        with self._lock:
            backlog = [e for e in self._past if since_ns is not None and e.time_ns >= since_ns]
            subscription = Subscription(backlog, self._forget)
            self._subscribers.add(subscription)
        return subscription

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscribers.discard(subscription)
