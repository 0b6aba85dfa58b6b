"""How long the dashboard's first page takes until its list is painted, beside a page that says one word.

`make bench-first-page` runs it as root. It needs tests/ and examples/ on PYTHONPATH. Compare the two lines: what else
the machine does slows the browser down far more than the page does.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import lamina
from support.browser import Browser, browser
from support.daemons import lamina_daemon
from support.web import serving

_LOADS = 15
# Notes when the list's number of entries is in the page, and when the frame after that is done.
_WATCH = """
    new MutationObserver((_, observer) => {
        if (document.querySelector(".count")?.textContent) {
            observer.disconnect();
            requestAnimationFrame(() => setTimeout(() => { window.listShown = performance.now(); }));
        }
    }).observe(document, { childList: true, subtree: true, characterData: true });
"""
_TIMES = """
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return paint && [paint.startTime, window.listShown ?? null];
"""


def main() -> None:
    """Print the medians and the best of both pages."""
    with tempfile.TemporaryDirectory(prefix="first-page-") as scratch, browser(Path(scratch) / "profile") as window:
        window.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        site = Path(scratch) / "site"
        site.mkdir()
        (site / "index.html").write_text("<!doctype html><title>empty</title><p>word</p>")
        with serving(site) as address:
            _measure(window, "a page with one word", f"{address}/index.html", has_list=False)
        with lamina_daemon("--dashboard", "127.0.0.1:0") as daemon, lamina.connect(daemon.host) as client:
            window.driver.get(client.dashboard_link())
            window.one("h1", "Containers")
            parts = urlsplit(window.driver.current_url)
            _measure(window, "the dashboard", f"{parts.scheme}://{parts.netloc}/", has_list=True)
            window.driver.get("about:blank")


def _measure(window: Browser, name: str, address: str, *, has_list: bool) -> None:
    times: list[tuple[float, float | None]] = []
    for _ in range(_LOADS):
        window.driver.get("about:blank")
        window.driver.get(address)

        def painted() -> tuple[float, float | None] | None:
            paint = window.driver.execute_script(_TIMES)
            return paint if paint and (paint[1] or not has_list) else None

        times.append(window.wait(painted, f"{address} was never painted"))
    _print(f"{name}, first paint", [paint for paint, _ in times])
    if has_list:
        _print(f"{name}, list painted", [shown for _, shown in times if shown])


def _print(name: str, times: list[float]) -> None:
    print(f"{name:32} median {statistics.median(times):4.0f} ms, best {min(times):4.0f} ms")


if __name__ == "__main__":
    main()
