// What a container changed in the files of its image.

import { get, path } from "../api.js";
import { showFrame } from "../container_frame.js";
import { button } from "../dom.js";
import { attempt } from "../messages.js";
import { Table } from "../table.js";

const KINDS = ["changed", "added", "removed"]; // by the numbers of the API

export async function show(page) {
  const details = await showFrame(page, "changes");
  const table = new Table({
    label: "changes",
    key: (change) => change.Path,
    text: (change) => change.Path,
    columns: [
      { title: "Path", cell: (change) => change.Path, sort: (change) => change.Path },
      { title: "Change", cell: (change) => KINDS[change.Kind], sort: (change) => KINDS[change.Kind] },
    ],
    empty: "The container has changed none of its image's files.",
  });
  const load = async () => table.update((await get(path`/containers/${details.Id}/changes`, {}, page.signal)) ?? []);
  table.tools.append(button("Reload", () => attempt(load)));
  page.main.append(table.element);
  await load();
}
