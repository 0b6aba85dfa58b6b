// The files of an image, with the layer that each is from, and the life of one path.

import { address, get, getRaw, path } from "../api.js";
import { button, element, place } from "../dom.js";
import { modeText } from "../file_mode.js";
import { size } from "../format.js";
import { showFrame } from "../image_frame.js";
import { ask, attempt } from "../messages.js";
import { Table } from "../table.js";
import { trail } from "../trail.js";

const LARGEST_TEXT = 1 << 20; // bytes of a file that is shown

export async function show(page) {
  const image = await showFrame(page, "files");
  const folder = page.query.get("path") || "/";
  const explorer = (question) => path`/images/${image.Id}/explorer/` + question;
  const folderAddress = (whole) => `${place("images", page.parameters.id, "files")}?path=${encodeURIComponent(whole)}`;
  const table = new Table({
    label: "files",
    key: (file) => file.Name,
    text: (file) => file.Name,
    columns: columns(folder, folderAddress, explorer),
    empty: "This folder is empty.",
  });
  page.main.append(trail(folder, folderAddress), table.element);
  table.update(await get(explorer("files"), { path: folder }, page.signal));
}

function columns(folder, folderAddress, explorer) {
  const whole = (file) => `${folder.replace(/\/$/, "")}/${file.Name}`;
  return [
    { title: "Name", cell: (file) => nameCell(file, whole(file), folderAddress, explorer), sort: (file) => file.Name },
    { title: "Size", isShort: true, cell: (file) => (file.State.Type === "regular" ? size(file.State.Size ?? 0) : ""), sort: (file) => file.State.Size ?? 0 },
    { title: "Mode", isShort: true, cell: (file) => element("code", {}, modeText(file.State)) },
    { title: "Owner", isShort: true, cell: (file) => `${file.State.Uid ?? 0}:${file.State.Gid ?? 0}` },
    { title: "Layer", isShort: true, cell: (file) => String(file.Layer), sort: (file) => file.Layer },
    { title: "Actions", cell: (file) => element("div", { class: "actions" },
      button("Blame", () => attempt(() => blame(whole(file), explorer)), { "aria-label": `Blame ${file.Name}` }),
      file.State.Type === "regular" && file.Change !== "removed" && element("a", { href: address(explorer("file"), { path: whole(file) }), download: file.Name, "aria-label": `Download ${file.Name}` }, "Download")) },
  ];
}

function nameCell(file, whole, folderAddress, explorer) {
  if (file.Change === "removed") {
    return [element("del", {}, file.Name), " removed by the last layer"];
  }
  if (file.State.Type === "directory") {
    return element("a", { href: folderAddress(whole) }, `${file.Name}/`);
  }
  if (file.State.Type === "regular" && (file.State.Size ?? 0) <= LARGEST_TEXT) {
    return button(file.Name, () => attempt(() => view(whole, explorer)), { class: "quiet" });
  }
  return [file.Name, file.State.Target && ` → ${file.State.Target}`];
}

async function view(whole, explorer) {
  const answer = await getRaw(explorer("file"), { path: whole });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const content = bytes.includes(0) ? "This file is not text." : new TextDecoder().decode(bytes);
  await ask({ title: whole, content: element("pre", { class: "view", tabindex: "0" }, content) });
}

async function blame(whole, explorer) {
  const { Path, Touches } = await get(explorer("blame"), { path: whole });
  const rows = Touches.map((touch) => element("li", {},
    `Layer ${touch.Layer}: ${touch.Change}${touch.SameContent ? ", with the same content" : ""}, by `,
    element("code", {}, touch.CreatedBy || "an unknown instruction")));
  await ask({ title: `Blame for ${Path}`, content: element("ol", {}, rows) });
}
