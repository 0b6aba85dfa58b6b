"""How often a daemon's collector runs."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, sys
from lamina.daemon.collection import collect_rarely
if sys.argv[1] == "rarely":
    collect_rarely()
before = [each["collections"] for each in gc.get_stats()]
values = [[number] for number in range(400_000)]
print(*(each["collections"] - count for each, count in zip(gc.get_stats(), before)))
"""


def collections(how: str) -> list[int]:
    """Return how often each generation was collected while many values were made."""
    command = [sys.executable, "-c", SCRIPT, how]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return list(map(int, output.split()))


def test_many_values_that_stay_are_gone_through_once_not_for_each_quarter_more() -> None:
    _, middle, old = collections("rarely")
    assert (middle < 10, old) == (True, 0)
    _, usual_middle, usual_old = collections("as usual")
    assert usual_middle > 30
    assert usual_old > 3
