// What happens, as it happens: the daemon's events, by kind and by words.

import { lines } from "../api.js";
import { element, field, fill, useStyleSheet } from "../dom.js";
import { report } from "../messages.js";
import { systemTabs } from "./system.js";

await useStyleSheet("drawings.css");

const KINDS = ["container", "image", "volume", "network", "builder", "daemon"];
const MOST = 500; // rows on the page
const BACK = 3600; // seconds that are shown from before

export function show(page) {
  const kind = field("Kind", {}, "select");
  const search = field("Search", { type: "search" });
  const count = element("p", { class: "count", role: "status" });
  const body = element("tbody");
  fill(kind.control, element("option", { value: "" }, "all"), KINDS.map((name) => element("option", { value: name }, name)));
  const titles = ["Time", "Kind", "What", "Object", "Attributes"];
  page.main.append(systemTabs("events"), element("div", { class: "tools" }, kind.label, search.label), count,
    element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Table of events" },
      element("table", { class: "events", "aria-label": "events" }, element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))), body)));
  const rows = new EventRows(body, count, () => search.control.value.trim().toLowerCase());
  let following = null;
  const restart = () => {
    following?.abort();
    following = new AbortController();
    rows.clear();
    follow(kind.control.value, rows, AbortSignal.any([following.signal, page.signal]));
  };
  kind.control.addEventListener("change", restart);
  search.control.addEventListener("input", () => rows.filter());
  restart();
}

async function follow(kind, rows, signal) {
  const query = { since: Math.floor(Date.now() / 1000) - BACK, filters: kind ? { type: [kind] } : undefined };
  try {
    for await (const event of lines("/events", query, signal)) {
      rows.add(event);
    }
  } catch (error) {
    if (!signal.aborted) {
      report(error);
    }
  }
}

// The rows of the table, the latest first. A search hides those that it does not fit.
class EventRows {
  constructor(body, count, searched) {
    Object.assign(this, { body, count, searched });
  }

  clear() {
    fill(this.body);
    this.describe();
  }

  add(event) {
    const { Type: kind, Action: action, Actor: { ID: id, Attributes: attributes } } = event;
    const others = Object.entries(attributes).filter(([name]) => name !== "name").map(([name, value]) => `${name}=${value}`);
    const row = element("tr", {},
      element("td", {}, element("time", {}, new Date(event.timeNano / 1e6).toLocaleTimeString())), element("td", {}, kind),
      element("td", {}, action), element("td", {}, attributes.name || id.slice(0, 24)), element("td", {}, others.join(", ")));
    this.body.prepend(row);
    row.hidden = !this.fits(row);
    if (this.body.children.length > MOST) {
      this.body.lastChild.remove();
    }
    this.describe();
  }

  filter() {
    for (const row of this.body.children) {
      row.hidden = !this.fits(row);
    }
    this.describe();
  }

  fits(row) {
    return row.textContent.toLowerCase().includes(this.searched());
  }

  describe() {
    const shown = [...this.body.children].filter((row) => !row.hidden).length;
    fill(this.count, this.body.children.length ? `${shown} of ${this.body.children.length} events` : "Nothing has happened in the last hour.");
  }
}
