// The images of the daemon.

import { get } from "../api.js";
import { button, element, link } from "../dom.js";
import { keepLoaded } from "../events.js";
import { ago, short, size } from "../format.js";
import { askPull } from "../image_actions.js";
import { namesOf } from "../image_frame.js";
import { Table } from "../table.js";

const COLUMNS = [
  { title: "Name", cell: (image) => link(nameOf(image), "images", image.Id, "layers"), sort: nameOf },
  { title: "ID", isShort: true, cell: (image) => element("code", {}, short(image.Id)), sort: (image) => image.Id },
  { title: "Size", isShort: true, cell: (image) => size(image.Size), sort: (image) => image.Size },
  { title: "Created", isShort: true, cell: (image) => ago(image.Created), sort: (image) => image.Created },
];

export async function show(page) {
  const table = new Table({
    label: "images",
    columns: COLUMNS,
    key: (image) => image.Id,
    text: (image) => `${(image.RepoTags ?? []).join(" ")} ${image.Id}`,
    empty: "There are no images yet. Pull or build one.",
  });
  if (!page.settings.readOnly) {
    table.tools.append(button("Pull an image", askPull));
  }
  page.main.append(table.element);
  await keepLoaded(["image"], async () => table.update(await get("/images/json", {}, page.signal)), page.signal);
}

function nameOf(image) {
  return namesOf(image).join(", ") || short(image.Id);
}
