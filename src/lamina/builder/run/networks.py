"""The network namespaces of a build's steps: joining a network takes as long as a step, so steps use them in turn.

No two steps are in one namespace at the same time: each has its loopback to itself.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lamina.linux.user_namespaces import UserNamespace
from lamina.network.networks import Networks


class StepNetworks:
    """The namespaces of one build, which are given back when `closing` closes. Thread-safe."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self._lock = threading.Lock()
        self._free: dict[str, list[str]] = defaultdict(list)

    @contextmanager
    def use(self, networks: Networks, network: str, id: str, userns: UserNamespace | None = None) -> Iterator[str]:
        """Provide the ID of a namespace in `network` that no other step uses; a new one is called `id`.

        It belongs to the users of `userns`.
        """
        with self._lock:
            free = self._free[network]
            chosen = free.pop() if free else ""
            if not chosen:
                self._closing.callback(networks.leave, id)
        if not chosen:
            networks.sandbox(id, userns)
            networks.join(id, network)
            chosen = id
        try:
            yield chosen
        finally:
            with self._lock:
                self._free[network].append(chosen)
