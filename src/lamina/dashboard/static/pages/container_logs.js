// What a container wrote, and goes on to write: with search, times and colours.

import { Painter } from "../ansi.js";
import { address, path, stream } from "../api.js";
import { showFrame } from "../container_frame.js";
import { element, field, fill } from "../dom.js";
import { count } from "../format.js";
import { logLines } from "../frames.js";
import { report } from "../messages.js";

const MOST = 5000; // lines on the page
const FIRST = 1000; // lines from the end that the page begins with

export async function show(page) {
  const details = await showFrame(page, "logs");
  const view = new LogView(details);
  page.main.append(view.element);
  const query = { stdout: 1, stderr: 1, timestamps: 1, follow: 1, tail: FIRST };
  try {
    const source = stream(path`/containers/${details.Id}/logs`, query, page.signal);
    for await (const line of logLines(source, details.Config.Tty)) {
      view.add(line);
    }
    view.end();
  } catch (error) {
    report(error);
  }
}

class LogView {
  constructor(details) {
    this.painters = { stdout: new Painter(), stderr: new Painter() };
    this.waiting = [];
    this.lines = [];
    this.search = field("Search", { type: "search", input: () => this.filter() });
    this.follows = field("Follow", { type: "checkbox", checked: true, change: () => this.scroll() });
    this.times = field("Times", { type: "checkbox", change: (event) => this.list.classList.toggle("timed", event.target.checked) });
    this.wraps = field("Wrap lines", { type: "checkbox", checked: true, change: (event) => this.list.classList.toggle("wrapped", event.target.checked) });
    this.status = element("p", { class: "count", role: "status" });
    this.list = element("div", { class: "log wrapped", role: "log", "aria-live": "off", tabindex: "0", "aria-label": "Log" });
    const target = path`/containers/${details.Id}/logs`;
    const download = element("a", { href: address(target, { stdout: 1, stderr: 1, timestamps: 1 }), download: `${details.Name.slice(1)}.log` }, "Download");
    this.element = element("section", { "aria-label": "Log of the container" },
      element("div", { class: "tools" }, this.search.label, this.follows.label, this.times.label, this.wraps.label, download),
      this.status, this.list);
  }

  // Add a line. Lines that come together are drawn together.
  add(line) {
    if (!this.waiting.length) {
      requestAnimationFrame(() => this.draw());
    }
    this.waiting.push(line);
  }

  end() {
    this.hasEnded = true;
    requestAnimationFrame(() => this.describe());
  }

  draw() {
    const added = this.waiting.splice(0).slice(-MOST).map((line) => this.drawLine(line));
    this.lines.push(...added);
    this.list.append(...added.map((line) => line.row));
    for (const line of this.lines.splice(0, Math.max(0, this.lines.length - MOST))) {
      line.row.remove();
    }
    this.describe();
    this.scroll();
  }

  drawLine({ stream: name, text }) {
    const space = text.indexOf(" ");
    const time = text.slice(0, space);
    const content = text.slice(space + 1).replace(/\r$/, "");
    const row = element("div", { class: `line ${name}` }, element("time", {}, time, " "), this.painters[name].paint(content));
    const line = { row, text: row.textContent.toLowerCase() };
    row.hidden = !this.matches(line);
    return line;
  }

  matches(line) {
    return line.text.includes(this.search.control.value.trim().toLowerCase());
  }

  filter() {
    for (const line of this.lines) {
      line.row.hidden = !this.matches(line);
    }
    this.describe();
    this.scroll();
  }

  describe() {
    const shown = this.lines.filter((line) => !line.row.hidden).length;
    const lines = count(shown, "line");
    fill(this.status, this.hasEnded ? `${lines}, and there will be no more.` : lines);
  }

  scroll() {
    if (this.follows.control.checked) {
      this.list.scrollTop = this.list.scrollHeight;
    }
  }
}
