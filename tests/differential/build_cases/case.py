"""What a case of the comparison is, and the images and files that many of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from differential.differences import Difference
from support.context import File

TREE: dict[str, File | str] = {
    "a.txt": "alpha\n",
    "b.txt": "beta\n",
    "run.sh": File("#!/bin/sh\necho hi\n", mode=0o755),
    "secret": File("s\n", mode=0o600),
    "dir/one": "1\n",
    "dir/two": "2\n",
    "dir/sub/three": "3\n",
    "dir/link": File(link="one"),
    "empty": File(directory=True),
}
BASES = {
    "with-cmd": 'FROM base\nCMD ["y"]\n',
    "with-copy-trigger": "FROM base\nONBUILD COPY a.txt /\nONBUILD ENV T=1\n",
    "with-run-trigger": "FROM base\nONBUILD ARG WHO=nobody\nONBUILD RUN echo $WHO > /who\n",
    "with-workdir": "FROM base\nWORKDIR /srv\nUSER nobody\nENV KEPT=1\n",
    "with-file": "FROM base\nCOPY a.txt /f\n",
    "with-folder": "FROM base\nCOPY dir /d\n",
    "with-health": "FROM base\nHEALTHCHECK --interval=1h --retries=7 CMD a\n",
    "with-volume": "FROM base\nVOLUME /data\nLABEL from=base\nEXPOSE 80\n",
    "with-links": "FROM base\nRUN mkdir -p /usr/bin /usr/lib && ln -s usr/lib /lib\n",
}
"""Images made from `base` with TREE as the context. Both engines have them before the first case is built."""
Builder = str
"""A builder of Docker's: `buildkit` or `classic`."""


@dataclass(frozen=True)
class Case:
    """A build that real engines and lamina must agree on.

    `base` is a busybox image that both imported from the same tar. A case that `fails` must fail on both. `builders`
    are the real builders that know its language. `tolerated` has what may differ from each.
    """

    name: str
    dockerfile: str
    files: Mapping[str, File | str] = field(default_factory=lambda: TREE)
    flags: tuple[str, ...] = ()
    fails: bool = False
    builders: tuple[Builder, ...] = ("buildkit",)
    tolerated: Mapping[Builder, Difference] = field(default_factory=dict)


BOTH: tuple[Builder, ...] = ("buildkit", "classic")
CLASSIC: tuple[Builder, ...] = ("classic",)
