// A table with search, sorting and pages. It shows a hundred rows at a time, whatever the list's length.

import { button, element, field, fill } from "./dom.js";

const ROWS = 100;

// A table of objects.
//
// Columns are { title, cell, sort, isShort }: `cell(row)` returns what the cell shows, `sort(row)` a text or number to sort
// by. Short columns are never broken into lines.
// The first column's cells are the rows' headings. `key(row)` identifies a row, `text(row)` is searched, and
// `group(row)`, where there is one, names the group under whose heading the row stands.
export class Table {
  constructor({ label, columns, key, text, group = null, empty = "Nothing here yet." }) {
    Object.assign(this, { columns, key, text, group, empty });
    this.rows = [];
    this.start = 0;
    this.sorting = { column: null, sign: 1 };
    this.lines = new Map();
    const { label: searchLabel, control } = field("Search", { type: "search", input: () => this.restart() });
    this.search = control;
    this.count = element("p", { class: "count", role: "status" });
    this.body = element("table", { "aria-label": label });
    this.head = element("thead", {}, element("tr", {}, columns.map((column) => this.heading(column))));
    this.previous = button("Previous", () => this.turn(-ROWS));
    this.next = button("Next", () => this.turn(ROWS));
    this.pager = element("nav", { class: "pager", "aria-label": `Pages of ${label}` }, this.previous, this.next);
    this.tools = element("div", { class: "tools" }, searchLabel);
    this.element = element("div", { class: "listing" }, this.tools, this.count,
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table of ${label}` }, this.body), this.pager);
  }

  // Show these rows. The search, the sorting and the focus stay.
  update(rows) {
    this.rows = rows;
    this.draw();
  }

  heading(column) {
    if (!column.sort) {
      return element("th", { scope: "col" }, column.title);
    }
    const made = element("th", { scope: "col" });
    made.append(element("button", { type: "button", class: "sort", click: () => this.sortBy(column, made) }, column.title));
    return made;
  }

  sortBy(column, heading) {
    const isAgain = this.sorting.column === column;
    this.sorting = { column, sign: isAgain ? -this.sorting.sign : 1 };
    this.head.querySelectorAll("th").forEach((cell) => cell.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", this.sorting.sign > 0 ? "ascending" : "descending");
    this.restart();
  }

  restart() {
    this.start = 0;
    this.draw();
  }

  turn(distance) {
    this.start += distance;
    this.draw();
  }

  chosen() {
    const wanted = this.search.value.trim().toLowerCase();
    const rows = wanted ? this.rows.filter((row) => this.text(row).toLowerCase().includes(wanted)) : [...this.rows];
    const { column, sign } = this.sorting;
    if (column) {
      rows.sort((one, other) => sign * compare(column.sort(one), column.sort(other)));
    }
    return rows;
  }

  draw() {
    const rows = this.chosen();
    this.start = Math.max(0, Math.min(this.start, Math.floor((rows.length - 1) / ROWS) * ROWS));
    const page = rows.slice(this.start, this.start + ROWS);
    const focus = this.focused();
    const lines = new Map();
    fill(this.body, this.head, this.bodies(page, lines));
    this.lines = lines;
    this.restore(focus);
    this.describe(rows.length, page.length);
  }

  bodies(page, lines) {
    const groups = new Map();
    for (const row of page) {
      const name = this.group ? this.group(row) : "";
      groups.set(name, [...(groups.get(name) ?? []), this.line(row, lines)]);
    }
    const names = [...groups.keys()].sort();
    return names.map((name) => element("tbody", {},
      name && element("tr", { class: "group" }, element("th", { scope: "rowgroup", colspan: this.columns.length }, name)),
      groups.get(name)));
  }

  // Return the row's line: the one that stands there already if nothing in it has changed.
  line(row, lines) {
    const key = this.key(row);
    const signature = JSON.stringify(row);
    const before = this.lines.get(key);
    const line = before?.signature === signature ? before.line : element("tr", { "data-key": key },
      this.columns.map((column, index) => element(index ? "td" : "th",
        { scope: index ? null : "row", class: column.isShort ? "short" : null }, column.cell(row))));
    lines.set(key, { signature, line });
    return line;
  }

  focused() {
    const line = document.activeElement?.closest("tr[data-key]");
    if (!line || !this.body.contains(line)) {
      return null;
    }
    const place = [...line.querySelectorAll("a, button, input")].indexOf(document.activeElement);
    return { key: line.dataset.key, place };
  }

  restore(focus) {
    const controls = focus && this.lines.get(focus.key)?.line.querySelectorAll("a, button, input");
    controls?.[focus.place]?.focus();
  }

  describe(total, shown) {
    const range = total > ROWS ? `${this.start + 1} to ${this.start + shown} of ${total}` : `${total}`;
    const text = total ? `${range} ${total === 1 ? "entry" : "entries"}` : this.rows.length ? "Nothing matches." : this.empty;
    if (this.count.textContent !== text) {
      fill(this.count, text);
    }
    this.pager.hidden = total <= ROWS;
    this.previous.disabled = this.start === 0;
    this.next.disabled = this.start + ROWS >= total;
  }
}

function compare(one, other) {
  return typeof one === "number" ? one - other : String(one).localeCompare(String(other));
}
