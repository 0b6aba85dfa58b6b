"""How the engine's processor time grows with files, layers, images and containers.

`make bench-growth` runs it as root. It needs examples/ and benchmarks/ on PYTHONPATH. Processor time is measured, since
it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from growth.report import curves, picture, table
from growth.series import SERIES, Point

from base import busybox_tar
from lamina import Engine

_INSIDE = "LAMINA_BENCH_INSIDE"  # set in namespaces of our own


def main() -> None:
    """Measure each series on an engine of its own, and write growth.json, growth.svg and growth.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", default=list(SERIES), help=f"of {', '.join(SERIES)}; all without any")
    parser.add_argument("--most", type=int, default=10**9, help="stop a series at this number")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder for the figures")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("containers need root")
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
    options.output.mkdir(parents=True, exist_ok=True)
    points: list[Point] = []
    for name in options.series:
        points += _measure(name, options.most)
    by_name = curves(points)
    (options.output / "growth.json").write_text(json.dumps([asdict(point) for point in points]))
    (options.output / "growth.svg").write_text(picture(by_name))
    (options.output / "growth.md").write_text(table(by_name))
    print(f"\n{table(by_name)}")


def _measure(name: str, most: int) -> list[Point]:
    series, whole = SERIES[name]
    points = []
    with tempfile.TemporaryDirectory(prefix="growth-") as scratch:
        folder = Path(scratch)
        busybox_tar(folder / "base.tar")
        with Engine(folder / "d", exec_root=folder / "e") as engine:
            with open(folder / "base.tar", "rb") as tar:
                engine.images.import_tar(tar, "base")
            for point in series(engine, folder, min(most, whole)):
                points.append(point)
                print(f"{point.name:44}{point.count:8}{point.processor:12.1f} ms", flush=True)
    return points


if __name__ == "__main__":
    main()
