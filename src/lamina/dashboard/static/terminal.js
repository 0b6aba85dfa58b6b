// A terminal on the page, by xterm.js.

import { useStyleSheet } from "./dom.js";
import { FitAddon } from "./vendor/xterm/addon-fit.mjs";
import { Terminal } from "./vendor/xterm/xterm.mjs";

await useStyleSheet("vendor/xterm/xterm.css");

// Put a terminal into an element and return it. `onData` gets what is typed, `onResize` the new size.
export function openTerminal(parent, { onData, onResize, label }) {
  const styles = getComputedStyle(document.documentElement);
  const terminal = new Terminal({
    screenReaderMode: true,
    scrollback: 5000,
    theme: {
      background: styles.getPropertyValue("--terminal-ground").trim(),
      foreground: styles.getPropertyValue("--terminal-text").trim(),
      cursor: styles.getPropertyValue("--terminal-text").trim(),
    },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  withStyleSheets(() => terminal.open(parent));
  terminal.textarea.setAttribute("aria-label", label);
  terminal.onData(onData);
  terminal.onResize(({ cols, rows }) => onResize(rows, cols));
  fit.fit();
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(parent);
  return { terminal, close: () => { observer.disconnect(); terminal.dispose(); } };
}

// xterm.js writes rules into <style> elements and sets the style attributes of spans. Both count as inline styles, which
// the page's policy forbids. Rules in a style sheet that a script made, and properties that it sets, do not (CSP Level 3,
// section 6.7.3), so the two functions below make the one of the other.

// Run an action. The <style> elements that it makes put their rules into such a style sheet.
function withStyleSheets(action) {
  document.createElement = (kind, options) => (
    kind === "style" ? styleElement() : Document.prototype.createElement.call(document, kind, options));
  try {
    action();
  } finally {
    delete document.createElement;
  }
}

HTMLSpanElement.prototype.setAttribute = function setAttribute(name, value) {
  if (name === "style") {
    this.style.cssText = value;
  } else {
    Element.prototype.setAttribute.call(this, name, value);
  }
};

function styleElement() {
  const sheet = new CSSStyleSheet();
  const stand = document.createElement("span");
  stand.hidden = true;
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(stand, "textContent", { set: (text) => sheet.replaceSync(text) });
  stand.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(stand);
  };
  return stand;
}
