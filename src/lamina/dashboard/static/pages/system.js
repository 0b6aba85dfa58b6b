// Where the disk space goes: a picture, and the same as a table.

import { get } from "../api.js";
import { scrolling, section } from "../details.js";
import { element, fill, place } from "../dom.js";
import { keepLoaded } from "../events.js";
import { size } from "../format.js";
import { drawing, shape, words } from "../svg.js";
import { tabs } from "../tabs.js";

const VIEWS = [["usage", "Disk space"], ["events", "Events"], ["about", "About"]];
const KINDS = [
  ["ImageUsage", "Images", "images"], ["ContainerUsage", "Containers", "containers"],
  ["VolumeUsage", "Volumes", "volumes"], ["BuildCacheUsage", "Build cache", "builds/cache"],
  ["RemoteLayerUsage", "Remote layers", "registries"],
];
const CHART = { name: 110, width: 560, row: 40 };

// Return the tabs of the pages about the system.
export function systemTabs(current) {
  return tabs("Views of the system", VIEWS, current, (name) => (name === "usage" ? place("system") : place("system", name)));
}

export async function show(page) {
  const body = element("div");
  page.main.append(systemTabs("usage"), body);
  await keepLoaded(["container", "image", "volume", "builder"], async () => {
    const usage = await get("/system/df", {}, page.signal);
    const rows = KINDS.filter(([member]) => usage[member]).map(([member, title, address]) => ({ title, address, ...entry(usage[member]) }));
    fill(body, section("Disk space", scrolling("Drawing of the disk space", drawUsage(rows)), usageTable(rows)));
  }, page.signal);
}

// Return a kind's totals. The API leaves zeros out.
function entry({ TotalSize: total = 0, Reclaimable: free = 0, TotalCount: count = 0, ActiveCount: active = 0 } = {}) {
  return { total, free: Math.min(free, total), count, active };
}

function drawUsage(rows) {
  const most = Math.max(1, ...rows.map((row) => row.total));
  const length = (bytes) => (bytes / most) * CHART.width;
  return drawing("Disk space by kind. The table below says the same.", CHART.name + CHART.width + 110, rows.length * CHART.row + 10,
    rows.map(({ title, total, free }, index) => {
      const y = 8 + index * CHART.row;
      return [
        words(title, 4, y + 18, CHART.name),
        shape("rect", { class: "part used", x: CHART.name, y, width: length(total - free), height: 26, hint: `in use: ${size(total - free)}` }),
        shape("rect", { class: "part free", x: CHART.name + length(total - free), y, width: length(free), height: 26, hint: `can go: ${size(free)}` }),
        words(size(total), CHART.name + length(total) + 8, y + 18, 100),
      ];
    }));
}

function usageTable(rows) {
  const titles = ["Kind", "Number", "In use", "Size", "Can go"];
  return element("table", { "aria-label": "Disk space" },
    element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, rows.map(({ title, address, total, free, count, active }) => element("tr", {},
      element("th", { scope: "row" }, element("a", { href: `#/${address}` }, title)),
      [count, active, size(total), size(free)].map((value) => element("td", {}, value))))));
}
