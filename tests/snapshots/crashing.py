"""Works with snapshots until it dies: argv is home, driver, seconds to live, and the files of the layers."""

from __future__ import annotations

import itertools
import signal
import sys
from pathlib import Path

from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.snapshots.choose import open_driver


def main() -> None:
    home, name, seconds, *tars = sys.argv[1:]
    layers = [
        Layer(Digest.of(Path(tar).read_bytes()), Path(tar).stat().st_size, Path(tar), Path(tar).with_suffix(".erofs"))
        for tar in tars
    ]
    driver = open_driver(Path(home), name)
    driver.sweep(["kept"])
    kept = driver.get("kept")
    signal.setitimer(signal.ITIMER_REAL, float(seconds))  # what nobody handles ends a process like kill -9 does
    for number in itertools.count():
        snapshot = driver.prepare(f"passing-{number}", layers)
        root = snapshot.mount()
        (root / "made").write_bytes(b"made")
        kept.mount()
        kept.unmount()
        snapshot.unmount()
        driver.remove(snapshot.key)
        driver.collect()


if __name__ == "__main__":
    main()
