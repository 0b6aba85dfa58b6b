// Values as lists of names and what they stand for, and dialogs and files that show more of them.

import { button, element, useStyleSheet } from "./dom.js";
import { ask } from "./messages.js";

await useStyleSheet("drawings.css");

// Return pairs as a list of figures. Pairs without a value are left out.
export function figures(pairs) {
  return element("dl", { class: "figures" }, pairs.filter(([, value]) => hasValue(value)).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// Return an object's members as a table of two columns, or a sentence where it has none.
export function pairsTable(label, members, empty = "None.") {
  const entries = Object.entries(members ?? {});
  return entries.length
    ? element("table", { "aria-label": label }, element("tbody", {}, entries.map(([name, value]) =>
      element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, String(value))))))
    : element("p", { class: "count" }, empty);
}

// Return a section under a heading.
export function section(title, ...children) {
  return element("section", { "aria-label": title }, element("h2", {}, title), children);
}

// Return an area that scrolls by itself, also by keyboard.
export function scrolling(label, ...children) {
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, children);
}

// Show what a prune takes and run it if that is wanted. `plan` are { name, size }; `run` returns what to tell.
export function askToPrune({ title, plan, size, note, run }) {
  const total = plan.reduce((sum, each) => sum + (each.size ?? 0), 0);
  const list = element("ul", { class: "plan" }, plan.map((each) =>
    element("li", {}, each.name, hasValue(each.size) && ` · ${size(each.size)}`)));
  const content = [element("p", {}, `${plan.length === 1 ? "1 goes" : `${plan.length} go`}${total ? `, ${size(total)} in all` : ""}. ${note}`), scrolling("What goes", list)];
  return ask({ title, content, action: "Remove all of these", isDangerous: true, run });
}

// Return a button that downloads a text.
export function downloadButton(text, name, content, type = "application/json") {
  return button(text, () => {
    const href = URL.createObjectURL(new Blob([content], { type }));
    element("a", { href, download: name }).click();
    URL.revokeObjectURL(href);
  });
}

function hasValue(value) {
  return value !== null && value !== undefined && value !== "" && value !== false;
}
