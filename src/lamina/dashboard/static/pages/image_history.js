// The steps that made an image, the newest first.

import { get, path } from "../api.js";
import { element } from "../dom.js";
import { ago, size } from "../format.js";
import { showFrame } from "../image_frame.js";
import { Table } from "../table.js";

export async function show(page) {
  const image = await showFrame(page, "history");
  const table = new Table({
    label: "steps",
    key: (step) => String(step.number),
    text: (step) => step.CreatedBy,
    columns: [
      { title: "Made by", cell: (step) => element("code", {}, step.CreatedBy || "unknown") },
      { title: "Size", isShort: true, cell: (step) => size(step.Size), sort: (step) => step.Size },
      { title: "Made", cell: (step) => (step.Created > 0 ? ago(step.Created) : ""), sort: (step) => step.Created },
      { title: "Comment", cell: (step) => step.Comment },
    ],
  });
  page.main.append(table.element);
  const steps = await get(path`/images/${image.Id}/history`, {}, page.signal);
  table.update(steps.map((step, number) => ({ ...step, number })));
}
