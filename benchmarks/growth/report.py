"""Growth as a table in Markdown and as a picture with logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from growth.series import Point

LINEAR = 1.15  # an exponent above this is worse than linear; noise has room below it
_CHART, _MARGIN, _ROW = (420, 220), 60, 280
_COLUMNS = 2

Curves = Mapping[str, Sequence[Point]]


def curves(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Return the points by the name of what was done, in the order of their counts."""
    by_name: dict[str, list[Point]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    return {name: sorted(curve, key=lambda point: point.count) for name, curve in by_name.items()}


def exponent(curve: Sequence[Point]) -> float:
    """Return x where the upper half of a curve grows as count^x; 0 for a single point."""
    before, after = curve[(len(curve) - 1) // 2], curve[-1]
    if before is after:
        return 0.0
    times = max(after.processor, 0.1) / max(before.processor, 0.1)
    return math.log(times) / math.log(after.count / before.count)


def table(by_name: Curves) -> str:
    """Return the milliseconds at each count, and the exponent."""
    lines = ["| work | milliseconds of the engine at each count | grows as count to the power of |", "|---|---|---|"]
    for name, curve in by_name.items():
        figures = ", ".join(f"{point.count}: {point.processor:.3g}" for point in curve)
        power = exponent(curve)
        lines.append(f"| {name} | {figures} | {power:.2f}{' (worse than linear)' if power > LINEAR else ''} |")
    return "\n".join([*lines, ""])


def picture(by_name: Curves) -> str:
    """Return an SVG with a chart for each curve; a dashed line shows what growth in proportion would be."""
    parts = [part for number, (name, curve) in enumerate(by_name.items()) for part in _chart(number, name, curve)]
    width = _COLUMNS * (_CHART[0] + _MARGIN) + _MARGIN
    height = math.ceil(len(by_name) / _COLUMNS) * _ROW + 20
    size = f'width="{width}" height="{height}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, *parts, "</svg>\n"])


def _chart(number: int, name: str, curve: Sequence[Point]) -> list[str]:
    left = _MARGIN + number % _COLUMNS * (_CHART[0] + _MARGIN)
    top = 30 + number // _COLUMNS * _ROW
    counts = [point.count for point in curve]
    times = [max(point.processor, 0.01) for point in curve]
    proportional = times[0] * counts[-1] / counts[0]
    x = _scale(min(counts), max(counts), left, left + _CHART[0] - 40)
    y = _scale(min(times), max(*times, proportional), top + _CHART[1], top)
    path = " ".join(f"{x(count):.1f},{y(time):.1f}" for count, time in zip(counts, times, strict=True))
    line = f'x1="{x(counts[0]):.1f}" y1="{y(times[0]):.1f}" x2="{x(counts[-1]):.1f}" y2="{y(proportional):.1f}"'
    parts = [
        f'<text x="{left}" y="{top - 10}" font-weight="bold">{escape(name)}, ms</text>',
        f'<line {line} stroke="#b0a58f" stroke-dasharray="4"/>',
        f'<polyline points="{path}" fill="none" stroke="#2f6f9f" stroke-width="2"/>',
    ]
    for count, time in zip(counts, times, strict=True):
        parts.append(f'<circle cx="{x(count):.1f}" cy="{y(time):.1f}" r="3" fill="#2f6f9f"/>')
        parts.append(f'<text x="{x(count):.1f}" y="{y(time) - 6:.1f}" text-anchor="middle">{time:.3g}</text>')
        parts.append(f'<text x="{x(count):.1f}" y="{top + _CHART[1] + 16}" text-anchor="middle">{count}</text>')
    return parts


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    return _Scale(math.log(low), math.log(high) - math.log(low) or 1.0, start, end - start)


class _Scale:
    """A logarithmic axis."""

    def __init__(self, low: float, span: float, start: float, length: float) -> None:
        self._low, self._span = low, span
        self._start, self._length = start, length

    def __call__(self, value: float) -> float:
        return self._start + (math.log(value) - self._low) / self._span * self._length
