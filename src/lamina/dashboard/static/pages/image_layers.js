// The layers of an image: what made each, a picture of what is in it, and what is wasted.

import { get, path } from "../api.js";
import { element, fill, place } from "../dom.js";
import { count, percent, size } from "../format.js";
import { showFrame } from "../image_frame.js";
import { attempt } from "../messages.js";
import { Table } from "../table.js";
import { heaviest, treemap } from "../treemap.js";

const ROWS = 50; // of the table below the picture

export async function show(page) {
  const image = await showFrame(page, "layers");
  const ask = (question, query = {}) => get(path`/images/${image.Id}/explorer/` + question, query, page.signal);
  const layers = await ask("layers");
  const picture = new Picture(page, ask, layers.length);
  const figures = element("dl", { class: "figures" });
  page.main.append(layerTable(layers, picture), picture.element, element("h2", {}, "Waste"), figures);
  await Promise.all([picture.show(null), ask("report").then((waste) => showFigures(figures, waste)), showSavings(page, ask)]);
}

function layerTable(layers, picture) {
  const table = new Table({
    label: "layers",
    key: (layer) => String(layer.Number),
    text: (layer) => layer.CreatedBy,
    columns: [
      { title: "Layer", isShort: true, cell: (layer) => element("button", { type: "button", class: "quiet", click: () => attempt(() => picture.show(layer.Number)) }, `Layer ${layer.Number}`) },
      { title: "Size", isShort: true, cell: (layer) => size(layer.Size), sort: (layer) => layer.Size },
      { title: "Made by", cell: (layer) => element("code", {}, layer.CreatedBy || "unknown"), sort: (layer) => layer.CreatedBy },
    ],
    empty: "The image has no layers.",
  });
  table.update(layers);
  return table.element;
}

class Picture {
  constructor(page, ask, layers) {
    this.page = page;
    this.ask = ask;
    this.heading = element("h2", {}, "Files");
    this.frame = element("div", { class: "picture" });
    this.table = new Table({
      label: "largest files and folders",
      key: (row) => row.path,
      text: (row) => row.path,
      columns: [
        { title: "Path", cell: (row) => row.path + (row.isDirectory ? "/" : ""), sort: (row) => row.path },
        { title: "Size", isShort: true, cell: (row) => size(row.size), sort: (row) => row.size },
        { title: "Hidden by later layers", cell: (row) => (row.hidden ? size(row.hidden) : ""), sort: (row) => row.hidden },
      ],
      empty: "The layer has no files.",
    });
    const all = element("button", { type: "button", click: () => attempt(() => this.show(null)) }, "All layers");
    this.element = element("section", {}, this.heading, element("div", { class: "tools" }, layers > 1 && all), this.frame,
      element("details", {}, element("summary", {}, "The same as a table"), this.table.element));
  }

  // Draw the files of one layer, or of all with null.
  async show(layer) {
    const weight = await this.ask("weights", layer === null ? {} : { layer });
    fill(this.heading, layer === null ? "Files of all layers" : `Files of layer ${layer}`, ` · ${size(weight.Size)}`);
    fill(this.frame, treemap(weight, (chosen) => this.open(chosen)));
    this.table.update(heaviest(weight, ROWS));
  }

  open(chosen) {
    const folder = chosen.slice(0, chosen.lastIndexOf("/")) || "/";
    location.hash = `${place("images", this.page.parameters.id, "files")}?path=${encodeURIComponent(folder)}`;
  }
}

function showFigures(list, waste) {
  const figures = [
    ["Efficiency", percent(waste.Efficiency.Score)],
    ["In paths that several layers write", size(waste.Efficiency.Wasted)],
    ["Hidden by later layers", `${size(waste.HiddenBytes)} in ${count(waste.HiddenFiles, "file")}`],
  ];
  fill(list, figures.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

async function showSavings(page, ask) {
  const [savings, secrets] = await Promise.all([ask("savings"), ask("secrets")]);
  const saved = element("ul", {}, savings.map((saving) => element("li", {},
    `${size(saving.Bytes)} (${saving.Kind}) in layer ${saving.Layer}: ${saving.Advice}`)));
  const found = element("ul", {}, secrets.map((secret) => element("li", {}, `${secret.Name}: ${secret.Reason}`)));
  if (savings.length) {
    page.main.append(element("h2", {}, "What to change"), saved);
  }
  if (secrets.length) {
    page.main.append(element("h2", {}, "What looks like a secret"), found);
  }
}
