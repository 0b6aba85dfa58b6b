"""The figures as text, as JSON with every sample, as a picture, and as a table in Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from engines.samples import Result, Sample, is_lamina, middle_half

_WIDTH, _LEFT, _LINE = 900, 330, 18  # of the picture


def text(result: Result) -> str:
    """Return the lines of one row: median, spread (the middle half), the ratio to lamina's, the client's own time."""
    medians = result.medians()
    first = next(iter(medians.values()), 0.0)
    lines = [result.name]
    for name, samples in result.outcomes.items():
        if isinstance(samples, str):
            lines.append(f"  {name:<24} {samples}")
            continue
        low, high = middle_half([sample.value for sample in samples])
        ratio = f"{medians[name] / first:6.2f}x" if first else "      -"
        client = statistics.median(sample.processor for sample in samples)
        line = f"  {name:<24}{medians[name]:9.1f} {result.unit}  {low:9.1f} to {high:9.1f}  {ratio}  of {len(samples)}"
        lines.append(line + (f"  client {client:7.1f} ms" if client else ""))
    return "\n".join(lines)


def save(results: Sequence[Result], folder: Path) -> None:
    """Write `bench.json`, `bench.svg` and `bench.md` into a folder."""
    rows = {
        result.name: {
            "unit": result.unit,
            "samples": {
                name: value if isinstance(value, str) else [[sample.value, sample.processor] for sample in value]
                for name, value in result.outcomes.items()
            },
        }
        for result in results
    }
    (folder / "bench.json").write_text(json.dumps({"sample": ["value", "client, ms"], "rows": rows}))
    (folder / "bench.svg").write_text(picture(results))
    (folder / "bench.md").write_text(table(results))


def table(results: Sequence[Result]) -> str:
    """Return a table in Markdown: each face of lamina that promises something beside the best peer."""
    head = "| row | lamina, by | | best peer | | ratio | target | reached |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for result in results:
        lines += _table_lines(result)
    return "\n".join([*lines, ""])


def _table_lines(result: Result) -> Iterator[str]:
    medians, best = result.medians(), result.best_peer()
    faces = [name for name in result.outcomes if is_lamina(name)]
    promising = [name for name in faces if name in result.targets] or faces[:1]
    for face in promising:
        value = medians.get(face)
        peer = f"{best[0]} | {_figure(best[1], result.unit)}" if best else "– | –"
        if value is None:
            yield f"| {result.name} | {_face(face)} | {result.outcomes[face]} | {peer} | – | | no |"
            continue
        ratio = best[1] / value if best and value else None
        target, reached = _judgement(result, face, value, ratio)
        shown = f"{ratio:.1f}×" if ratio is not None else "–"
        own = f"{_face(face)} | {_figure(value, result.unit)}"
        yield f"| {result.name} | {own} | {peer} | {shown} | {target} | {reached} |"


def _judgement(result: Result, face: str, value: float, ratio: float | None) -> tuple[str, str]:
    """Return what a row asks of a face of lamina, and whether that is reached."""
    if result.limit is not None:
        return f"≤ {_figure(result.limit, result.unit)}", "yes" if value <= result.limit else "no"
    target = result.targets.get(face)
    if target is None:
        return "–", "–"
    return f"≥ {target:g}×", "yes" if ratio is not None and ratio >= target else "no"


def _face(name: str) -> str:
    """Return what stands before lamina in a face: a client, or nothing but the API."""
    return {"lamina": "own command", "lamina, API": "the API"}.get(name, name.removesuffix(" to lamina"))


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    number, _, what = unit.partition(" ")
    return " ".join(part for part in (f"{value:.{digits}f}", number, what) if part)


def picture(results: Sequence[Result]) -> str:
    """Return an SVG: a bar for each subject's median, with its spread; each row has a scale of its own."""
    parts: list[str] = []
    y = _LINE
    for result in results:
        medians = result.medians()
        title = f"{result.name}, {result.unit}" if result.unit else result.name
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += _LINE
        scale = (_WIDTH - _LEFT - 110) / (max(medians.values(), default=1) or 1)
        for name, samples in result.outcomes.items():
            if not isinstance(samples, str):
                parts += _bar(name, samples, scale, y)
                y += _LINE
        y += _LINE // 2
    size = f'width="{_WIDTH}" height="{y}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, *parts, "</svg>\n"])


def _bar(name: str, samples: Sequence[Sample], scale: float, y: int) -> list[str]:
    values = [sample.value for sample in samples]
    median, (low, high) = statistics.median(values), middle_half(values)
    colour = "#2f6f9f" if is_lamina(name) else "#b0a58f"
    line = f'x1="{_LEFT + low * scale:.1f}" x2="{_LEFT + high * scale:.1f}" y1="{y - 5}" y2="{y - 5}"'
    return [
        f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{y - 11}" width="{median * scale:.1f}" height="12" fill="{colour}"/>',
        f'<line {line} stroke="black"/>',
        f'<text x="{_LEFT + median * scale + 8:.1f}" y="{y}">{_figure(median, "")}</text>',
    ]
