"""A real browser with a clean profile, driven over WebDriver, which fails tests for errors in its console."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from support.engines import LAMINA
from support.programs import PEERS, need, need_folder

PATIENCE = 30  # seconds for something to show
_FLAGS = (
    "--headless",
    "--no-sandbox",  # it runs as root, on pages of our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")

_LABELLED = """
    const name = (control) => control.getAttribute("aria-label")
        ?? (control.labels?.length ? control.labels[0].firstChild.textContent : control.textContent).trim();
    const root = document.querySelector("dialog[open]") ?? document;
    return [...root.querySelectorAll("button, a, input, select, textarea, summary")]
        .find((control) => name(control) === arguments[0] && control.checkVisibility());
"""


@dataclass(frozen=True)
class Browser:
    """One window. Waiting methods fail with what the page shows instead."""

    driver: Chrome

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true result of `condition`. The page may change under it."""
        waiting = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=[Exception])
        try:
            return waiting.until(lambda _: condition())
        except TimeoutException:
            raise AssertionError(f"{what}; the page shows:\n{self.text()}") from None

    def text(self) -> str:
        """Return what can be read on the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str, text: str = "") -> WebElement:
        """Wait for an element, and for its text if one is named."""

        def matching() -> WebElement | None:
            return next((item for item in self.all(selector) if text in item.text and item.is_displayed()), None)

        element = self.wait(matching, f"no {selector} with {text!r}")
        assert isinstance(element, WebElement)
        return element

    def labelled(self, label: str) -> WebElement:
        """Wait for the control that is called `label`; only those of a dialog count while one is open."""
        element = self.wait(lambda: self.driver.execute_script(_LABELLED, label), f"nothing is called {label!r}")
        assert isinstance(element, WebElement)
        return element

    def press(self, label: str) -> None:
        """Click the control that is called `label`."""

        def click() -> bool:
            self.labelled(label).click()
            return True

        self.wait(click, f"{label!r} cannot be clicked")

    def type(self, label: str, text: str) -> None:
        """Put text in the place of what a field holds."""
        control = self.labelled(label)
        control.clear()
        control.send_keys(text)

    def shows(self, *texts: str) -> None:
        """Wait until all texts can be read on the page."""
        self.wait(lambda: all(text in self.text() for text in texts), f"not shown: {texts}")

    def lacks(self, text: str) -> None:
        """Wait until a text can no longer be read on the page."""
        self.wait(lambda: text not in self.text(), f"still shown: {text}")

    def go(self, address: str) -> None:
        """Go to a page of the dashboard, such as "images"."""
        self.driver.execute_script("location.hash = '#/' + arguments[0]", address)

    def console(self) -> list[str]:
        """Return the messages of the console, once. Violations of the page's policy are among them."""
        return [entry["message"] for entry in self.driver.execute("getLog", {"type": "browser"})["value"]]

    def check_accessibility(self) -> None:
        """Fail for violations that axe finds on the page as it is now."""
        folder = need_folder(PEERS / "node/node_modules/axe-core")
        self.driver.execute_script((folder / "axe.min.js").read_text())
        run = """
            const done = arguments[1];
            const describe = (node) => `${node.html} ${node.failureSummary}`;
            axe.run({ runOnly: arguments[0] }).then((results) => done(results.violations.map((violation) =>
                `${violation.id}: ${violation.nodes.map(describe).join("; ")}`)));
        """
        violations = self.driver.execute_async_script(run, list(_RULES))
        assert not violations, "\n".join(violations)


@contextmanager
def own_dashboard(window: Browser, host: str) -> Iterator[None]:
    """Open a read-only dashboard of the daemon at `host`, which a process of its own serves, and end it."""
    command = [*LAMINA, "--host", host, "dashboard", "--read-only"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            window.driver.get(process.stdout.readline().strip())
            window.one("h1", "Containers")
            window.shows("read-only")
            yield
            window.driver.get("about:blank")
        finally:
            process.terminate()
    assert process.returncode == 0


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile in the folder `profile`."""
    options = ChromeOptions()
    options.binary_location = need("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(profile / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(need("chromedriver")))
    try:
        driver.set_script_timeout(PATIENCE)
        yield Browser(driver)
    finally:
        driver.quit()
