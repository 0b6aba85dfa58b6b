// The packages in an image, with their licences.

import { get, path } from "../api.js";
import { showFrame } from "../image_frame.js";
import { Table } from "../table.js";

export async function show(page) {
  const image = await showFrame(page, "packages");
  const table = new Table({
    label: "packages",
    key: (item) => `${item.Kind} ${item.Name} ${item.Version} ${item.Architecture} ${item.Path}`,
    text: (item) => `${item.Name} ${item.Version} ${item.Kind} ${item.Licenses.join(" ")}`,
    columns: [
      { title: "Name", cell: (item) => item.Name, sort: (item) => item.Name },
      { title: "Version", cell: (item) => item.Version, sort: (item) => item.Version },
      { title: "Kind", cell: (item) => item.Kind, sort: (item) => item.Kind },
      { title: "Licences", cell: (item) => item.Licenses.join(", "), sort: (item) => item.Licenses.join(", ") },
      { title: "Layer", cell: (item) => String(item.Layer), sort: (item) => item.Layer },
    ],
    empty: "The image has no packages of dpkg, apk, rpm, Python or Node.",
  });
  page.main.append(table.element);
  table.update(await get(path`/images/${image.Id}/explorer/packages`, {}, page.signal));
}
