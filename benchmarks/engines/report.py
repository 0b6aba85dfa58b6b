"""The figures as text, as JSON with every sample, and as a picture."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from engines.subjects import Sample

Outcome = list[Sample] | str
"""The samples of a subject in a row, or why there are none."""

_WIDTH, _LEFT, _LINE = 900, 330, 18  # of the picture


def text(row: str, results: Mapping[str, Outcome]) -> str:
    """Return the lines of one row: median, spread (the middle half) and the ratio to lamina's, pair by pair."""
    first = next((samples for samples in results.values() if not isinstance(samples, str)), [])
    lines = [row]
    for name, samples in results.items():
        if isinstance(samples, str):
            lines.append(f"  {name:<24} {samples}")
            continue
        walls = [sample.wall for sample in samples]
        low, high = _middle(walls)
        ratio = statistics.median(theirs.wall / ours.wall for theirs, ours in zip(samples, first, strict=False))
        client = statistics.median(sample.processor for sample in samples)
        figures = f"{statistics.median(walls):9.1f} ms  {low:9.1f} to {high:9.1f}  {ratio:6.2f}x"
        lines.append(f"  {name:<24}{figures}  client {client:7.1f} ms")
    return "\n".join(lines)


def save(results: Mapping[str, dict[str, Outcome]], folder: Path) -> None:
    """Write `bench.json` and `bench.svg` into a folder."""
    samples = {
        row: {
            name: value if isinstance(value, str) else [[sample.wall, sample.processor] for sample in value]
            for name, value in by_subject.items()
        }
        for row, by_subject in results.items()
    }
    (folder / "bench.json").write_text(json.dumps({"unit": "ms", "sample": ["wall", "client"], "rows": samples}))
    (folder / "bench.svg").write_text(picture(results))


def picture(results: Mapping[str, dict[str, Outcome]]) -> str:
    """Return an SVG: a bar for each subject's median, with its spread; each row has a scale of its own."""
    parts: list[str] = []
    y = _LINE
    for row, by_subject in results.items():
        walls = {name: [s.wall for s in value] for name, value in by_subject.items() if not isinstance(value, str)}
        medians = {name: statistics.median(values) for name, values in walls.items()}
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(row)}</text>')
        y += _LINE
        scale = (_WIDTH - _LEFT - 110) / max(medians.values(), default=1)
        for name, median in medians.items():
            low, high = _middle(walls[name])
            colour = "#2f6f9f" if name.startswith("lamina") else "#b0a58f"
            parts.append(f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{_LEFT}" y="{y - 11}" width="{median * scale:.1f}" height="12" fill="{colour}"/>')
            line = f'x1="{_LEFT + low * scale:.1f}" x2="{_LEFT + high * scale:.1f}" y1="{y - 5}" y2="{y - 5}"'
            parts.append(f'<line {line} stroke="black"/>')
            parts.append(f'<text x="{_LEFT + median * scale + 8:.1f}" y="{y}">{median:.0f} ms</text>')
            y += _LINE
        y += _LINE // 2
    size = f'width="{_WIDTH}" height="{y}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, *parts, "</svg>\n"])


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the middle half of the values."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
