// The files of a container, with its volumes: to look around, to bring files in and to take them out.

import { address, get, getRaw, path, send } from "../api.js";
import { showFrame } from "../container_frame.js";
import { button, element, place } from "../dom.js";
import { modeText } from "../file_mode.js";
import { ago, size } from "../format.js";
import { ask, attempt, tell } from "../messages.js";
import { Table } from "../table.js";
import { firstFile, tarOf } from "../tar.js";
import { trail } from "../trail.js";

const LARGEST_TEXT = 1 << 20; // bytes of a file that is shown

export async function show(page) {
  const details = await showFrame(page, "files");
  const folder = page.query.get("path") || "/";
  const target = path`/containers/${details.Id}/archive`;
  const table = new Table({
    label: "files",
    key: (file) => file.Name,
    text: (file) => file.Name,
    columns: columns(page.parameters.id, folder, target),
    empty: "This folder is empty.",
  });
  const load = async () => {
    const files = await get(path`/containers/${details.Id}/folder`, { path: folder }, page.signal);
    table.update(files.sort((one, other) => other.IsDirectory - one.IsDirectory));
  };
  page.main.append(trail(folder, (whole) => folderAddress(page.parameters.id, whole)));
  if (!page.settings.readOnly) {
    table.tools.append(uploadField(folder, target, load));
  }
  table.tools.append(button("Reload", () => attempt(load)));
  table.tools.append(element("a", { href: address(target, { path: folder }), download: `${nameOfFolder(folder)}.tar` }, "Download this folder"));
  page.main.append(table.element);
  await load();
}

function columns(id, folder, target) {
  return [
    { title: "Name", cell: (file) => nameCell(id, folder, file, target), sort: (file) => file.Name },
    { title: "Size", isShort: true, cell: (file) => (file.State.Type === "regular" ? size(file.State.Size ?? 0) : ""), sort: (file) => file.State.Size ?? 0 },
    { title: "Mode", isShort: true, cell: (file) => element("code", {}, modeText(file.State)) },
    { title: "Owner", isShort: true, cell: (file) => `${file.State.Uid ?? 0}:${file.State.Gid ?? 0}` },
    { title: "Changed", isShort: true, cell: (file) => ago((file.State.MtimeNs ?? 0) / 1e9), sort: (file) => file.State.MtimeNs ?? 0 },
    { title: "Actions", cell: (file) => element("a", { href: address(target, { path: below(folder, file.Name) }), download: `${file.Name}.tar`, "aria-label": `Download ${file.Name}` }, "Download") },
  ];
}

function nameCell(id, folder, file, target) {
  const whole = below(folder, file.Name);
  const arrow = file.State.Target ? ` → ${file.State.Target}` : "";
  if (file.IsDirectory) {
    return [element("a", { href: folderAddress(id, whole) }, `${file.Name}/`), arrow];
  }
  if (file.State.Type === "regular" && (file.State.Size ?? 0) <= LARGEST_TEXT) {
    return button(file.Name, () => attempt(() => view(whole, target)), { class: "quiet" });
  }
  return [file.Name, arrow];
}

async function view(whole, target) {
  const answer = await getRaw(target, { path: whole });
  const bytes = firstFile(new Uint8Array(await answer.arrayBuffer())) ?? new Uint8Array();
  const content = bytes.includes(0) ? "This file is not text." : new TextDecoder().decode(bytes);
  await ask({ title: whole, content: element("pre", { class: "view", tabindex: "0" }, content) });
}

function uploadField(folder, target, load) {
  const input = element("input", { type: "file", multiple: true });
  input.addEventListener("change", () => attempt(async () => {
    for (const file of input.files) {
      await send("PUT", target, { query: { path: folder }, body: tarOf(file.name, file), headers: { "Content-Type": "application/x-tar" } });
      tell(`${file.name} is in ${folder}`);
    }
    input.value = "";
    await load();
  }));
  return element("label", { class: "field" }, element("span", {}, "Upload into this folder"), input);
}

function folderAddress(id, whole) {
  return `${place("containers", id, "files")}?path=${encodeURIComponent(whole)}`;
}

function below(folder, name) {
  return `${folder.replace(/\/$/, "")}/${name}`;
}

function nameOfFolder(folder) {
  return folder.split("/").filter(Boolean).pop() ?? "root";
}
