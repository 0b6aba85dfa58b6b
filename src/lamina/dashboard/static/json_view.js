// A value as JSON that can be searched by the browser, copied and downloaded.

import { button, element } from "./dom.js";
import { attempt, tell } from "./messages.js";

// Return a view of a value. `name` is the file that it is downloaded as.
export function jsonView(value, name) {
  const text = JSON.stringify(value, null, 2);
  const copy = button("Copy", () => attempt(async () => {
    await navigator.clipboard.writeText(text);
    tell("Copied");
  }));
  const save = button("Download", () => {
    const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    element("a", { href, download: name }).click();
    URL.revokeObjectURL(href);
  });
  return element("section", { "aria-label": "Details" },
    element("div", { class: "tools" }, copy, save), element("pre", { class: "view", tabindex: "0" }, text));
}
