"""How two images differ, as one HTML file that needs nothing else: no script, no request, no other file.

Every text in it comes from images. It is made printable, so that no bidi mark shows it in another order than it has,
and escaped. The page's own policy forbids scripts and requests as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from lamina.api.explorer import FileChange, ImageDifference, PackageChange, ValueChange
from lamina.formats.sizes import human_size
from lamina.formats.text import printable

_STYLE = """
:root { color-scheme: light dark; --added: #1a7f37; --removed: #cf222e; --changed: #9a6700; --line: #8888; }
@media (prefers-color-scheme: dark) { :root { --added: #3fb950; --removed: #f85149; --changed: #d29922; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code, pre, td, summary { font-family: ui-monospace, monospace; font-size: 0.9rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line); }
pre { margin: 0.3rem 0 0.8rem 1rem; white-space: pre-wrap; }
.added { color: var(--added); } .removed { color: var(--removed); } .modified { color: var(--changed); }
""".strip()
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SIGNS = {"+": "added", "-": "removed"}


def difference_html(difference: ImageDifference, before: str, after: str) -> Iterable[str]:
    """Yield the lines of the page. `before` and `after` are the names that the images were asked for by."""
    title = f"{_text(before)} and {_text(after)}"
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
    yield f"<h1>From <code>{_text(before)}</code> to <code>{_text(after)}</code></h1>"
    yield f"<p><code>{_text(difference.before)}</code><br><code>{_text(difference.after)}</code></p>"
    yield f"<p>{_counts(difference)}</p>"
    yield from _section("Configuration", ("Value", "Before", "After"), map(_value_row, difference.config))
    yield from _section("Packages", ("Package", "Before", "After", "Files"), map(_package_row, difference.packages))
    yield "<h2>Files</h2>" if difference.files else ""
    for file in difference.files:
        yield from _file_lines(file)
    if difference.omitted:
        yield f"<p>… and {difference.omitted} more files</p>"
    yield "</main></body></html>"


def _text(text: str | None) -> str:
    return "" if text is None else escape(printable(text).encode("utf-8", "replace").decode())


def _counts(difference: ImageDifference) -> str:
    if difference.same and not difference.packages:
        return "The images do not differ."
    files = len(difference.files) + difference.omitted
    return f"{len(difference.config)} values, {len(difference.packages)} packages and {files} files differ."


def _section(title: str, heads: Iterable[str], rows: Iterable[str]) -> Iterable[str]:
    lines = list(rows)
    if lines:
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        yield f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>"
        yield from lines
        yield "</tbody></table>"


def _value_row(change: ValueChange) -> str:
    before, after = _text(change.before), _text(change.after)
    return f'<tr><td>{_text(change.name)}</td><td class="removed">{before}</td><td class="added">{after}</td></tr>'


def _package_row(package: PackageChange) -> str:
    name = f"{package.kind} {package.name}{f' ({package.architecture})' if package.architecture else ''}"
    files = "<br>".join(_text(path) for path in package.files)
    before, after = _text(package.before), _text(package.after)
    return (
        f'<tr><td>{_text(name)}</td><td class="removed">{before}</td><td class="added">{after}</td>'
        f"<td>{files}</td></tr>"
    )


def _file_lines(file: FileChange) -> Iterable[str]:
    what = f" ({', '.join(file.what)})" if file.what else ""
    sizes = " → ".join(human_size(state.size, 3) for state in (file.before, file.after) if state is not None)
    head = f'<span class="{file.change}">{file.change}</span> {_text(file.path)}{what} {sizes}'
    if not file.text:
        yield f"<div><code>{head}</code></div>"
        return
    yield f"<details open><summary>{head}</summary><pre>"
    for line in file.text.splitlines():
        kind = _SIGNS.get(line[:1], "")
        text = escape(printable(line, keep="\t").encode("utf-8", "replace").decode())
        yield f'<span class="{kind}">{text}</span>' if kind else text
    yield "</pre></details>"
