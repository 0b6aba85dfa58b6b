"""How often the daemon looks for garbage in cycles.

A build of 20,000 files makes some hundred thousand values, none of them garbage, and the collector went through all of
them each time their number had grown by a quarter: a sixth of the build's processor time. What a daemon has loaded is
never garbage, and its own values hardly ever form cycles.

Young values are looked at nearly as often as ever: a refused request of megabytes is held by a cycle until then.
"""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 1_000, 50, 20  # see `gc.set_threshold`; Python's own are 700, 10, 10


def collect_rarely() -> None:
    """Leave all that is there now out of collections, and have them come more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
